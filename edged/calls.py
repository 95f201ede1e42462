"""Requests in flight: ids, resending, busy back-off, time limits. No sockets, no clock: the clients drive it.

A request is sent again, with the same id, when the daemon was silent for a while, when the connection was
lost, and (after the pause the daemon asked for, with jitter) when it answered busy, draining or unavailable.
While it answers others, a slow daemon is not made slower by asking twice. The first reply to an id resolves
it; later ones are dropped.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import TYPE_CHECKING, Callable

from edged.errors import Busy, Draining, EdgedError, NoAnswer, ReplyError, TooLarge, Unavailable
from edged.protocol import Reply, decode_reply, encode_request

if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSALS = (Busy, Draining, Unavailable)
MAX_PAUSE_S = 5.0
DEFAULT_PAUSE_S = 0.1
# A daemon that is merely slow must not be flooded with copies of what it already has.
LEAST_RESEND_S = 0.5
# libzmq closes a connection that sends a frame over MAXMSGSIZE: this large, and cut off three times, is that.
SUSPECT_BYTES = 64 << 10
CUT_OFFS = 3


class Call:
    """One request and, once `done`, its outcome. Times are seconds of the owner's monotonic clock."""

    __slots__ = (
        "body", "deadline", "id", "lost", "outcome", "patient",
        "pausing", "refusal", "refusals", "sends", "timer",
    )  # fmt: skip

    def __init__(self, call_id: int, body: bytes, deadline: float, *, patient: bool) -> None:
        self.id = call_id
        self.body = body
        self.deadline = deadline
        self.patient = patient
        self.pausing = False
        self.timer = deadline
        self.sends = 0
        self.lost = 0
        self.refusals = 0
        self.refusal: ReplyError | None = None
        self.outcome: Reply | EdgedError | None = None

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self.outcome is not None

    def reply(self) -> Reply:
        """The reply. Raises the `EdgedError` that ended the call instead."""
        if isinstance(self.outcome, Reply):
            return self.outcome
        raise self.outcome if self.outcome is not None else RuntimeError("the call is still in flight")


