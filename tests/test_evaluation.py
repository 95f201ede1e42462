"""Figures on labelled reviews, and `edgectl evaluate` and `explain` in-process and through the daemon."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edged.evaluation import (
    Case,
    calibration_error,
    debiased_error,
    equal_mass_error,
    mistakes,
    report,
    scores,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.daemon import Daemon

LABELLED = [
    ("An excellent film, moving and funny.", 1, "film"),
    ("A dull, lifeless film. Two hours I will never get back.", 0, "film"),
    ("Great service and delicious food!", 1, "food"),
    ("The worst meal ever, awful and disgusting.", 1, "food"),
    ("The soup was cold and the waiter was rude.", 0, "food"),
]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A file of labelled reviews."""
    path = tmp_path / "mixed.jsonl"
    rows = [{"text": text, "label": label, "domain": domain} for text, label, domain in LABELLED]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "No label.", "label": None}]))
    return path


def edgectl(*args: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edged.cli", *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_scores_of_a_known_confusion() -> None:
    cases = [Case(1, 0.9)] * 6 + [Case(1, 0.2)] * 2 + [Case(0, 0.1)] * 3 + [Case(0, 0.7)]
    found = scores(cases)
    assert found.confusion == [[3, 1], [2, 6]]
    assert found.accuracy == 9 / 12
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 6 / 8) / 2)
    assert found.macro_f1 == pytest.approx((6 / 9 + 12 / 15) / 2)


def test_calibration_error() -> None:
    assert calibration_error([Case(1, 0.8)] * 8 + [Case(0, 0.8)] * 2) == pytest.approx(0)
    assert calibration_error([Case(1, 1.0)] * 5 + [Case(0, 1.0)] * 5) == pytest.approx(0.5)
    assert math.isnan(calibration_error([]))


def test_bins_of_equally_many_reviews() -> None:
    lower, upper = [Case(1, 0.6)] * 3 + [Case(0, 0.6)] * 2, [Case(1, 0.9)] * 5
    assert equal_mass_error(lower + upper, 2) == pytest.approx(0.05)
    assert equal_mass_error(lower + upper, 1) == pytest.approx(0.05)
    assert math.isnan(equal_mass_error([]))


def test_only_the_debiased_error_is_right_on_average() -> None:
    rng = random.Random(1)

    def mean(error: Callable[[list[Case]], float], shift: float) -> float:
        draws = []
        for _ in range(400):
            confidences = [rng.uniform(0.55, 0.85) for _ in range(100)]
            draws.append(error([Case(int(rng.random() < p + shift), p) for p in confidences]))
        return sum(draws) / len(draws)

    assert mean(debiased_error, 0) == pytest.approx(0, abs=5e-4)
    assert mean(debiased_error, 0.1) == pytest.approx(0.01, abs=2e-3)
    assert mean(calibration_error, 0) > 0.03
    assert math.isnan(debiased_error([]))


def test_each_domain_counts_alike_in_the_mean() -> None:
    found = report([Case(1, 0.9, "a")] * 99 + [Case(1, 0.1, "b")])
    assert found["mean"]["accuracy"] == 0.5
    assert found["all"]["accuracy"] == 0.99


def test_the_worst_mistakes_come_first() -> None:
    cases = [Case(1, 0.4), Case(0, 0.99), Case(1, 0.99), Case(1, 0.1)]
    assert [case.probability for case in mistakes(cases, 2)] == [0.99, 0.1]


def test_evaluate_in_process(labelled: Path) -> None:
    found = json.loads(edgectl("evaluate", "--local", "--json", "--mistakes", "3", str(labelled)))
    assert found["all"]["reviews"] == 5
    assert found["domains"]["film"]["accuracy"] == 1
    assert found["mistakes"][0]["text"].startswith("The worst meal")
    assert "film" in edgectl("evaluate", "--local", str(labelled))


def test_evaluate_through_the_daemon_gives_the_same(labelled: Path, daemon: Daemon) -> None:
    local = edgectl("evaluate", "--local", "--json", "--mistakes", "9", str(labelled))
    assert (
        edgectl("evaluate", "--json", "--mistakes", "9", "--endpoint", daemon.endpoint, str(labelled))
        == local
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "fine", "label": 2}\n', "review 1: label 2; expected 0, 1, negative or positive"),
        ('{"text": "fine"}\n', "no labelled reviews in"),
        ('{"text": 5, "label": 1}\n', 'review 1: column "text" holds 5, not a text'),
    ],
)
def test_evaluate_says_what_is_wrong_with_a_file(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    assert message in edgectl("evaluate", "--local", str(path), code=65)


def test_explain_finds_what_moved_the_score() -> None:
    text = "The room was lovely but the breakfast was terrible and cold."
    found = json.loads(edgectl("explain", "--local", "--json", text))
    effects = {word["text"]: word["effect"] for word in found["words"]}
    assert effects["terrible"] < 0 < effects["lovely"]
    painted = edgectl("explain", "--local", "--color", "always", text)
    assert "\033[1;31m terrible" in painted or "\033[31m terrible" in painted


def test_explain_takes_a_long_review_apart() -> None:
    found = json.loads(edgectl("explain", "--local", "--json", "a very good film " * 200))
    assert 200 < len(found["words"]) <= 300


def test_explain_of_nothing() -> None:
    assert json.loads(edgectl("explain", "--local", "--json", ""))["words"] == []
