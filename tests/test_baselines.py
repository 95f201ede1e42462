"""The Python baselines as services: the same wire format, model and answers as the daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import zmq

from edged import Client, errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.daemon import Daemon

KINDS = ["single", "multiprocessing"]
PROCESSES = 4  # the parent, two workers, and the resource tracker that multiprocessing starts
TEXTS = [f"{'A wonderful, long finish. ' * (n % 4)}{'Thin and sour. ' * (n % 3)}No. {n}" for n in range(150)]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "protocol.json").read_text())


@contextmanager
def baseline(kind: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A baseline that told systemd's side of a notify socket that it is ready."""
    with (
        tempfile.TemporaryDirectory(prefix="edged") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
    ):
        notify.bind(f"{folder}/notify")
        notify.settimeout(100)
        endpoint = f"ipc://{folder}/s"
        process = subprocess.Popen(
            [sys.executable, "-m", "edged.baselines", kind, "--endpoint", endpoint, "--workers", "2"],
            env={**os.environ, "NOTIFY_SOCKET": f"{folder}/notify"},
            stderr=subprocess.PIPE,
        )
        try:
            assert notify.recv(100) == b"READY=1"
            yield endpoint, process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module", params=KINDS)
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    with baseline(request.param) as (where, _):
        yield where


def test_it_answers_as_the_daemon_does(endpoint: str, shared_daemon: Daemon) -> None:
    with Client(endpoint, timeout=60) as ours, Client(shared_daemon.endpoint, timeout=60) as daemons:
        for mine, theirs in zip(ours.classify(TEXTS), daemons.classify(TEXTS)):
            assert (mine.label, mine.uncertain, mine.truncated) == (
                theirs.label,
                theirs.uncertain,
                theirs.truncated,
            )
            assert mine.score == pytest.approx(theirs.score, abs=2e-4)
        assert ours.classify("A wonderful wine.") == daemons.classify("A wonderful wine.")
        assert ours.classify([]) == []


def test_stats_count_and_weigh_every_process(endpoint: str) -> None:
    with Client(endpoint, timeout=60) as client:
        before = client.stats()["counters"]
        list(client.classify_many(TEXTS, batch=10))
        with pytest.raises(errors.TooLarge, match="1025 reviews"):
            client.classify(["x"] * 1025)
        stats = client.stats()
        assert stats["counters"]["reviews"] - before["reviews"] == len(TEXTS)
        assert stats["counters"]["errors"] - before["errors"] == 1
        info = client.info()
        assert stats["process"]["processes"] == (1 if info["service"] == "python-single" else PROCESSES)
        assert 0 < stats["process"]["uss"] <= stats["process"]["pss"] <= stats["process"]["rss"]
        assert info["model"]["labels"] == ["negative", "positive"]
        assert client.health() == {"status": "ok"}


def test_every_vector_is_parsed_alike(endpoint: str) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.rcvtimeo = 60_000
        dealer.connect(endpoint)
        for case in VECTORS["parse"]:
            body = bytes.fromhex(case["body_hex"]) if "body_hex" in case else case["body"].encode()
            dealer.send(body)
            reply: dict[str, Any] = json.loads(dealer.recv())
            expected = case.get("error")
            assert reply.get("error", {}).get("code") == (expected and expected["code"]), case["name"]
        dealer.send_multipart([b"x"] * 12)
        assert b"8 frames" in dealer.recv_multipart()[-1]
        dealer.send_multipart([b"proxy", b"", b'{"text":"a"}'])
        assert dealer.recv_multipart()[:2] == [b"proxy", b""]


def test_many_clients_each_get_their_own_answers(endpoint: str) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        texts = [f"{text} {number}" for text in TEXTS[:40]]
        with Client(endpoint, timeout=60) as client:
            together = client.classify(texts)
            apart = list(client.classify_many(texts, batch=1, window=8))
        wrong.extend(pair for pair in zip(together, apart) if abs(pair[0].score - pair[1].score) > 2e-4)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_it_has_read(kind: str, number: signal.Signals) -> None:
    with (
        baseline(kind) as (endpoint, process),
        zmq.Context() as context,
        context.socket(zmq.DEALER) as dealer,
    ):
        dealer.linger = 0
        dealer.rcvtimeo = 60_000
        # While it stands still no connection is made, so it reads all requests or none.
        process.send_signal(signal.SIGSTOP)
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        dealer.connect(endpoint)
        for request in range(20):
            dealer.send(b'{"id":%d,"text":"wonderful"}' % request)
        process.send_signal(signal.SIGCONT)
        first = json.loads(dealer.recv())["id"]
        process.send_signal(number)
        _, log = process.communicate(timeout=100)
        assert (process.returncode, b"Traceback" in log, b"stopped" in log) == (0, False, True), log
        ids = [first, *(json.loads(dealer.recv())["id"] for _ in range(19))]
        assert sorted(ids) == list(range(20))


def test_a_worker_that_dies_ends_the_service() -> None:
    with baseline("multiprocessing") as (_, process):
        workers = psutil.Process(process.pid).children()
        next(worker for worker in workers if "spawn_main" in " ".join(worker.cmdline())).kill()
        _, log = process.communicate(timeout=100)
        assert process.returncode == 1
        assert b"a worker process died" in log
        assert psutil.wait_procs(workers, 60)[1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_start_says_why(kind: str, tmp_path: Path) -> None:
    for options, said in (
        (["--model", "/etc/hostname", "--endpoint", f"ipc://{tmp_path}/s"], "not a TensorFlow Lite model"),
        (["--endpoint", "ipc:///no/such/folder/s"], "cannot bind ipc:///no/such/folder/s"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "edged.baselines", kind, *options],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 1
        assert said in done.stderr
