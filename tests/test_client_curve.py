"""CURVE from the client's side, against libzmq's server half: what went wrong is said, not just "timeout"."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from edged import AsyncClient, Client, errors
from edged.connection import SILENT_FAILURES
from tests.daemon import free_port
from tests.scripted import scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

Keys = tuple[str, str]


def keys() -> Keys:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


@pytest.fixture
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


SERVER = keys()
CLIENT = keys()


def curve_options() -> dict[str, Any]:
    public, secret = SERVER
    return {"curve_server": True, "curve_publickey": public.encode(), "curve_secretkey": secret.encode()}


class AllowOnly:
    """A ZAP handler that allows a set of client keys, on the context of a scripted service."""

    def __init__(self, context: zmq.Context[Any], allowed: set[str]) -> None:
        self.allowed = allowed
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback("*", self)

    def callback(self, _domain: str, key: bytes) -> bool:
        return key.decode() in self.allowed

    def stop(self) -> None:
        self._authenticator.stop()


@pytest.fixture
def guarded(endpoint: str) -> Iterator[tuple[str, AllowOnly]]:
    """A service that wants CURVE and allows CLIENT alone."""
    with scripted(endpoint, **curve_options()) as service:
        guard = AllowOnly(service._context, {CLIENT[0]})
        yield endpoint, guard
        guard.stop()


def test_the_right_keys_work(guarded: tuple[str, AllowOnly]) -> None:
    with Client(guarded[0], timeout=60, server_key=SERVER[0], client_key=CLIENT) as client:
        assert client.classify("a").label == "positive"


def test_a_wrong_server_key_is_said_to_be_wrong(guarded: tuple[str, AllowOnly]) -> None:
    start = time.monotonic()
    with Client(guarded[0], timeout=60, server_key=keys()[0], client_key=CLIENT) as client:
        with pytest.raises(errors.WrongServerKey, match=r"server's key is wrong.*\nhint: .*edgectl keys"):
            client.classify("a")
    assert time.monotonic() - start < 40  # said when known, not at the timeout


def test_a_client_key_that_is_not_allowed_is_said_to_be_so(guarded: tuple[str, AllowOnly]) -> None:
    endpoint, guard = guarded
    stranger = keys()
    with Client(endpoint, timeout=60, server_key=SERVER[0], client_key=stranger) as client:
        for _ in range(2):
            with pytest.raises(errors.KeyNotAllowed, match=r"not allowed.*\nhint: .*keys allow"):
                client.classify("a")
        guard.allowed.add(stranger[0])
        assert client.classify("a").label == "positive"


def test_fresh_keys_are_made_up_where_none_are_given(guarded: tuple[str, AllowOnly]) -> None:
    with Client(guarded[0], timeout=60, server_key=SERVER[0]) as client:
        with pytest.raises(errors.KeyNotAllowed):
            client.classify("a")


def test_no_keys_where_curve_is_wanted(guarded: tuple[str, AllowOnly]) -> None:
    with Client(guarded[0], timeout=60) as client:
        with pytest.raises(errors.HandshakeError, match="wants CURVE, and this client has no keys"):
            client.classify("a")


def test_keys_where_no_curve_is_spoken(endpoint: str) -> None:
    with scripted(endpoint), Client(endpoint, timeout=60, server_key=SERVER[0]) as client:
        with pytest.raises(errors.HandshakeError, match="does not use CURVE"):
            client.classify("a")


def test_a_restart_that_hangs_up_is_no_wrong_server_key(endpoint: str) -> None:
    # ZMTP 3.0's greeting of a server with CURVE (https://rfc.zeromq.org/spec/23/).
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + b"\x01" + bytes(31)
    answered = threading.Event()

    def restart() -> None:
        host, _, port = endpoint.removeprefix("tcp://").partition(":")
        with socket.create_server((host, int(port))) as listener:
            for _ in range(4 * SILENT_FAILURES):
                with listener.accept()[0] as peer:
                    peer.sendall(greeting)
        with scripted(endpoint, **curve_options()):
            answered.wait(60)

    with Client(endpoint, timeout=60, server_key=SERVER[0], client_key=CLIENT) as client:
        with scripted(endpoint, **curve_options()):
            assert client.classify("a").label == "positive"
        restarting = threading.Thread(target=restart)
        restarting.start()
        try:
            assert client.classify("a").label == "positive"
        finally:
            answered.set()
            restarting.join()


def test_nobody_there_is_no_answer(endpoint: str) -> None:
    with Client(endpoint, timeout=0.5, server_key=SERVER[0], client_key=CLIENT) as client:
        with pytest.raises(errors.NoAnswer, match="nobody listens"):
            client.classify("a")


def test_the_async_client_says_the_same(guarded: tuple[str, AllowOnly]) -> None:
    import asyncio

    async def main() -> None:
        async with AsyncClient(guarded[0], timeout=60, server_key=keys()[0], client_key=CLIENT) as client:
            with pytest.raises(errors.WrongServerKey):
                await client.classify("a")
        async with AsyncClient(guarded[0], timeout=60, server_key=SERVER[0], client_key=keys()) as client:
            with pytest.raises(errors.KeyNotAllowed):
                await client.classify("a")
        async with AsyncClient(guarded[0], timeout=60, server_key=SERVER[0], client_key=CLIENT) as client:
            assert (await client.classify("a")).label == "positive"

    asyncio.run(main())


def test_keys_are_read_from_files(guarded: tuple[str, AllowOnly], tmp_path: Path) -> None:
    server_public, _ = zmq.auth.create_certificates(tmp_path, "server")
    _, client_secret = zmq.auth.create_certificates(tmp_path, "client")
    Path(client_secret).chmod(0o600)
    own_public, _ = zmq.auth.load_certificate(client_secret)
    endpoint, guard = guarded
    guard.allowed.add(own_public.decode())
    with Client(endpoint, timeout=60, server_key=SERVER[0], client_key=client_secret) as client:
        assert client.classify("a").label == "positive"
    with Client(endpoint, timeout=60, server_key=server_public, client_key=client_secret) as client:
        with pytest.raises(errors.WrongServerKey):
            client.classify("a")


def test_key_files_that_will_not_do(tmp_path: Path) -> None:
    public, secret = map(str, zmq.auth.create_certificates(tmp_path, "client"))
    (tmp_path / "empty").write_text("")
    (tmp_path / "empty").chmod(0o600)
    (tmp_path / "client.key_secret").chmod(0o600)
    server_key = SERVER[0]
    with pytest.raises(errors.EndpointError, match="no server key"):
        Client(client_key=secret)
    with pytest.raises(errors.EndpointError, match=r"cannot read the key file .*missing"):
        Client(server_key=server_key, client_key=tmp_path / "missing")
    with pytest.raises(errors.EndpointError, match=r"cannot read the key file .*empty"):
        Client(server_key=server_key, client_key=tmp_path / "empty")
    with pytest.raises(errors.EndpointError, match="cannot read the key file"):
        Client(server_key="too short")
    with pytest.raises(errors.EndpointError, match="40 characters"):
        Client(server_key=server_key, client_key=("a", "b"))
    with pytest.raises(errors.EndpointError, match="not valid Z85"):
        Client("tcp://127.0.0.1:1", server_key="~" * 40)
    (tmp_path / "client.key").chmod(0o600)
    with pytest.raises(errors.EndpointError, match="holds no secret key"):
        Client(server_key=server_key, client_key=public)
    (tmp_path / "client.key_secret").chmod(0o644)
    with pytest.raises(errors.EndpointError, match=r"others may read it .mode 0644.\nhint: chmod 600"):
        Client(server_key=server_key, client_key=secret)
