"""Behaviour by capability, in the manner of CheckList; the cases are in behaviour/cases.toml.

`python -m tests.test_behaviour` prints the pass rates, and what failed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edged.baselines.scorer import Scorer
from edged.cli.evaluate import SHIPPED

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomllib", reason="the cases are TOML: needs Python 3.11")

CASES: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "behaviour/cases.toml").read_text("utf-8")
)


@dataclass
class Rate:
    """What one capability's cases gave."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def add(self, right: bool, what: str) -> None:
        """Count one case."""
        if right:
            self.passed += 1
        else:
            self.failed.append(what)

    @property
    def count(self) -> int:
        """All cases."""
        return self.passed + len(self.failed)

    @property
    def percent(self) -> float:
        """Share that passed."""
        return 100 * self.passed / self.count


def rate(scorer: Scorer, capability: dict[str, Any]) -> Rate:
    found = Rate()
    kind = capability["kind"]
    if kind == "label":
        for label in ("negative", "positive"):
            texts = capability.get(label, [])
            for text, prediction in zip(texts, scorer(texts)):
                found.add(prediction.label == label, f"{label}: {text} ({prediction.score:.2f})")
    elif kind == "invariance":
        for first, *variants in capability["groups"]:
            expected, *others = scorer([first, *variants])
            for text, prediction in zip(variants, others):
                found.add(prediction.label == expected.label, f"{first} -> {text}")
    else:
        for text, prediction in zip(capability["texts"], scorer(capability["texts"])):
            found.add(prediction.uncertain, f"{prediction.label} {prediction.score:.2f}: {text}")
    return found


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """The shipped model."""
    return Scorer(SHIPPED)


def test_there_are_enough_cases(scorer: Scorer) -> None:
    assert sum(rate(scorer, capability).count for capability in CASES.values()) >= 200


@pytest.mark.parametrize("name", CASES)
def test_capability(scorer: Scorer, name: str) -> None:
    found = rate(scorer, CASES[name])
    assert found.percent >= CASES[name]["least"], "\n".join(found.failed)


def main() -> None:
    """Print the pass rates."""
    scorer = Scorer(SHIPPED)
    for name, capability in CASES.items():
        found = rate(scorer, capability)
        share = f"{found.passed:4} of {found.count:3}  {found.percent:5.1f} %"
        print(f"{name:24}{share}  (least {capability['least']} %)")
        for what in found.failed:
            print(f"    {what}")


if __name__ == "__main__":
    main()
