"""Calibration, the cascade's band and the uncertain band, all chosen on validation reviews."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from edged.evaluation import BINS

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SHARES = np.arange(0, 1.0001, 0.02)  # of reviews that the deep part reads, as tried for the cascade
GIVEN_UP = 0.2  # points of mean accuracy that the cascade may cost against the deep part on all
TRUST_PENALTY = 10.0  # against some ten thousand reviews: cross-validated, 1 to 10 make no difference
LEAST_TRUST = 0.2  # of a review longer than any seen
FOLDS = 5  # of the cross-fitted calibration
DOUBT = 0.6  # an uncertain score is right no more often than this


def platt(logits: Floats, labels: Floats, weights: Floats) -> Floats:
    """Coefficients and, last, bias of a logistic regression on columns of logits: float32[columns + 1].

    J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """
    inputs = np.column_stack([logits, np.ones(len(labels))])
    start = np.append(np.full(inputs.shape[1] - 1, 0.5), 0.0)
    found: Floats = _regression(inputs, labels, weights, start).astype(np.float32)
    return found


def _regression(
    inputs: Any, labels: Floats, weights: Floats, start: Doubles, penalty: float = 0.0
) -> Doubles:
    """Coefficients of a logistic regression, pulled towards `start`."""
    inputs = inputs.astype(np.float64)

    def loss(values: Doubles) -> tuple[float, Doubles]:
        found, moved = inputs @ values, values - start
        slope = (1 / (1 + np.exp(-np.clip(found, -30, 30))) - labels) * weights
        total = (weights * (np.logaddexp(0, found) - labels * found)).sum() + penalty / 2 * (moved**2).sum()
        return float(total), inputs.T @ slope + penalty * moved

    values: Doubles = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return values


def trust(logits: Floats, gates: Floats, lengths: Floats, labels: Floats, weights: Floats) -> Floats:
    """What a logit of the wide part is multiplied by: a factor for each group, and a slope.

    A logit of the same size is worth less in some domains, and less in a long review. The factor of a review
    is that of its groups, weighed by its gates, plus slope times length, its logarithm of 1 + n-grams / 20.
    Found by logistic regression on validation reviews, with a pull towards one: float32[groups + 1].
    """
    inputs = np.column_stack([gates * logits[:, None], logits * lengths, np.ones(len(labels))])
    start = np.append(np.ones(gates.shape[1]), [0.0, 0.0])
    found: Floats = _regression(inputs, labels, weights, start, TRUST_PENALTY)[:-1].astype(np.float32)
    return found


@dataclass(frozen=True)
class Step:
    """One width of the cascade's band."""

    share: float  # of reviews that the deep part reads, domains alike
    half_width: float  # of the band, in calibrated logits of the wide part
    accuracy: float  # mean over domains, percent


@dataclass(frozen=True)
class Platt:
    """What makes log-odds of the logits of the wide part alone, and of both parts."""

    alone: Floats  # scale and bias
    both: Floats  # scale of the wide part, scale of the deep part, bias

    @classmethod
    def fitted(cls, wide: Floats, deep: Floats, labels: Floats, weights: Floats) -> Platt:
        """On these reviews."""
        return cls(
            platt(wide[:, None], labels, weights), platt(np.column_stack([wide, deep]), labels, weights)
        )

    def __call__(self, wide: Floats, deep: Floats) -> tuple[Floats, Floats]:
        """Log-odds by the wide part alone, and by both parts."""
        return wide * self.alone[0] + self.alone[1], wide * self.both[0] + deep * self.both[1] + self.both[2]


@dataclass(frozen=True)
class Logits:
    """What both parts say of the validation reviews, before any calibration."""

    wide: Floats  # n
    gates: Floats  # n, groups
    lengths: Floats  # n
    deep: Floats  # n

    def pick(self, mask: npt.NDArray[np.bool_]) -> Logits:
        """Of the reviews where `mask` holds."""
        return Logits(self.wide[mask], self.gates[mask], self.lengths[mask], self.deep[mask])

    def trusted(self, factors: Floats) -> Floats:
        """Logits of the wide part times what `trust` found."""
        found: Floats = self.wide * np.maximum(
            self.gates @ factors[:-1] + factors[-1] * self.lengths, LEAST_TRUST
        )
        return found


