"""Heartbeats: TCP clients are asked for signs of life, those of a unix socket are not."""

from __future__ import annotations

import socket

from tests.daemon import Daemon, free_port

# ZMTP 3.0 (https://rfc.zeromq.org/spec/23/): a greeting without security, a client's READY, a PING.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
PING = b"\x04PING"


def test_only_tcp_clients_are_asked_for_signs_of_life() -> None:
    """A unix client whose requests wait could not give one: libzmq would hang up on it."""
    daemon, port = Daemon(), free_port()
    daemon.settings["endpoints"] = [daemon.endpoint, f"tcp://127.0.0.1:{port}"]
    daemon.settings["insecure"] = True
    with daemon, socket.socket(socket.AF_UNIX) as local:
        local.connect(daemon.endpoint.removeprefix("ipc://"))
        local.sendall(GREETING + READY)
        with socket.create_connection(("127.0.0.1", port)) as remote:
            remote.settimeout(60)
            remote.sendall(GREETING + READY)
            received = b""
            while PING not in received:
                part = remote.recv(4096)
                assert part, "the daemon hung up"
                received += part
        local.settimeout(1)
        greeted = local.recv(4096)
        assert b"READY" in greeted
        assert PING not in greeted
