"""Stopping: what was admitted is answered, the rest is the client's to retry, and the exit code tells."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from edged import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import zmq

    from tests.daemon import Daemon

HANGS = """
import time
from pathlib import Path
def process_batch(texts):
    if "hang" in texts:
        Path(__file__).with_name("hangs").touch()
        time.sleep(600)
    return [("x", 0.5)] * len(texts)
"""
# Each batch waits for a byte of the test's.
GATED = """
from pathlib import Path
gate = Path(__file__).with_name("gate").open("rb", buffering=0)
def process_batch(texts):
    if "x" in texts:
        gate.read(1)
    return [("x", 0.5)] * len(texts)
"""
ROUNDS = 50


@pytest.mark.timeout(900)
def test_50_restarts_under_32_clients_lose_and_double_nothing(daemon: Daemon) -> None:
    done = threading.Event()
    faults: list[str] = []
    calls = [0] * 32

    def run(number: int) -> None:
        # Who is unlucky sits out many short lives in the backoff.
        with Client(daemon.endpoint, timeout=240, retries=1000) as client:
            while not done.is_set():
                texts = [f"wine {number} {calls[number]}"] * (1 + calls[number] % 3)
                try:
                    if len(client.classify(texts)) != len(texts):
                        faults.append(f"client {number}: wrong count")
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
                    faults.append(f"client {number}: {error!r}")
                calls[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(ROUNDS):
        until = sum(calls) + 2 * len(calls)  # each life long enough to reach it through the backoff
        while sum(calls) < until and not faults:
            time.sleep(0.01)
        codes.append(daemon.stop())
        daemon.start()
    last = list(calls)
    while any(map(int.__eq__, calls, last)) and not faults:  # each of them outlives the last restart too
        time.sleep(0.01)
    done.set()
    for thread in threads:
        thread.join(250)
    assert not any(thread.is_alive() for thread in threads)
    assert faults == []
    assert codes == [0] * ROUNDS


@pytest.mark.parametrize("inline", ["true", "false"])
def test_what_was_admitted_is_answered_and_later_requests_get_draining(
    make_daemon: Callable[..., Daemon], inline: str
) -> None:
    daemon = make_daemon(inline=inline, max_batch_size=4, recv_hwm=1000, drain_timeout="60s")
    daemon.handler(GATED)
    os.mkfifo(daemon.folder / "gate")
    gate = os.open(daemon.folder / "gate", os.O_RDWR)  # which waits for no reader
    daemon.start()
    # While it stands still no connection is made, so it reads the requests in one piece, before the signal.
    daemon.signal(signal.SIGSTOP)
    while psutil.Process(daemon.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    with daemon.socket() as dealer:
        for number in range(100):
            dealer.send_json({"id": number, "text": "x"})
        daemon.signal(signal.SIGCONT)
        os.write(gate, b"1")
        first = json.loads(dealer.recv())
        daemon.signal(signal.SIGTERM)
        daemon.says('"event":"drain"')
        dealer.send_json({"id": "late", "text": "x"})
        replies: dict[object, Any] = {first["id"]: first}
        while len(replies) < 101:
            while not dealer.poll(20):  # one batch after the other: what is late arrives meanwhile
                os.write(gate, b"1")
            reply = json.loads(dealer.recv())
            assert reply["id"] not in replies
            replies[reply["id"]] = reply
    os.close(gate)
    assert replies["late"]["error"]["code"] == "draining"
    codes = [reply["error"]["code"] if "error" in reply else "result" for reply in replies.values()]
    assert set(codes) == {"result", "draining"}  # what it had not read when the signal came is draining too
    assert daemon.wait() == 0


def test_the_drain_timeout_cuts_a_hung_handler_short(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(drain_timeout="300ms")
    daemon.handler(HANGS)
    daemon.start()
    with hanging(daemon):
        assert daemon.stop() == 70
    assert '"event":"drain_timeout"' in daemon.log


def test_a_second_signal_exits_at_once(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    daemon.handler(HANGS)
    daemon.start()
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with hanging(daemon):
            seen = daemon.log.count('"event":"drain"')
            daemon.signal(number)
            daemon.says('"event":"drain"', seen + 1)
            daemon.signal(number)
            assert daemon.wait() == code
        daemon.start()


@pytest.mark.parametrize("inline", ["true", "false"])
def test_a_hung_handler_ends_the_daemon_with_its_stack(
    make_daemon: Callable[..., Daemon], inline: str
) -> None:
    daemon = make_daemon(handler_timeout="3s", inline=inline)
    daemon.handler(HANGS)
    daemon.start()
    with hanging(daemon) as dealer:
        if inline == "false":  # a thread can still answer
            assert json.loads(dealer.recv())["error"]["code"] == "internal"
        assert daemon.wait() == 70
    assert "process_batch" in daemon.log
    assert '"event":"handler_hung"' in daemon.log


@contextmanager
def hanging(daemon: Daemon) -> Iterator[zmq.Socket[bytes]]:
    """A request that hangs in the handler."""
    hangs = daemon.folder / "hangs"
    hangs.unlink(missing_ok=True)
    with daemon.socket() as dealer:
        dealer.send_json({"text": "hang"})
        while not hangs.exists():
            time.sleep(0.01)
        yield dealer
