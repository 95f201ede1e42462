"""How a client reaches the daemon: socket options, CURVE keys, and what the socket monitor says went wrong.

A wrong key looks like silence: only the monitor's handshake events tell "the server's key is wrong" from
"this client's key is not allowed" from "nobody answers".
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import zmq

from edged.errors import EndpointError, HandshakeError, KeyNotAllowed, NoAnswer, WrongServerKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.calls import Call

DEFAULT_ENDPOINT = "ipc:///run/edged/edged.sock"
RECONNECT_MS = 100
RECONNECT_MAX_MS = 3000
HANDSHAKE_MS = 5000
HEARTBEAT_MS = 5000
Z85_KEY_LENGTH = 40
MECHANISM_MISMATCH = 0x11000002  # ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
# A server drops a HELLO it cannot open without a word; a daemon that dies in mid-handshake does so once.
SILENT_FAILURES = 2
PROBE_S = 0.5

EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

ClientKey = Union[str, "os.PathLike[str]", tuple[str, str]]
"""(public, secret) in Z85, or the path of a key file that holds both."""


class Connection:
    """One DEALER's way to the daemon, and its state as the monitor tells it."""

    def __init__(
        self,
        endpoint: str | None = None,
        server_key: str | os.PathLike[str] | None = None,
        client_key: ClientKey | None = None,
    ) -> None:
        """Raises `EndpointError` for keys that cannot be read."""
        self.endpoint = endpoint or os.environ.get("EDGED_ENDPOINT") or DEFAULT_ENDPOINT
        self._server_key = None if server_key is None else _server_key(server_key)
        self._client_key = None if client_key is None else _client_key(client_key)
        if self._client_key and not self._server_key:
            raise EndpointError("a client key was given, but no server key", "give server_key too")
        self._keys_fit = False
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the socket is about to be made anew."""
        self.connected = False
        self.failure: HandshakeError | None = None
        self._was_connected = False
        self._silent_failures = 0

    def open(self, context: zmq.Context[Any]) -> tuple[Any, Any]:
        """A connected DEALER and its monitor, of the context's own socket type. Raises `EndpointError`."""
        self.reset()
        dealer = context.socket(zmq.DEALER)
        monitor = None
        try:
            self._configure(dealer)
            # Before connect: it must see the first handshake.
            monitor = dealer.get_monitor_socket(EVENTS)
            dealer.connect(self.endpoint)
        except (zmq.ZMQError, EndpointError) as error:
            close(dealer, monitor)
            if isinstance(error, EndpointError):
                raise
            hint = "an ipc path has at most 107 bytes" if error.errno == errno.ENAMETOOLONG else None
            raise EndpointError(f"{self.endpoint}: {error.strerror}", hint) from None
        return dealer, monitor

    def _configure(self, dealer: Any) -> None:
        dealer.linger = 0  # whoever closes has its answers, or has given them up
        dealer.immediate = 1
        dealer.reconnect_ivl = RECONNECT_MS
        dealer.reconnect_ivl_max = RECONNECT_MAX_MS
        dealer.handshake_ivl = HANDSHAKE_MS
        if self.endpoint.startswith("tcp:"):
            dealer.heartbeat_ivl = HEARTBEAT_MS
            dealer.ipv6 = "[" in self.endpoint
        if self._server_key:
            public, secret = self._client_key or zmq.curve_keypair()
            try:
                dealer.curve_serverkey = self._server_key
                dealer.curve_publickey = public
                dealer.curve_secretkey = secret
            except zmq.ZMQError:
                raise EndpointError("a CURVE key is not valid Z85", "copy the key again, whole") from None

    def saw(self, frames: Sequence[bytes]) -> bool:
        """Take a monitor event; True when a lost connection is back. A failed handshake sets `failure`."""
        event, value = struct.unpack("=HI", frames[0])
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            back = self._was_connected
            self.connected = self._was_connected = self._keys_fit = True
            self._silent_failures = 0
            return back
        if event == zmq.EVENT_DISCONNECTED:
            self.connected = False
        else:
            self.failure = self._handshake_failure(event, value)
        return False

    def _handshake_failure(self, event: int, value: int) -> HandshakeError | None:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return KeyNotAllowed(f"this client's key is not allowed at {self.endpoint} (ZAP status {value})")
        if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return self._protocol_failure(value)
        self._silent_failures += 1
        mechanism = _mechanism(self.endpoint) if self._silent_failures >= SILENT_FAILURES else None
        if mechanism is None:
            return None
        if (mechanism == "CURVE") != bool(self._server_key):
            return self._mismatch()
        # Keys that once fitted still do: the daemon is being restarted, by a slow board for long.
        if self._server_key and not self._keys_fit:
            return WrongServerKey(f"the server's key is wrong: {self.endpoint} does not hold its secret")
        return None

    def _protocol_failure(self, value: int) -> HandshakeError:
        if value == MECHANISM_MISMATCH:
            return self._mismatch()
        return HandshakeError(
            f"{self.endpoint} broke the ZeroMQ handshake (protocol error {value:#x})",
            "is something else than edged listening there?",
        )

    def _mismatch(self) -> HandshakeError:
        if self._server_key:
            return HandshakeError(
                f"{self.endpoint} does not use CURVE, but this client has a server key",
                "leave the keys out, or set curve.* in the daemon's config",
            )
        return HandshakeError(
            f"{self.endpoint} wants CURVE, and this client has no keys",
            "give server_key and client_key; `edgectl keys` makes and shows them",
        )

    def no_answer(self, call: Call) -> NoAnswer:
        """The error for a call that ran out of time, as exact as the connection's state allows."""
        if self.connected:
            return NoAnswer(
                f"{self.endpoint} took the request {call.sends} times, but gave no answer in time",
                "the daemon hangs or is overloaded: see its log, or give a longer timeout",
            )
        if self._was_connected:
            return NoAnswer(f"the connection to {self.endpoint} was lost and did not come back in time")
        fault = socket_fault(self.endpoint)
        return NoAnswer(f"no answer: nobody listens at {self.endpoint}", ": ".join(fault) if fault else None)