@dataclass(frozen=True)
class Band:
    """Which of n reviews the deep part reads."""

    half_width: float  # in calibrated logits of the wide part: those of which it is unsure
    always: npt.NDArray[np.bool_]  # n: those that it reads in any case

    def logits(self, wide: Floats, both: Floats) -> Floats:
        """Of the cascade, from calibrated logits."""
        found: Floats = np.where((np.abs(wide) <= self.half_width) | self.always, both, wide)
        return found


def cross_fitted(logits: Logits, band: Band, labels: Floats, weights: Floats, seed: int = 0) -> Floats:
    """Probabilities from a calibration that was fitted on other reviews than each: float32[n].

    The whole calibration is fitted anew on all folds but one and used on that one.
    """
    fold = np.random.default_rng(seed).integers(FOLDS, size=len(labels))
    out = np.zeros(len(labels), np.float32)
    for i in range(FOLDS):
        own, rest = fold == i, fold != i
        known = logits.pick(rest)
        factors = trust(known.wide, known.gates, known.lengths, labels[rest], weights[rest])
        fitted = Platt.fitted(known.trusted(factors), known.deep, labels[rest], weights[rest])
        final = band.logits(*fitted(logits.trusted(factors), logits.deep))
        out[own] = 1 / (1 + np.exp(-final[own]))
    return out


def mean_accuracy(right: npt.NDArray[np.bool_], domains: npt.NDArray[np.str_]) -> float:
    """Mean over domains of the share that is right, percent."""
    return 100 * float(np.mean([right[domains == name].mean() for name in np.unique(domains)]))


def cascade_curve(
    wide: Floats,
    both: Floats,
    always: npt.NDArray[np.bool_],
    labels: Floats,
    domains: npt.NDArray[np.str_],
) -> list[Step]:
    """Accuracy against the share of reviews that the deep part reads; logits are calibrated.

    It reads those where `always` holds whatever the wide part says; from then on, the least sure ones first.
    """
    _, which, counts = np.unique(domains, return_inverse=True, return_counts=True)
    weight = 1 / counts[which]
    doubt = np.where(always, 0, np.abs(wide))
    order = np.argsort(doubt)
    reached = np.cumsum(weight[order]) / weight.sum()
    steps = []
    for share in SHARES:
        at = min(int(np.searchsorted(reached, share)), len(order) - 1)
        half_width = 0.0 if share == 0 else float(doubt[order[at]])
        unsure = doubt <= half_width if share < 1 else np.ones(len(wide), bool)
        logits = np.where(unsure, both, wide)
        right = (logits >= 0) == (labels == 1)
        read = float(weight[unsure].sum() / weight.sum())
        steps.append(Step(read, half_width, mean_accuracy(right, domains)))
    return steps


def knee(steps: list[Step]) -> Step:
    """The narrowest band that costs at most `GIVEN_UP` against the deep part on all reviews."""
    return next(step for step in steps if step.accuracy >= steps[-1].accuracy - GIVEN_UP)


def least_error(confidence: Floats, draws: int = 200) -> float:
    """The mean calibration error of a model that is right just as often as its confidences say, 0 to 1."""
    rng = np.random.default_rng(0)
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    missed = confidence - (rng.random((draws, len(confidence))) < confidence)
    sums = np.stack([np.bincount(which, weights=draw, minlength=BINS) for draw in missed])
    return float(np.abs(sums).sum(1).mean() / len(confidence))


def uncertain_band(probabilities: Floats, labels: Floats, weights: Floats) -> tuple[float, float]:
    """The widest band around 0.5, in steps of 0.01, inside which at most `DOUBT` of the reviews are right."""
    right = (probabilities >= 0.5) == (labels == 1)
    distance = np.abs(probabilities - 0.5)
    band = 0.05
    for half_width in np.arange(0.05, 0.45, 0.01):
        inside = distance <= half_width
        if inside.any() and np.average(right[inside], weights=weights[inside]) <= DOUBT:
            band = float(half_width)
    return round(0.5 - band, 2), round(0.5 + band, 2)
