"""What the client promises while the real daemon restarts, crashes, drains or meets a bad review."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from edged import Client, Prediction, errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

TEXTS = [f"{'a wonderful wine ' * (n % 3)}{'thin and sour ' * (n % 4)}{n}" for n in range(6000)]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_bulk_goes_on_over_restarts_with_one_answer_each_in_order(
    make_daemon: Callable[..., Daemon], end: str
) -> None:
    daemon = make_daemon().start()
    with Client(daemon.endpoint, timeout=100) as client:
        expected = [
            prediction for n in range(0, 6000, 500) for prediction in client.classify(TEXTS[n : n + 500])
        ]

        def restart() -> None:
            for _ in range(2):
                getattr(daemon, end)()
                daemon.start()

        restarting = threading.Thread(target=restart)
        got: list[Prediction] = []
        for prediction in client.classify_many(TEXTS, batch=16):
            got.append(prediction)
            if len(got) == 500:
                restarting.start()
            if len(got) == 5000:
                restarting.join()
        assert got == expected


def test_without_retries_a_restart_is_an_error(daemon: Daemon) -> None:
    with Client(daemon.endpoint, timeout=6, retries=0) as client:
        client.classify("warm")
        daemon.kill()
        with pytest.raises(errors.NoAnswer, match="lost"):
            client.classify("gone")


HANDLER = """
def process_batch(texts):
    if any("poison" in text for text in texts):
        raise ValueError("poisoned")
    return [("short" if len(text) < 9 else "long", 0.75) for text in texts]
"""


def test_a_review_that_breaks_the_handler_is_found_among_its_batch(
    make_daemon: Callable[..., Daemon],
) -> None:
    daemon = make_daemon()
    daemon.handler(HANDLER)
    texts: list[str] = [f"text {n}" for n in range(200)]
    texts[17] = texts[150] = "poison"
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        outcomes: list[Any] = list(client.classify_many(texts, batch=64, return_errors=True))
        wrong = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, Prediction)]
        assert wrong == [17, 150]
        assert {type(outcomes[n]) for n in wrong} == {errors.ModelError}
        assert {outcome for n, outcome in enumerate(outcomes) if n not in wrong} == {
            Prediction("short", 0.75)
        }


def test_a_review_over_the_limit_is_too_large_and_alone(shared_daemon: Daemon) -> None:
    with Client(shared_daemon.endpoint, timeout=60) as client:
        limit = client.info()["limits"]["max_review_bytes"]
        texts = ["fine", "x" * (limit + 1), "fine too", "é" * (limit // 2)]
        outcomes: list[Any] = list(client.classify_many(texts, return_errors=True))
        assert [isinstance(outcome, Prediction) for outcome in outcomes] == [True, False, True, True]
        assert isinstance(outcomes[1], errors.TooLarge)


def test_a_request_over_the_message_limit_is_too_large(shared_daemon: Daemon) -> None:
    with Client(shared_daemon.endpoint, timeout=60) as client:
        with pytest.raises(errors.TooLarge):
            client.classify(["x" * 60_000] * 200)
        assert client.classify("still here").label in ("positive", "negative")


def test_busy_is_waited_out(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(max_reviews=32, queue_reviews=64, client_reviews=64)
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        assert len(list(client.classify_many(TEXTS, batch=32, window=64))) == len(TEXTS)
        failed = client.stats()["counters"]["failed"]
        assert failed["busy"] > 0, failed
