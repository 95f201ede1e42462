"""The built-in model's second interpreter, which starts when more waits than one can take."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edged
from edged import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) == 1, reason="one core: there is no second interpreter"
)
MODEL = Path(edged.__file__).parent / "models" / "edged.tflite"
TEXTS = [f"Number {i} is {'not ' * (i % 3 == 0)}a {'fine' if i % 2 else 'dull'} wine." for i in range(1024)]


def said(daemon: Daemon, event: str) -> bool:
    return f'"event":"{event}"' in daemon.log


def flood(client: Client, daemon: Daemon, event: str) -> list[list[tuple[str, float]]]:
    """Classify until the daemon has logged the event and a little longer; the answers of each request."""
    answers, left = [], 3
    deadline = time.monotonic() + 100
    while left > 0:
        assert time.monotonic() < deadline, daemon.log
        answers.append([(found.label, found.score) for found in client.classify(TEXTS)])
        left -= said(daemon, event)
    return answers


def test_a_backlog_starts_it_and_answers_stay_the_same(make_daemon: Callable[..., Daemon]) -> None:
    daemon, alone = make_daemon().start(), make_daemon(interpreters=1).start()
    with Client(alone.endpoint, timeout=60) as client:
        expected = [(found.label, found.score) for found in client.classify(TEXTS)]
    with Client(daemon.endpoint, timeout=60) as client:
        for text in TEXTS[:50]:
            client.classify(text)
        assert not said(daemon, "helper")
        assert all(answers == expected for answers in flood(client, daemon, "helper"))
        daemon.signal(signal.SIGHUP)
        while client.info()["generation"] < 2:
            client.classify(TEXTS)
        for _ in range(5):
            assert [(found.label, found.score) for found in client.classify(TEXTS)] == expected
    assert not said(alone, "helper")
    daemon.says('"event":"helper"', 2)
    assert daemon.stop() == 0


def test_a_model_replaced_in_the_meantime_is_not_mixed_with_the_old_one(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    model, other = tmp_path / "model.tflite", tmp_path / "other.tflite"
    shutil.copy(MODEL, model)
    other.write_bytes(MODEL.read_bytes() + bytes(16))
    daemon = make_daemon(model=str(model)).start()
    other.replace(model)
    with Client(daemon.endpoint, timeout=60) as client:
        flood(client, daemon, "helper_failed")
        assert "is another file by now" in daemon.log
        assert "edgectl reload takes it over" in daemon.log
        assert client.info()["generation"] == 1
