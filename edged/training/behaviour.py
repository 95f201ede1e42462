"""What a model should do whatever it was trained on: pass rates by capability, on behaviour.toml's cases.

M. Ribeiro et al., "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020.
Needs Python 3.11 or newer.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.baselines.scorer import Scorer

CASES = Path(__file__).with_name("behaviour.toml")


@dataclass
class Rate:
    """What one capability's cases gave."""

    least: float  # percent that must pass; 0 where the rate is only reported
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


def rates(scorer: Scorer) -> dict[str, Rate]:
    """The rate of each capability."""
    cases = tomllib.loads(CASES.read_text("utf-8"))
    return {name: _rate(scorer, capability) for name, capability in cases.items()}


def _rate(scorer: Scorer, capability: Mapping[str, Any]) -> Rate:
    found = Rate(capability["least"])
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


def table(found: Mapping[str, Rate]) -> str:
    """Markdown: pass rates."""
    lines = ["| capability | passed | of | % |", "|---|---|---|---|"]
    for name, rate in found.items():
        lines.append(f"| {name.replace('_', ' ')} | {rate.passed} | {rate.count} | {rate.percent:.0f} |")
    return "\n".join(lines)
