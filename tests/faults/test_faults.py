"""Faults under load: whatever happens, every caller gets exactly one final result for each request.

The short form is part of `make test`; `make faults` (EDGED_FAULTS=long) does each fault many times.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

import edged
from edged import Client
from tests.faults.load import ECHO
from tests.faults.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon
    from tests.faults.load import Load

    Loader = Callable[..., Load]

LONG = os.environ.get("EDGED_FAULTS") == "long"
MODEL = Path(edged.__file__).parent / "models" / "edged.tflite"

pytestmark = pytest.mark.timeout(3600 if LONG else 180)


def rounds(short: int, long: int) -> range:
    """How often a fault is repeated."""
    return range(long if LONG else short)


@pytest.fixture
def echo(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon, not yet started, that answers each text with itself."""
    daemon = make_daemon()
    daemon.handler(ECHO)
    return daemon


def test_sigkill_with_restart(echo: Daemon, under_load: Loader) -> None:
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for done in rounds(10, 1000):
            time.sleep(random.random() / 20)  # in any phase of a call
            echo.signal(signal.SIGKILL)
            supervisor.ended(done + 1)
            load.progress()
    assert set(supervisor.codes) == {-signal.SIGKILL}


def test_sigstop_and_sigcont(echo: Daemon, under_load: Loader) -> None:
    with echo.start(), under_load(echo.endpoint) as load:
        for _ in rounds(3, 50):
            echo.signal(signal.SIGSTOP)
            time.sleep(0.5)
            echo.signal(signal.SIGCONT)
            load.progress()


def test_sigterm_drain(echo: Daemon, under_load: Loader) -> None:
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for done in rounds(5, 200):
            echo.signal(signal.SIGTERM)
            supervisor.ended(done + 1)
            load.progress()
    assert set(supervisor.codes) == {0}


def test_socket_file_removed(echo: Daemon, under_load: Loader) -> None:
    """Who is connected stays so; whoever comes is served after the next restart."""
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for done in rounds(2, 50):
            Path(echo.endpoint.removeprefix("ipc://")).unlink()
            load.progress()
            echo.signal(signal.SIGTERM)
            supervisor.ended(done + 1)
            load.progress()
            with Client(echo.endpoint, timeout=20) as newcomer:
                assert newcomer.classify("new").label == "new"


def test_disk_full_for_the_log(echo: Daemon, under_load: Loader) -> None:
    with Path("/dev/full").open("wb") as full:
        echo.settings["log_level"] = "debug"
        echo.process = subprocess.Popen(echo.command(), stderr=full, stdout=full, env=echo.env)
        with under_load(echo.endpoint) as load, Client(echo.endpoint) as client:
            for _ in rounds(20, 500):
                with pytest.raises(edged.errors.EdgedError):
                    client.classify(["x"] * 5000)
            load.progress(200)
        echo.process.send_signal(signal.SIGTERM)
        assert echo.process.wait(30) == 0


def test_clients_killed_mid_request(echo: Daemon, under_load: Loader) -> None:
    program = (
        f"from edged import Client\nc = Client({echo.endpoint!r})\nwhile 1: c.classify(['x' * 500] * 100)\n"
    )
    with echo.start(), under_load(echo.endpoint) as load:
        for _ in rounds(3, 50):
            victims = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
            time.sleep(0.4)
            for victim in victims:
                victim.kill()
                victim.wait()
            load.progress()


def test_a_client_that_never_reads(echo: Daemon, under_load: Loader) -> None:
    with echo.start(), under_load(echo.endpoint) as load, ExitStack() as stack:
        for _ in rounds(2, 20):
            deaf: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
            stack.callback(deaf.close, 0)
            deaf.rcvhwm = 1
            deaf.connect(echo.endpoint)
            for number in range(500):
                deaf.send_json({"id": number, "texts": ["x" * 50] * 200})
            load.progress()


