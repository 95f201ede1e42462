"""More load than can be served: everybody is answered, nobody is starved, memory stays bounded."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from edged import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

REVIEW = "A wonderful wine, rich and elegant, with bright cherry and a long, long finish. " * 3
NO_HWM = {"sndhwm": 0, "rcvhwm": 0}


class Flooder:
    """A bare DEALER that sends as fast as it can and counts what comes back."""

    def __init__(self, socket: zmq.Socket[bytes], outstanding: int, texts: int = 1) -> None:
        self.socket = socket
        self.waiting = set(range(outstanding))
        self.texts = texts
        self.seen: dict[str, int] = {}

    def send(self) -> None:
        for number in sorted(self.waiting):
            self.socket.send_json({"id": number, "texts": [REVIEW] * self.texts})

    def read(self) -> None:
        """Take what is there; every reply must belong to a request not yet answered."""
        while self.waiting:
            try:
                reply = json.loads(self.socket.recv(zmq.DONTWAIT))
            except zmq.Again:
                return
            self.waiting.remove(reply["id"])
            kind = reply["error"]["code"] if "error" in reply else "result"
            self.seen[kind] = self.seen.get(kind, 0) + 1
            if kind == "busy":
                assert reply["error"]["retry_after_ms"] >= 1


def read_all(flooders: list[Flooder], seconds: float) -> None:
    """Read until every request of every flooder is answered."""
    poller = zmq.Poller()
    for flooder in flooders:
        poller.register(flooder.socket, zmq.POLLIN)
    deadline = time.monotonic() + seconds
    while any(flooder.waiting for flooder in flooders):
        assert time.monotonic() < deadline, f"unanswered: {sum(len(f.waiting) for f in flooders)}"
        poller.poll(100)
        for flooder in flooders:
            flooder.read()


@pytest.mark.timeout(300)
def test_a_flood_is_answered_and_passes(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(queue_reviews=4096, client_reviews=1024).start()
    with ExitStack() as stack:
        flooders = [Flooder(stack.enter_context(daemon.socket(**NO_HWM)), 1000) for _ in range(64)]
        for flooder in flooders:
            flooder.send()
        read_all(flooders, 250)
        total: dict[str, int] = {}
        for flooder in flooders:
            for kind, count in flooder.seen.items():
                total[kind] = total.get(kind, 0) + count
        assert set(total) <= {"result", "busy"}
        assert sum(total.values()) == 64_000
        with Client(daemon.endpoint, timeout=60, retries=0) as client:  # once it is over nobody is busy
            client.classify(REVIEW)


@pytest.mark.timeout(300)
def test_polite_clients_are_not_shed_for_a_flooding_one(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(queue_reviews=2048, client_reviews=1024).start()
    with ExitStack() as stack:
        flooder = Flooder(stack.enter_context(daemon.socket(**NO_HWM)), 2_000, texts=50)
        flooder.send()
        polite = [stack.enter_context(Client(daemon.endpoint, timeout=60, retries=0)) for _ in range(10)]
        for _ in range(20):  # retries=0: a single busy would raise
            for client in polite:
                assert client.classify(REVIEW).label == "positive"
            flooder.read()
        read_all([flooder], 250)
        assert flooder.seen.get("busy", 0) > 0, "the flood did not reach its limit"


def anonymous(pid: int) -> int:
    """Resident bytes of a process that no file is behind: pages of libraries come and go with the load."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def test_a_client_that_never_reads_costs_bounded_memory(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(client_bytes="256KiB", queue_bytes="2MiB", send_timeout="2s", send_hwm=16).start()
    with Client(daemon.endpoint, timeout=60) as client, daemon.socket(rcvhwm=1) as deaf:
        client.classify([REVIEW] * 64)
        before = anonymous(daemon.pid)
        big = json.dumps({"texts": ["good"] * 400}).encode()
        for _ in range(3000):  # 50 MB of replies, if anybody kept them
            deaf.send(big)
            if _ % 100 == 0:
                client.classify(REVIEW)
        assert client.classify(REVIEW).label == "positive"
        assert anonymous(daemon.pid) - before < 16_000_000
        deadline = time.monotonic() + 100
        while client.stats()["counters"]["dropped_slow"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("inline", ["true", "false"])
def test_an_honest_client_with_256_outstanding_loses_nothing(
    make_daemon: Callable[..., Daemon], inline: str
) -> None:
    daemon = make_daemon(send_hwm=16, inline=inline).start()
    answered: set[int] = set()
    with daemon.socket() as dealer:
        for number in range(6400):
            dealer.send_json({"id": number, "text": REVIEW})
            if number >= 256:
                take(dealer, answered)
        while len(answered) < 6400:
            take(dealer, answered)


def take(dealer: zmq.Socket[bytes], answered: set[int]) -> None:
    reply: dict[str, Any] = json.loads(dealer.recv())
    assert "error" not in reply
    assert reply["id"] not in answered
    answered.add(reply["id"])


def test_deadlines_are_kept_under_load(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(max_batch_size=4)
    daemon.handler(
        "import time\ndef process_batch(texts):\n    time.sleep(0.3)\n    return [('x', 0.5)] * len(texts)\n"
    )
    daemon.start()
    with daemon.socket() as dealer:
        for number in range(40):
            dealer.send_json({"id": number, "text": "x", "deadline_ms": 1500})
        replies = [json.loads(dealer.recv()) for _ in range(40)]
    codes = [reply["error"]["code"] if "error" in reply else "result" for reply in replies]
    assert set(codes) == {"result", "deadline"}