def close(dealer: Any, monitor: Any) -> None:
    """Close a DEALER and its monitor (None if there is none)."""
    if monitor is not None:
        dealer.disable_monitor()
        monitor.close()
    dealer.close()


def _mechanism(endpoint: str) -> str | None:
    """The security mechanism that the service at `endpoint` greets with; None if it does not greet.

    A server without CURVE and one with another key may both just hang up on a CURVE client: it depends on who
    reads the other's greeting first. The greeting is ZMTP 3's (https://rfc.zeromq.org/spec/23/): 10 bytes of
    signature, 2 of version, 20 of mechanism.
    """
    import socket  # noqa: PLC0415 - not needed until something is wrong

    scheme, _, address = endpoint.partition("://")
    host, _, port = address.rpartition(":")
    try:
        if scheme == "ipc":
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(PROBE_S)
            peer.connect(address)
        else:
            peer = socket.create_connection((host.strip("[]"), int(port)), PROBE_S)
        with peer:
            peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00")
            greeting = b""
            while len(greeting) < 32 and (part := peer.recv(64)):
                greeting += part
    except (OSError, ValueError):
        return None
    return greeting[12:32].rstrip(b"\0").decode(errors="replace") or None


def socket_fault(endpoint: str) -> tuple[str, str] | None:
    """What is wrong with the file behind an ipc endpoint, and what to do about it; None if nothing is."""
    scheme, _, name = endpoint.partition("://")
    if scheme != "ipc" or name.startswith("@"):
        return None
    path = Path(name)
    start = "start the daemon (systemctl start edged), or set EDGED_ENDPOINT to where it listens"
    try:
        status = path.stat()
    except PermissionError:
        return f"no permission to enter {path.parent}", _join_group(path.parent)
    except OSError:
        return f"there is no socket {path}", start
    if not stat.S_ISSOCK(status.st_mode):
        return f"{path} is no socket", "remove it, and start the daemon"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"no permission for {path}, mode {stat.S_IMODE(status.st_mode):04o}", _join_group(path)
    return None


def _join_group(path: Path) -> str:
    try:
        group = path.group()
    except (OSError, KeyError):
        group = "edged"
    return f"usermod -aG {group} {os.environ.get('USER') or os.getuid()}, then log in again"


def _server_key(value: str | os.PathLike[str]) -> bytes:
    if isinstance(value, str) and len(value) == Z85_KEY_LENGTH and not Path(value).is_file():
        return value.encode()
    return _load(value)[0]


def _client_key(value: ClientKey) -> tuple[bytes, bytes]:
    if isinstance(value, tuple):
        public, secret = value
        if len(public) != Z85_KEY_LENGTH or len(secret) != Z85_KEY_LENGTH:
            raise EndpointError("client_key must be two Z85 keys of 40 characters", "give (public, secret)")
        return public.encode(), secret.encode()
    mode = _mode(value)
    if mode & 0o077:
        raise EndpointError(
            f"{value} holds a secret key, but others may read it (mode {mode:04o})", "chmod 600 it"
        )
    public_key, secret_key = _load(value)
    if secret_key is None:
        raise EndpointError(
            f"{value} holds no secret key", "give the client's own key file, not its public half"
        )
    return public_key, secret_key


def _mode(path: str | os.PathLike[str]) -> int:
    try:
        return Path(path).stat().st_mode & 0o7777
    except OSError as error:
        raise EndpointError(f"cannot read the key file {path}: {error.strerror}", "check the path") from None


def _load(path: str | os.PathLike[str]) -> tuple[bytes, bytes | None]:
    from zmq.auth import load_certificate  # noqa: PLC0415 - slow to load, and seldom wanted

    try:
        return load_certificate(path)
    except (OSError, ValueError) as error:
        raise EndpointError(
            f"cannot read the key file {os.fspath(path)!r}: {error}",
            "it must be a CURVE certificate, as `edgectl keys new` writes it, or a key of 40 characters",
        ) from None