def test_half_open_tcp(make_daemon: Callable[..., Daemon], under_load: Loader) -> None:
    daemon = make_daemon()
    daemon.handler(ECHO)
    port = free_port()
    daemon.settings["endpoints"] = [f"tcp://127.0.0.1:{port}"]
    with daemon.start(), under_load(f"tcp://127.0.0.1:{port}") as load, ExitStack() as stack:
        for _ in rounds(3, 50):
            for _ in range(20):
                half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                half.sendall(b"\xff\0\0\0\0\0\0\0\1\x7f\3")  # a greeting that never goes on
            load.progress()
        shut = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        shut.sendall(b"GET / HTTP/1.1\r\n\r\n")
        load.progress()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_wrong_keys_in_a_loop(make_daemon: Callable[..., Daemon], under_load: Loader) -> None:
    daemon = make_daemon()
    daemon.handler(ECHO)
    server_public, server_secret = (key.decode() for key in zmq.curve_keypair())
    client_public, client_secret = (key.decode() for key in zmq.curve_keypair())
    clients = daemon.folder / "clients"
    clients.mkdir(mode=0o755)
    (clients / "load.key").write_text(f'metadata\ncurve\n    public-key = "{client_public}"\n')
    (clients / "load.key").chmod(0o644)
    key = daemon.folder / "server.key"
    key.write_text(
        f'metadata\ncurve\n    public-key = "{server_public}"\n    secret-key = "{server_secret}"\n'
    )
    key.chmod(0o600)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    daemon.settings |= {
        "endpoints": [endpoint],
        "curve.server_key": str(key),
        "curve.clients": str(clients),
    }
    known = (client_public, client_secret)
    with daemon.start(), under_load(endpoint, server_key=server_public, client_key=known) as load:
        for _ in rounds(10, 300):
            public, secret = zmq.curve_keypair()
            stranger = (public.decode(), secret.decode())
            with (
                Client(endpoint, server_key=server_public, client_key=stranger, timeout=5) as refused,
                pytest.raises(edged.errors.KeyNotAllowed),
            ):
                refused.classify("x")
            load.progress(5)
    assert daemon.log.count("handshake_denied") <= 40, "a flood of wrong keys fills the log"


def test_file_descriptors_exhausted(echo: Daemon, under_load: Loader) -> None:
    """Where libzmq 4.3.4 has no descriptor left to accept with, it aborts: a restart, and nothing lost."""
    path = echo.endpoint.removeprefix("ipc://")
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for _ in rounds(2, 20):
            used = len(list(Path(f"/proc/{echo.pid}/fd").iterdir()))
            resource.prlimit(echo.pid, resource.RLIMIT_NOFILE, (used + 10, used + 10))
            with ExitStack() as stack:
                for _ in range(50):
                    greedy = stack.enter_context(socket.socket(socket.AF_UNIX))
                    greedy.settimeout(1)
                    with suppress(OSError):  # refused, or its backlog is full: that is the point
                        greedy.connect(path)
                load.progress()
            with Client(echo.endpoint, timeout=20) as newcomer:
                assert newcomer.classify("new").label == "new"
    assert set(supervisor.codes) <= {-signal.SIGABRT}


def test_memory_limit_near(make_daemon: Callable[..., Daemon], under_load: Loader) -> None:
    """A budget far too small for the load sheds it with busy; callers that retry still get everything."""
    daemon = make_daemon(
        queue_reviews=64, client_reviews=16, max_reviews=16, queue_bytes="64KiB", client_bytes="16KiB"
    )
    daemon.handler(ECHO)
    with daemon.start(), under_load(daemon.endpoint, clients=32) as load:
        load.progress(500 if not LONG else 50_000)


def test_the_model_file_is_replaced_while_it_serves(
    make_daemon: Callable[..., Daemon], under_load: Loader
) -> None:
    daemon = make_daemon()
    path = daemon.folder / "model.tflite"
    shutil.copy(MODEL, path)
    daemon.settings["model"] = str(path)
    with daemon.start(), Client(daemon.endpoint) as client:
        before = client.classify("A lovely wine.")
        for _ in rounds(2, 50):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(b"not a model")
            fresh.rename(path)  # as package tools replace files
            assert client.classify("A lovely wine.") == before
            attempts = client.info()["reload"]["attempts"]
            daemon.signal(signal.SIGHUP)
            while client.info()["reload"]["attempts"] == attempts:
                time.sleep(0.01)
            assert client.info()["reload"]["error"]
            assert client.classify("A lovely wine.") == before


def test_slow_handler(echo: Daemon, under_load: Loader) -> None:
    Path(echo.settings["handler"]).write_text(
        "import random, time\n"
        "def process_batch(texts):\n"
        "    time.sleep(random.choice([0, 0, 0.3]))\n"
        "    return [(text, 0.5) for text in texts]\n"
    )
    with echo.start(), under_load(echo.endpoint) as load:
        load.progress(100 if not LONG else 2000)


@pytest.mark.parametrize("way", ["os._exit(3)", "ctypes.string_at(0)", "time.sleep(600)"])
def test_crashing_handler(echo: Daemon, way: str, under_load: Loader) -> None:
    """It ends once in a while, in each of the ways a handler can take the process along."""
    echo.settings["handler_timeout"] = "400ms"
    Path(echo.settings["handler"]).write_text(
        "import ctypes, os, random, time\n"
        "born = time.monotonic()\n"
        "def process_batch(texts):\n"
        f"    if time.monotonic() - born > 0.5 and random.random() < 0.05: {way}\n"
        "    return [(text, 0.5) for text in texts]\n"
    )
    # Of a call that hangs, the daemon still says internal before it ends.
    expected = (edged.errors.InternalError,)
    with Supervisor(echo) as supervisor, under_load(echo.endpoint, expected=expected) as load:
        supervisor.ended(2 if not LONG else 100, timeout=120 if not LONG else 3000)
        load.progress()
    assert 0 not in supervisor.codes
