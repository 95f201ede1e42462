"""How good predictions are: accuracy, macro-F1, balanced accuracy, calibration, confusion.

Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BINS = 15  # of the calibration error, as in Guo et al., "On Calibration of Modern Neural Networks", ICML 2017
EQUAL_BINS = 10  # of equally many reviews, for the other two estimates of it


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

    `calibration_square` is what `debiased_error` gives.
    `confusion` is [[true negatives, false positives], [false negatives, true positives]].
    """

    reviews: int
    accuracy: float
    macro_f1: float
    balanced_accuracy: float
    ece: float
    ece_equal_mass: float
    calibration_square: float
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
        ece_equal_mass=equal_mass_error(cases),
        calibration_square=debiased_error(cases),
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


def equal_mass_error(cases: Sequence[Case], bins: int = EQUAL_BINS) -> float:
    """The same with bins that hold equally many reviews, by rising confidence.

    J. Nixon et al., "Measuring Calibration in Deep Learning", CVPR Workshops 2019.
    """
    parts = _equal_mass(cases, bins)
    return _share(sum(abs(sum(case.confidence - case.right for case in part)) for part in parts), len(cases))


def debiased_error(cases: Sequence[Case], bins: int = EQUAL_BINS) -> float:
    """The mean square of the distance of confidence and accuracy, less what chance adds to it.

    A. Kumar, P. Liang, T. Ma, "Verified Uncertainty Calibration", NeurIPS 2019, section 5: from the square of
    each bin's distance its accuracy's variance is taken, accuracy * (1 - accuracy) / (reviews - 1). On
    average it is right whatever the number of reviews, so it may be below zero. The root of its mean over
    domains is comparable to the plain error, and by Jensen's inequality on average no smaller.
    """
    total = 0.0
    for part in _equal_mass(cases, bins):
        count = len(part)
        if count > 1:
            accuracy = sum(case.right for case in part) / count
            distance = sum(case.confidence for case in part) / count - accuracy
            total += count * (distance**2 - accuracy * (1 - accuracy) / (count - 1))
    return _share(total, len(cases))


def _equal_mass(cases: Sequence[Case], bins: int) -> list[list[Case]]:
    ranked = sorted(cases, key=lambda case: case.confidence)
    return [ranked[i * len(ranked) // bins : (i + 1) * len(ranked) // bins] for i in range(bins)]


def by_domain(cases: Sequence[Case]) -> dict[str, Scores]:
    """Scores of each domain, in order of first appearance."""
    domains: dict[str, list[Case]] = {}
    for case in cases:
        domains.setdefault(case.domain, []).append(case)
    return {domain: scores(members) for domain, members in domains.items()}


def report(cases: Sequence[Case]) -> dict[str, Any]:
    """All figures as plain data: domains, their mean (each domain counts alike), and all reviews together."""
    domains = {name: asdict(found) for name, found in by_domain(cases).items()}
    keys = [field.name for field in fields(Scores) if field.name not in ("reviews", "confusion")]
    mean = {key: _share(sum(found[key] for found in domains.values()), len(domains)) for key in keys}
    return {"domains": domains, "mean": mean, "all": asdict(scores(cases))}


def debiased_root(square: float) -> str:
    """The root of a mean of `debiased_error`, percent, for people; that has none where it is below zero."""
    return f"{100 * math.sqrt(square):.2f}" if square > 0 else f"0 (mean square {1e4 * square:.2f})"


def calibration(mean: Mapping[str, float]) -> str:
    """The estimates of the calibration error, of the mean of a report, as a line for people; in percent."""
    return (
        f"calibration error: {100 * mean['ece']:.1f} in {BINS} bins of equal width, "
        f"{100 * mean['ece_equal_mass']:.1f} in {EQUAL_BINS} of equally many reviews, "
        f"{debiased_root(mean['calibration_square'])} as root mean square less what chance adds"
    )


def mistakes(cases: Iterable[Case], count: int) -> list[Case]:
    """The wrong predictions made with most confidence."""
    return sorted((case for case in cases if not case.right), key=lambda case: -case.confidence)[:count]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
