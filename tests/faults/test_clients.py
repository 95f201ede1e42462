"""Clients that are killed, do not read, vanish without a word, or have no right to be there."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

import edged
from edged import Client
from tests.daemon import free_port
from tests.faults.form import PATIENCE, rounds
from tests.faults.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon
    from tests.faults.load import Load

    Loader = Callable[..., Load]

pytestmark = PATIENCE


def test_clients_killed_mid_request(echo: Daemon, under_load: Loader) -> None:
    program = (
        "from edged import Client\n"
        f"client = Client({echo.endpoint!r}, timeout=60)\n"
        "while 1: client.classify(['x' * 500] * 100), print('answered', flush=True)\n"
    )
    with echo.start(), under_load(echo.endpoint) as load:
        for _ in rounds(3, 50):
            with ExitStack() as stack:
                command = [sys.executable, "-c", program]
                victims = [
                    stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE)) for _ in range(3)
                ]
                for victim in victims:
                    assert victim.stdout is not None
                    assert victim.stdout.readline() == b"answered\n"
                    time.sleep(random.random() / 20)  # in any phase of the next one
                    victim.kill()
            load.progress()


def test_a_client_that_never_reads(echo: Daemon, under_load: Loader) -> None:
    with echo.start(), under_load(echo.endpoint) as load, ExitStack() as stack:
        for _ in rounds(2, 20):
            deaf = stack.enter_context(echo.socket(rcvhwm=1))
            for number in range(500):
                deaf.send_json({"id": number, "texts": ["x" * 50] * 200})
            load.progress()


def held(port: int) -> int:
    """How many connections to a port of this machine have been accepted, and not been closed there."""
    tables = [
        Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")
    ]  # libzmq's TCP is IPv6 where there is any
    lines = [line for path in tables if path.exists() for line in path.read_text().splitlines()[1:]]
    listens, nobodys = "0A", "0"  # state and inode
    return sum(
        row[1].endswith(f":{port:04X}") and row[3] != listens and row[9] != nobodys
        for row in map(str.split, lines)
    )


@pytest.mark.parametrize("host", ["cpython"])
def test_half_open_tcp(echo: Daemon, under_load: Loader) -> None:
    """The way to the daemon goes dead: clients come anew, and the daemon lets go of what leads nowhere."""
    port = free_port()
    echo.settings["endpoints"] = [f"tcp://127.0.0.1:{port}"]
    with echo.start(), Relay(port) as relay:
        with under_load(f"tcp://127.0.0.1:{relay.port}", clients=8) as load:
            while held(port) < 8:
                time.sleep(0.01)
            for _ in rounds(1, 20):
                dead = relay.go_dead()
                load.progress(1000)  # more than can still be on its way: clients came anew
            deadline = time.monotonic() + 150
            while held(port) > 8:
                assert time.monotonic() < deadline, f"of {dead} dead connections some are still held"
                time.sleep(0.1)


@pytest.mark.parametrize("host", ["cpython"])
def test_greetings_that_never_go_on(echo: Daemon, under_load: Loader) -> None:
    port = free_port()
    echo.settings["endpoints"] = [f"tcp://127.0.0.1:{port}"]
    with echo.start(), under_load(f"tcp://127.0.0.1:{port}") as load, ExitStack() as stack:
        for _ in rounds(3, 50):
            for greeting in [b"\xff\0\0\0\0\0\0\0\1\x7f\3"] * 20 + [b"GET / HTTP/1.1\r\n\r\n", b""]:
                half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                half.sendall(greeting)
            load.progress()


def test_wrong_keys_in_a_loop(echo: Daemon, under_load: Loader) -> None:
    server_public, server_secret = (key.decode() for key in zmq.curve_keypair())
    client_public, client_secret = (key.decode() for key in zmq.curve_keypair())
    clients = echo.folder / "clients"
    clients.mkdir(mode=0o755)
    (clients / "load.key").write_text(f'metadata\ncurve\n    public-key = "{client_public}"\n')
    (clients / "load.key").chmod(0o644)
    key = echo.folder / "server.key"
    key.write_text(
        f'metadata\ncurve\n    public-key = "{server_public}"\n    secret-key = "{server_secret}"\n'
    )
    key.chmod(0o600)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    echo.settings |= {
        "endpoints": [endpoint],
        "curve.server_key": str(key),
        "curve.clients": str(clients),
    }
    known = (client_public, client_secret)
    began = time.monotonic()
    with echo.start(), under_load(endpoint, server_key=server_public, client_key=known) as load:
        for _ in rounds(10, 300):
            public, secret = zmq.curve_keypair()
            stranger = (public.decode(), secret.decode())
            with (
                Client(endpoint, server_key=server_public, client_key=stranger, timeout=60) as refused,
                pytest.raises(edged.errors.KeyNotAllowed),
            ):
                refused.classify("x")
            load.progress(5)
    windows = (time.monotonic() - began) / 10 + 2
    assert echo.log.count("handshake_denied") <= 6 * windows, "a flood of wrong keys fills the log"
