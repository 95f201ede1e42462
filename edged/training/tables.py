"""Comparison of models on the same reviews: accuracy by domain with bootstrap intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

RESAMPLES = 2000


def resampled(right: Bools, domains: npt.NDArray[np.str_], names: Sequence[str], seed: int = 0) -> Floats:
    """Accuracies of resampled reviews, percent: [RESAMPLES, names + 1], the last their mean.

    Reviews are drawn anew within each domain (B. Efron's bootstrap); the same seed draws the same reviews, so
    that differences of two models are paired.
    """
    rng = np.random.default_rng(seed)
    out = np.empty((RESAMPLES, len(names) + 1))
    for i, name in enumerate(names):
        of_domain = right[domains == name]
        counts = rng.multinomial(len(of_domain), np.full(len(of_domain), 1 / len(of_domain)), RESAMPLES)
        out[:, i] = 100 * counts @ of_domain / len(of_domain)
    out[:, -1] = out[:, :-1].mean(1)
    return out


def interval(values: Floats) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def comparison(models: Mapping[str, Bools], domains: npt.NDArray[np.str_], names: Sequence[str]) -> str:
    """A Markdown table: accuracy of each model (right or wrong for each review), ± half the 95 % interval.

    The last model is compared with each other one: `*` marks a domain where it is significantly better (the
    interval of the paired difference lies above zero), `!` where it is significantly worse.
    """
    found = {model: resampled(right, domains, names) for model, right in models.items()}
    *others, last = models
    lines = [
        "| model | " + " | ".join([*names, "mean"]) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for model, right in models.items():
        points = [100 * right[domains == name].mean() for name in names]
        cells = []
        for i, point in enumerate([*points, float(np.mean(points))]):
            low, high = interval(found[model][:, i])
            mark = _mark(found[last][:, i] - found[model][:, i]) if model in others else ""
            cells.append(f"{point:.1f} ±{(high - low) / 2:.1f}{mark}")
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mark(difference: Floats) -> str:
    low, high = interval(difference)
    return " *" if low > 0 else " !" if high < 0 else ""
