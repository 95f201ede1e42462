"""When requests are sent again, and when they are given up, by a clock that the test turns."""

from __future__ import annotations

from typing import Any

import pytest

from edged import errors
from edged.calls import CUT_OFFS, MAX_PAUSE_S, SUSPECT_BYTES, Call, Calls
from edged.protocol import Prediction, Reply, encode_error, encode_results

TIMEOUT = 8.0
RETRIES = 3  # so silence is 2 s


class Bench:
    """Calls, the bodies they send, and the time."""

    def __init__(self, timeout: float = TIMEOUT, retries: int = RETRIES) -> None:
        self.now = 100.0
        self.calls = Calls(timeout, retries, lambda call: errors.NoAnswer(f"{call.sends} sends"))
        self.sent: list[int] = []

    def begin(self, texts: Any = "a", **options: Any) -> Call:
        call = self.calls.begin(self.now, texts, **options)
        self.send()
        return call

    def send(self) -> None:
        while (call := self.calls.next_unsent()) is not None:
            self.sent.append(call.id)
            self.calls.sent(call, self.now)

    def wait(self, seconds: float) -> list[Call]:
        """Let time pass, waking up exactly when `Calls.wait` asks for it; gives the calls that ended."""
        end, ended = self.now + seconds, []
        while self.now + self.calls.wait(self.now) <= end:
            self.now += self.calls.wait(self.now)
            ended += self.calls.tick(self.now)
            self.send()
        self.now = end
        return ended

    def answer(self, call: Call) -> Call | None:
        return self.calls.receive(
            encode_results(str(call.id), [Prediction("positive", 0.9)], single=True), self.now
        )

    def refuse(self, call: Call, error: errors.ReplyError) -> Call | None:
        return self.calls.receive(encode_error(str(call.id), error), self.now)


def test_silence_resends_at_even_distances_and_ends_at_the_timeout() -> None:
    bench = Bench()
    call = bench.begin()
    assert bench.wait(1.9) == []
    assert bench.sent == [1]
    assert bench.wait(0.2) == []
    assert bench.sent == [1, 1]
    assert bench.wait(5.8) == []
    assert bench.wait(0.2) == [call]
    assert bench.sent == [1, 1, 1, 1]
    with pytest.raises(errors.NoAnswer, match="4 sends"):
        call.reply()
    assert len(bench.calls) == 0
    assert bench.calls.wait(bench.now) > 1e9  # nothing to wake up for


def test_a_daemon_that_answers_others_is_not_asked_twice() -> None:
    bench = Bench()
    call, others = bench.begin(), [bench.begin() for _ in range(7)]
    for other in others:
        bench.wait(1.0)
        bench.answer(other)
    assert bench.sent == list(range(1, 9))
    assert bench.wait(1.1) == [call]  # its own timeout stands
    assert call.sends == 1


def test_a_patient_call_outwaits_the_timeout_while_others_are_answered() -> None:
    bench = Bench()
    calls = [bench.begin(patient=True) for _ in range(20)]
    for call in calls[:-1]:
        assert bench.wait(1.5) == []
        assert bench.answer(call) is call
    assert bench.wait(7.9) == []
    assert bench.sent[20:] == [20, 20, 20]  # silence by now
    assert bench.wait(0.2) == [calls[-1]]


def test_the_first_reply_resolves_and_later_ones_are_dropped() -> None:
    bench = Bench()
    call = bench.begin()
    bench.wait(2.5)
    assert bench.sent == [1, 1]
    assert bench.answer(call) is call
    assert isinstance(call.reply(), Reply)
    assert bench.answer(call) is None
    assert bench.wait(100) == []


@pytest.mark.parametrize("kind", [errors.Busy, errors.Draining, errors.Unavailable])
def test_a_refusal_pauses_as_asked_doubled_each_time_with_jitter(kind: type[errors.ReplyError]) -> None:
    pauses = []
    for _ in range(50):
        bench = Bench(timeout=1000)
        call = bench.begin()
        for number in range(6):
            assert bench.refuse(call, kind("no", retry_after_ms=40)) is None
            start, sends = bench.now, call.sends
            while call.sends == sends:
                bench.wait(bench.calls.wait(bench.now))
            pause = (bench.now - start) / (0.040 * 2**number)
            assert 1 - 1e-6 <= pause <= 2 + 1e-6
            pauses.append(pause)
    assert max(pauses) - min(pauses) > 0.5  # clients that were refused together do not come back together


def test_pauses_are_bounded_and_a_missing_one_is_made_up() -> None:
    bench = Bench(timeout=1000)
    call = bench.begin()
    bench.refuse(call, errors.Busy("no", retry_after_ms=3_600_000))
    assert bench.wait(2 * MAX_PAUSE_S + 0.1) == []
    assert call.sends == 2
    bench.refuse(call, errors.Busy("no"))
    bench.wait(0.5)
    assert call.sends == 3


def test_a_refusal_that_cannot_be_waited_out_ends_the_call_at_once() -> None:
    bench = Bench()
    call = bench.begin()
    bench.wait(7.9)
    assert bench.refuse(call, errors.Busy("no", retry_after_ms=200)) is call
    with pytest.raises(errors.Busy):
        call.reply()


def test_a_patient_call_that_is_only_refused_ends_too() -> None:
    bench = Bench()
    call = bench.begin(patient=True)
    for _ in range(1000):
        if bench.refuse(call, errors.Busy("no", retry_after_ms=100)):
            break
        bench.wait(max(0.01, bench.calls.wait(bench.now)))
    with pytest.raises(errors.Busy):
        call.reply()
    assert bench.now <= 100 + TIMEOUT


def test_without_retries_nothing_is_sent_twice() -> None:
    bench = Bench(retries=0)
    refused, silent = bench.begin(), bench.begin()
    assert bench.refuse(refused, errors.Busy("no", retry_after_ms=1)) is refused
    assert bench.calls.reconnected() == []
    assert bench.wait(TIMEOUT + 0.1) == [silent]
    assert bench.sent == [1, 2]


def test_a_connection_that_comes_back_gets_everything_again_once() -> None:
    bench = Bench()
    first, second = bench.begin(), bench.begin()
    bench.answer(first)
    unsent = bench.calls.begin(bench.now, "not sent yet")
    assert bench.calls.reconnected() == []
    assert bench.calls.reconnected() == []
    bench.send()
    assert bench.sent == [1, 2, unsent.id, second.id]


def test_a_large_request_that_is_cut_off_each_time_is_too_large() -> None:
    bench = Bench()
    small, large = bench.begin(), bench.begin("x" * SUSPECT_BYTES)
    for _ in range(CUT_OFFS - 1):
        assert bench.calls.reconnected() == []
        bench.send()
    assert bench.calls.reconnected() == [large]
    with pytest.raises(errors.TooLarge, match="closed the connection each time"):
        large.reply()
    assert not small.done


def test_many_calls_leave_nothing_behind() -> None:
    bench = Bench()
    for _ in range(5000):
        bench.answer(bench.begin())
    bench.calls.forget(bench.begin())
    bench.wait(100)
    bench.send()
    assert len(bench.calls) == 0
    assert len(bench.calls._unsent) == 0
