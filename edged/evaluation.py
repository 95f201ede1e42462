"""How good predictions are: accuracy, macro-F1, balanced accuracy, calibration, confusion.

Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BINS = 15  # of the calibration error, as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017


@dataclass(frozen=True)
class Case:
    """One review with its true label (0 or 1) and the probability given to label 1."""

    label: int
    probability: float
    domain: str = ""
    text: str = ""
    uncertain: bool = False

    @property
    def right(self) -> bool:
        """Whether the more probable label is the true one."""
        return (self.probability >= 0.5) == (self.label == 1)

    @property
    def confidence(self) -> float:
        """The probability of the predicted label."""
        return max(self.probability, 1 - self.probability)


@dataclass(frozen=True)
class Scores:
    """Figures of one domain; shares from 0 to 1.

    `confusion` is [[true negatives, false positives], [false negatives, true positives]].
    """

    reviews: int
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    ece: float
    uncertain: float
    confusion: list[list[int]]


def scores(cases: Sequence[Case]) -> Scores:
    """The figures of `cases`; NaN where there is nothing to divide by."""
    confusion = [[0, 0], [0, 0]]
    for case in cases:
        confusion[case.label][case.probability >= 0.5] += 1
    (tn, fp), (fn, tp) = confusion
    recalls = [_share(tn, tn + fp), _share(tp, tp + fn)]
    f1 = [_share(2 * tn, 2 * tn + fp + fn), _share(2 * tp, 2 * tp + fp + fn)]
    return Scores(
        reviews=len(cases),
        accuracy=_share(tn + tp, len(cases)),
        macro_f1=sum(f1) / 2,
        balanced_accuracy=sum(recalls) / 2,
        ece=calibration_error(cases),
        uncertain=_share(sum(case.uncertain for case in cases), len(cases)),
        confusion=confusion,
    )


def calibration_error(cases: Iterable[Case]) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over bins of equal width."""
    sums = [[0, 0.0, 0.0] for _ in range(BINS)]
    for case in cases:
        entry = sums[min(int(case.confidence * BINS), BINS - 1)]
        entry[0] += 1
        entry[1] += case.confidence
        entry[2] += case.right
    count = sum(int(entry[0]) for entry in sums)
    return _share(sum(abs(entry[1] - entry[2]) for entry in sums), count)


def by_domain(cases: Sequence[Case]) -> dict[str, Scores]:
    """Scores of each domain, in order of first appearance."""
    domains: dict[str, list[Case]] = {}
    for case in cases:
        domains.setdefault(case.domain, []).append(case)
    return {domain: scores(members) for domain, members in domains.items()}


def report(cases: Sequence[Case]) -> dict[str, Any]:
    """All figures as plain data: domains, their mean (each domain counts alike), and all reviews together."""
    domains = {name: asdict(found) for name, found in by_domain(cases).items()}
    keys = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "uncertain")
    mean = {key: _share(sum(found[key] for found in domains.values()), len(domains)) for key in keys}
    return {"domains": domains, "mean": mean, "all": asdict(scores(cases))}


def mistakes(cases: Iterable[Case], count: int) -> list[Case]:
    """The wrong predictions made with most confidence."""
    return sorted((case for case in cases if not case.right), key=lambda case: -case.confidence)[:count]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
