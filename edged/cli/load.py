"""The load that `edgectl bench` puts on a daemon: requests on raw sockets, every reply timed."""

from __future__ import annotations

import ctypes
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from time import CLOCK_MONOTONIC, monotonic, process_time
from typing import TYPE_CHECKING, Any

import zmq

from edged import protocol
from edged.errors import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.connection import Connection

STUCK_S = 10.0
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


@dataclass
class Outcome:
    """What came back. Latencies are in seconds, of good replies to requests sent after the warm-up."""

    latencies: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    """When each of those replies came, in seconds from the end of the warm-up."""
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_share: float = 0.0
    """Of one core, by the generator itself: near 1 it, not the daemon, may be the limit."""

    def percentile(self, share: float) -> float:
        """The smallest latency that at least `share` percent do not exceed; 0 where there is none."""
        ordered = sorted(self.latencies)
        rank = -(-len(ordered) * share // 100)
        return ordered[max(0, int(rank) - 1)] if ordered else 0.0


class Timer:
    """A descriptor (timerfd) that can be read from a moment on.

    zmq's poll counts in milliseconds; polling through the last one would take the processor from the daemon
    that is measured.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._checked(self._libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))

    def set(self, due: float) -> None:
        """Readable from `due` on, by the monotonic clock; 0: never."""
        whole = int(due)
        when = (ctypes.c_long * 4)(0, 0, whole, int((due - whole) * 1e9))  # struct itimerspec
        self._checked(self._libc.timerfd_settime(self.fd, _ABSOLUTE, when, None))

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result


class Load:
    """Clients with a DEALER each, on one thread.

    Closed loop: every client keeps `outstanding` requests under way. Open loop (`rate`, requests a second in
    all): requests leave on a fixed schedule whatever comes back, and a latency counts from the moment the
    schedule names, so that a stall is charged to every request that it delayed (no coordinated omission).
    """

    def __init__(
        self,
        connections: Sequence[Connection],
        batches: Sequence[Sequence[str]],
        *,
        outstanding: int = 1,
        rate: float = 0.0,
    ) -> None:
        self._context = zmq.Context()
        opened = [connection.open(self._context) for connection in connections]
        self._sockets: list[Any] = [socket for socket, _ in opened]
        self._monitors = [monitor for _, monitor in opened]
        self._heads = [_without_id(batch) for batch in batches]
        self._outstanding, self._rate = outstanding, rate
        self._sent: dict[int, float] = {}  # by id, when the request was due
        self._next = 0
        self._timer = Timer()
        self._poller = zmq.Poller()
        self._poller.register(self._timer.fd, zmq.POLLIN)
        for socket in self._sockets:
            socket.sndhwm = socket.rcvhwm = 0
            self._poller.register(socket, zmq.POLLIN)

    def close(self) -> None:
        """Close the sockets."""
        for socket in self._sockets:
            socket.disable_monitor()
            socket.close(0)
        for monitor in self._monitors:
            monitor.close(0)
        self._context.term()
        self._timer.close()

    def run(self, seconds: float, warmup: float) -> Outcome:
        """Put the load on for `warmup` and then `seconds`, and wait for the last reply.

        Raises:
            NoAnswer: Nothing came back for ten seconds.
        """
        outcome = Outcome()
        start = monotonic()
        self._from, self._until = start + warmup, start + warmup + seconds
        used = process_time()
        (self._open if self._rate else self._closed)(outcome, start)
        outcome.seconds = max(monotonic() - self._from, 1e-9)
        outcome.cpu_share = (process_time() - used) / max(monotonic() - start, 1e-9)
        return outcome

    def _send(self, socket: Any, due: float) -> None:
        self._sent[self._next] = due
        socket.send(b'{"id":%d,%b' % (self._next, self._heads[self._next % len(self._heads)]))
        self._next += 1

    def _closed(self, outcome: Outcome, start: float) -> None:
        for socket in self._sockets:
            for _ in range(self._outstanding):
                self._send(socket, start)
        while self._sent:
            for socket in self._ready():
                for _ in range(self._receive(socket, outcome)):
                    if (now := monotonic()) < self._until:
                        self._send(socket, now)

    def _open(self, outcome: Outcome, start: float) -> None:
        count, due = 0, start
        while self._sent or due < self._until:
            now = monotonic()
            while due <= now and due < self._until:
                self._send(self._sockets[count % len(self._sockets)], due)
                count += 1
                due = start + count / self._rate
            self._timer.set(due if due < self._until else 0)
            for socket in self._ready():
                self._receive(socket, outcome)

    def _ready(self) -> list[Any]:
        found = [socket for socket, _ in self._poller.poll(int(STUCK_S * 1000))]
        if not found:
            raise NoAnswer(f"no reply for {STUCK_S:g} s with {len(self._sent)} requests under way")
        return [socket for socket in found if socket != self._timer.fd]

    def _receive(self, socket: Any, outcome: Outcome) -> int:
        """Take every reply that has arrived; how many there were."""
        count = 0
        while True:
            try:
                body = socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return count
            count += 1
            now = monotonic()
            due = self._sent.pop(_id_of(body))
            code = _error_of(body)
            if code:
                outcome.errors[code] += 1
            elif due >= self._from:
                outcome.latencies.append(now - due)
                outcome.arrivals.append(now - self._from)


def _without_id(batch: Sequence[str]) -> bytes:
    """A request body from behind its id on."""
    texts = batch[0] if len(batch) == 1 else batch
    return protocol.encode_request(0, texts).partition(b",")[2]


def _id_of(body: bytes) -> int:
    """Replies start with {"id":N, by the wire format: parsing them in full would measure the parser."""
    return int(body[6 : body.index(b",")])


def _error_of(body: bytes) -> str:
    if body[body.index(b",") + 1 :].startswith(b'"error":'):
        return str(json.loads(body)["error"]["code"])
    return ""