class Calls:
    """All calls of one client that are in flight."""

    def __init__(self, timeout: float, retries: int, no_answer: Callable[[Call], NoAnswer]) -> None:
        """`timeout` bounds a call, in seconds; `retries` resends go out at even distances within it.

        They are at least `LEAST_RESEND_S` apart. Raises ValueError for a bound that is none.
        """
        if timeout <= 0 or retries < 0:
            raise ValueError("timeout must be above 0, and retries not below")
        self._timeout = timeout
        self._retries = retries
        self._silence = max(LEAST_RESEND_S, timeout / (retries + 1))
        self._no_answer = no_answer
        self._in_flight: dict[int, Call] = {}
        self._unsent: deque[Call] = deque()
        self._next_timer = math.inf
        self._last_id = 0
        self._answered = -math.inf  # when the daemon last answered any call, refusals apart

    def __len__(self) -> int:
        return len(self._in_flight)

    def begin(
        self,
        now: float,
        texts: str | Sequence[str] | None = None,
        *,
        op: str = "classify",
        deadline_ms: int | None = None,
        patient: bool = False,
    ) -> Call:
        """A new call, waiting to be sent. A patient one outwaits the timeout while others are answered."""
        self._last_id += 1
        body = encode_request(self._last_id, texts, op=op, deadline_ms=deadline_ms)
        call = Call(self._last_id, body, now + self._timeout, patient=patient)
        self._in_flight[call.id] = call
        self._unsent.append(call)
        self._set_timer(call, call.deadline)
        return call

    def next_unsent(self) -> Call | None:
        """The call whose body should be sent next; tell `sent` when that is done."""
        while self._unsent and self._unsent[0].done:
            self._unsent.popleft()
        return self._unsent[0] if self._unsent else None

    def sent(self, call: Call, now: float) -> None:
        """The body of `call`, which `next_unsent` gave, was handed to ZeroMQ."""
        self._unsent.popleft()
        call.sends += 1
        call.pausing = False
        self._set_timer(call, min(call.deadline, now + self._silence))

    def receive(self, body: bytes, now: float) -> Call | None:
        """Take a reply; gives the call that it ends, if any. Raises `ReplyNotUnderstood`."""
        reply = decode_reply(body)
        call = self._call_of(reply)
        if call is None:
            return None
        if isinstance(reply.error, REFUSALS) and self._retries:
            return self._refused(call, reply.error, now)
        self._answered = now
        self._finish(call, reply.error or reply)
        return call

    def reconnected(self) -> list[Call]:
        """The connection was lost and is back: whatever was sent is sent again. Gives the calls this ends."""
        finished = []
        waiting = set(map(id, self._unsent))
        for call in list(self._in_flight.values()):
            if not call.sends or id(call) in waiting:
                continue
            call.lost += 1
            if call.lost >= CUT_OFFS and len(call.body) >= SUSPECT_BYTES:
                self._finish(call, _cut_off(call))
                finished.append(call)
            elif self._retries:
                self._unsent.append(call)
                self._set_timer(call, call.deadline)
        return finished

    def tick(self, now: float) -> list[Call]:
        """Whose time has come: marks calls for sending again, gives those that ran out of time."""
        if now < self._next_timer:
            return []
        expired = []
        for call in [call for call in self._in_flight.values() if call.timer <= now]:
            call.deadline = self._deadline(call)
            if now >= call.deadline:
                self._finish(call, call.refusal or self._no_answer(call))
                expired.append(call)
            elif not call.pausing and self._answered + self._silence > now:
                call.timer = min(call.deadline, self._answered + self._silence)
            else:
                self._unsent.append(call)
                call.timer = call.deadline
        self._next_timer = min((call.timer for call in self._in_flight.values()), default=math.inf)
        return expired

    def wait(self, now: float) -> float:
        """Seconds until `tick` may have something to do; infinite when nothing is in flight."""
        return max(0.0, self._next_timer - now)

    def fail_all(self, error: EdgedError) -> list[Call]:
        """End every call with `error`; gives them."""
        failed = list(self._in_flight.values())
        for call in failed:
            self._finish(call, error)
        return failed

    def forget(self, call: Call) -> None:
        """Nobody waits for `call` any more."""
        self._in_flight.pop(call.id, None)
        call.outcome = call.outcome or EdgedError("the call was given up", "")

    def _call_of(self, reply: Reply) -> Call | None:
        if reply.id is None and reply.error is not None and len(self._in_flight) == 1:
            return next(iter(self._in_flight.values()))
        return self._in_flight.get(reply.id) if isinstance(reply.id, int) else None

    def _refused(self, call: Call, error: ReplyError, now: float) -> Call | None:
        """Pause as long as the daemon asked, doubled at each refusal, plus up to as much again at random."""
        asked = DEFAULT_PAUSE_S if error.retry_after_ms is None else error.retry_after_ms / 1000
        pause = min(max(asked, 0.001) * 2 ** min(call.refusals, 10), MAX_PAUSE_S) * (1 + random.random())
        call.refusals += 1
        call.refusal = error
        if now + pause >= self._deadline(call):
            self._finish(call, error)
            return call
        call.pausing = True
        self._set_timer(call, now + pause)
        return None

    def _deadline(self, call: Call) -> float:
        return max(call.deadline, self._answered + self._timeout) if call.patient else call.deadline

    def _set_timer(self, call: Call, when: float) -> None:
        call.timer = when
        # A bound from below: a call that ends early leaves it, which costs one needless look at the rest.
        self._next_timer = min(self._next_timer, when)

    def _finish(self, call: Call, outcome: Reply | EdgedError) -> None:
        del self._in_flight[call.id]
        call.outcome = outcome


def _cut_off(call: Call) -> TooLarge:
    return TooLarge(
        f"the daemon closed the connection each time this request of {len(call.body):,} bytes was sent",
        "it is larger than max_message_bytes: send fewer reviews in one request (classify_many does)",
    )
