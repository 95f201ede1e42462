"""What a service needs around its sockets: ROUTER options, signals, systemd's readiness, the journal."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from types import FrameType

HIGH_WATER_MARK = 64
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
SEND_TIMEOUT_MS = 10_000
DRAIN_S = 10.0


def bind(context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str) -> zmq.Socket[bytes]:
    """A bound socket with bounded queues."""
    bound = context.socket(kind)
    bound.rcvhwm = bound.sndhwm = HIGH_WATER_MARK
    bound.maxmsgsize = MAX_MESSAGE_BYTES
    bound.sndtimeo = SEND_TIMEOUT_MS
    bound.linger = 1000
    if kind == zmq.ROUTER:
        bound.router_mandatory = True
    try:
        bound.bind(endpoint)
    except zmq.ZMQError as error:
        bound.close()
        raise OSError(f"cannot bind {endpoint}: {error.strerror}") from error
    return bound


def send(router: zmq.Socket[bytes], frames: list[bytes]) -> None:
    """Send a reply; one whose client is gone, or does not read for 10 s, is dropped."""
    try:
        router.send_multipart(frames)
    except zmq.ZMQError as error:
        if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
            raise
        logging.getLogger("edged.baselines").warning("dropped a reply: %s", error.strerror)


class StopSignal:
    """SIGTERM and SIGINT as something a poller can wait for."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        self.seen = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.seen = True

    def fileno(self) -> int:
        """Readable once a signal came."""
        return self._reader.fileno()


def notify(state: str) -> None:
    """Tell systemd, if it started us and systemd-python is there."""
    if "NOTIFY_SOCKET" not in os.environ:
        return
    try:
        import systemd.daemon  # noqa: PLC0415 - optional
    except ImportError:
        logging.getLogger("edged.baselines").warning("systemd-python is missing: no readiness for systemd")
        return
    try:
        systemd.daemon.notify(state)
    except OSError as error:
        logging.getLogger("edged.baselines").warning("cannot tell systemd %s: %s", state, error)


def log_to_journal_or_stderr(name: str) -> None:
    """The journal, with levels, under systemd; standard error elsewhere."""
    logging.basicConfig(level=logging.INFO, handlers=[_handler(name)])


def _handler(name: str) -> logging.Handler:
    if "JOURNAL_STREAM" in os.environ:
        try:
            import systemd.journal  # noqa: PLC0415 - optional
        except ImportError:
            pass
        else:
            handler: Any = systemd.journal.JournalHandler(SYSLOG_IDENTIFIER=name)
            return handler  # type: ignore[no-any-return]
    plain = logging.StreamHandler(sys.stderr)
    plain.setFormatter(logging.Formatter(f"{name}: %(levelname)s: %(message)s"))
    return plain
