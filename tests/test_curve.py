"""CURVE on the real daemon, over loopback TCP, with keys that edgectl made: who gets in, who no longer."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import zmq.auth

from edged import Client, cli, errors
from tests.daemon import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon import Daemon


class Keys:
    """A server's pair, a folder of allowed clients, and edgectl to work on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients = folder / "clients"
        self.clients.mkdir(mode=0o755)
        self.secret = folder / "server.key_secret"
        assert self("new", "--server") == 0

    def __call__(self, action: str, *arguments: str) -> int:
        places = ["--server-key", str(self.secret), "--clients", str(self.clients)]
        return cli.main(["keys", action, *places, *arguments])

    def new(self, name: str) -> Path:
        """Make a client's pair; gives the file of both halves."""
        assert self("new", name, "--folder", str(self.folder)) == 0
        return self.folder / f"{name}.key_secret"

    def allow(self, name: str, daemon: Daemon | None = None) -> None:
        """Allow a client; a daemon that runs is waited for until it knows."""
        seen = daemon.log.count('"event":"key_allowed"') if daemon else 0
        assert self("allow", str(self.folder / f"{name}.key")) == 0
        if daemon:
            daemon.says('"event":"key_allowed"', seen + 1)

    @property
    def server(self) -> Path:
        return self.folder / "server.key"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def guarded(make_daemon: Callable[..., Daemon], keys: Keys, endpoint: str) -> Daemon:
    """A daemon with CURVE on TCP, and a unix socket beside it."""
    daemon = make_daemon(curve={"server_key": str(keys.secret), "clients": str(keys.clients)})
    daemon.settings["endpoints"] = [endpoint, daemon.endpoint]
    return daemon.start()


def becomes(client: Client, wanted: type[errors.EdgedError] | None) -> float:
    """Classify until that is what happens, None for an answer; gives the seconds it took."""
    start = time.monotonic()
    while (happened := happens(client)) is not wanted:
        assert time.monotonic() < start + 60, f"still {happened} after 60 s"
    return time.monotonic() - start


def happens(client: Client) -> type[errors.EdgedError] | None:
    try:
        client.classify("good")
    except errors.Denied as error:
        return type(error)
    return None


def test_allow_serve_revoke_allow(guarded: Daemon, keys: Keys, endpoint: str) -> None:
    secret = keys.new("till")
    keys.allow("till", guarded)
    with Client(endpoint, timeout=60, server_key=keys.server, client_key=secret) as client:
        assert client.classify("A wonderful wine.").label == "positive"
        assert keys("revoke", "till") == 0
        took = becomes(client, errors.Denied)
        print(f"refused {1000 * took:.0f} ms after it was revoked, on the open connection")
        with Client(guarded.endpoint, timeout=60) as local:
            assert local.stats()["counters"]["failed"]["denied"] >= 1
        keys.allow("till")
        becomes(client, None)
    guarded.says('"event":"key_revoked"')
    guarded.says('"event":"key_denied"')


def test_a_key_that_nobody_allowed(guarded: Daemon, keys: Keys, endpoint: str) -> None:
    secret = keys.new("stranger")
    with Client(endpoint, timeout=60, server_key=keys.server, client_key=secret) as client:
        with pytest.raises(errors.KeyNotAllowed, match="this client's key is not allowed"):
            client.classify("good")
    public, _ = zmq.auth.load_certificate(secret)
    guarded.says("handshake_denied")
    refused = next(json.loads(line) for line in guarded.log.splitlines() if "handshake_denied" in line)
    assert refused["key"] == public.decode()
    with Client(guarded.endpoint, timeout=60) as local:
        while local.stats()["counters"]["connections"]["denied"] == 0:
            time.sleep(0.01)  # libzmq tells the monitor of it after its log line


def test_a_wrong_server_key(guarded: Daemon, keys: Keys, endpoint: str) -> None:
    secret = keys.new("till")
    keys.allow("till")
    wrong, _ = zmq.curve_keypair()
    with Client(endpoint, timeout=60, server_key=wrong.decode(), client_key=secret) as client:
        with pytest.raises(errors.WrongServerKey, match="the server's key is wrong"):
            client.classify("good")
    guarded.says("wrong server key")
    with Client(guarded.endpoint, timeout=60) as local:
        assert local.stats()["counters"]["connections"]["protocol"] >= 1


def test_no_keys_at_all(guarded: Daemon, endpoint: str) -> None:
    with Client(endpoint, timeout=60) as client, pytest.raises(errors.HandshakeError, match="wants CURVE"):
        client.classify("good")
    guarded.says('"event":"handshake_failed"')


def test_nobody_there(keys: Keys, endpoint: str) -> None:
    secret = keys.new("till")
    with Client(endpoint, timeout=1, retries=0, server_key=keys.server, client_key=secret) as client:
        with pytest.raises(errors.NoAnswer, match="nobody listens"):
            client.classify("good")


def test_the_unix_socket_needs_no_key(guarded: Daemon) -> None:
    with Client(guarded.endpoint, timeout=60) as client:
        assert client.classify("A wonderful wine.").label == "positive"


def test_no_secret_is_ever_logged(guarded: Daemon, keys: Keys, endpoint: str) -> None:
    secret = keys.new("till")
    keys.allow("till", guarded)
    with Client(endpoint, timeout=60, server_key=keys.server, client_key=secret) as client:
        client.classify("good")
    for path in (keys.secret, secret):
        _, hidden = zmq.auth.load_certificate(path)
        assert hidden is not None
        assert hidden.decode() not in guarded.log


# --- what the daemon refuses to start with ------------------------------------------------------------------


def refused(daemon: Daemon) -> str:
    """Start a daemon that must not start; gives what it said."""
    assert daemon.start(ready=False).wait() == 78
    return daemon.log


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0"])
def test_tcp_beyond_loopback_needs_keys(make_daemon: Callable[..., Daemon], address: str) -> None:
    said = refused(make_daemon(endpoints=[address]))
    assert address in said
    assert "without CURVE keys" in said
    assert "insecure = true" in said


def test_insecure_says_so_in_so_many_words(make_daemon: Callable[..., Daemon]) -> None:
    with make_daemon(endpoints=["tcp://0.0.0.0:*"], insecure=True).start() as daemon:
        assert "ready" in daemon.log


def test_a_secret_that_others_may_read(make_daemon: Callable[..., Daemon], keys: Keys) -> None:
    keys.secret.chmod(0o640)
    said = refused(make_daemon(curve={"server_key": str(keys.secret), "clients": str(keys.clients)}))
    assert f"chmod 600 {keys.secret}" in said


def test_the_public_half_is_not_enough(make_daemon: Callable[..., Daemon], keys: Keys) -> None:
    keys.server.chmod(0o600)
    said = refused(make_daemon(curve={"server_key": str(keys.server), "clients": str(keys.clients)}))
    assert "public half" in said


def test_a_folder_of_clients_that_others_may_change(make_daemon: Callable[..., Daemon], keys: Keys) -> None:
    keys.clients.chmod(0o777)
    said = refused(make_daemon(curve={"server_key": str(keys.secret), "clients": str(keys.clients)}))
    assert "may be changed by others" in said


# --- edgectl keys -------------------------------------------------------------------------------------------


def test_files_have_their_modes_and_read_as_certificates(keys: Keys) -> None:
    secret = keys.new("till")
    public = secret.with_suffix(".key")
    assert [path.stat().st_mode & 0o777 for path in (keys.secret, keys.server, secret, public)] == [
        0o600,
        0o644,
        0o600,
        0o644,
    ]
    both = zmq.auth.load_certificate(secret)
    assert both[1] is not None
    assert zmq.curve_public(both[1]) == both[0]
    assert zmq.auth.load_certificate(public) == (both[0], None)


def test_list_and_show(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys("list") == 0
    assert "no client may connect" in capsys.readouterr().out
    secret = keys.new("till")
    keys.allow("till")
    (keys.clients / "broken.key").write_text("nothing")
    public = zmq.auth.load_certificate(secret)[0].decode()
    assert keys("allow", public, "--name", "till") == 0  # once more is no error
    capsys.readouterr()
    assert keys("list") == 0
    listed = capsys.readouterr().out
    assert f"till    {public}" in listed
    assert "NO KEY" in listed
    assert keys("show") == 0
    assert capsys.readouterr().out.strip() == zmq.auth.load_certificate(keys.server)[0].decode()


def test_the_allowed_file_holds_no_secret(keys: Keys) -> None:
    secret = keys.new("till")
    assert keys("allow", str(secret), "--name", "till") == 0
    assert zmq.auth.load_certificate(keys.clients / "till.key")[1] is None
    assert [path.name for path in keys.clients.iterdir()] == ["till.key"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("new ../x", 64, "no name for a client"),
        ("new till --folder {}", 73, "it is not overwritten"),
        ("new --server", 73, "it is not overwritten"),
        ("new x --folder /nonexistent", 73, "no folder /nonexistent"),
        ("allow /nonexistent.key", 66, "no key file"),
        ("allow /etc/hostname", 65, "holds no public CURVE key"),
        ("allow 0000000000000000000000000000000000000000", 64, "--name"),
        ("revoke nobody", 66, "edgectl keys list"),
        ("list --clients /nonexistent", 66, "no folder of clients"),
        ("show --server-key /nonexistent", 66, "edgectl keys new"),
    ],
)
def test_errors_say_what_to_do(
    keys: Keys, capsys: pytest.CaptureFixture[str], arguments: str, code: int, said: str
) -> None:
    keys.new("till")
    capsys.readouterr()
    assert keys(*arguments.format(keys.folder).split()) == code
    assert said in capsys.readouterr().err


def test_one_key_one_name(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    keys.new("till")
    keys.new("other")
    keys.allow("till")
    assert keys("allow", str(keys.folder / "till.key"), "--name", "again") == 73
    assert keys("allow", str(keys.folder / "other.key"), "--name", "till") == 73
    assert "edgectl keys revoke till" in capsys.readouterr().err
