"""The wide part: a linear model over n-grams with a learned gate over groups of domains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import minimize

from edged.training.negations import DOMAIN
from edged.training.ngrams import log_ratios
from edged.training.progress import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float32]

NO_GROUP = ""  # of reviews that say nothing about the gate
# Domains whose reviews speak alike share a gate; any other domain has its own.
GROUPS = {
    "imdb": "film",
    "mr": "film",
    "sst2": "film",
    "amazon": "product",
    "cr": "product",
    "sentences": "product",
    DOMAIN: NO_GROUP,
}
GATE_WEIGHT = 0.3  # of the gate's own loss: naming the group
DAMPED_FROM = 20  # n-grams; see `damped`
BETWEEN_WEIGHT = 0.4  # of a review whose label is neither 0 nor 1
BETWEEN_STEEPNESS = 3  # its log-odds are multiplied by this
LEAST_SCALE = 0.3  # added to log-count ratios, so that n-grams of a domain but of no side can serve the gate


@dataclass
class Gated:
    """Columns: a shared value, then a value for each of `groups`, then a gate for each."""

    weights: Floats  # n-grams, 1 + 2 * groups
    bias: Floats  # 1 + 2 * groups
    groups: list[str]

    def logits(self, matrix: sp.csr_matrix) -> Floats:
        """Logits of texts: the shared value plus the values weighed by the softmax of the gates."""
        columns = matrix @ self.weights + self.bias
        gates, values = _softmax(columns[:, 1 + len(self.groups) :]), columns[:, 1 : 1 + len(self.groups)]
        logit: Floats = columns[:, 0] + (gates * values).sum(1)
        return logit


def damped(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Binary rows divided by the root of 1 + n-grams / `DAMPED_FROM`.

    A long review repeats itself: its n-grams are no independent witnesses, as a plain sum would have it.
    """
    size = np.asarray(matrix.sum(1)).ravel()
    return (sp.diags(((1 + size / DAMPED_FROM) ** -0.5).astype(np.float32)) @ matrix).tocsr()


def pushed_apart(labels: Floats, weights: Floats, domains: npt.NDArray[np.str_]) -> tuple[Floats, Floats]:
    """Labels and weights to learn from: reviews with a label between 0 and 1 count less, and as more decided.

    Taken as they are, they would teach what makes a review faint; the made ones are meant as they are.
    """
    between = (labels > 0) & (labels < 1) & (domains != DOMAIN)
    odds = (labels[between] / (1 - labels[between])) ** BETWEEN_STEEPNESS
    labels, weights = labels.copy(), weights.copy()
    labels[between] = odds / (1 + odds)
    weights[between] *= BETWEEN_WEIGHT
    return labels, weights


def groups_of(domains: Sequence[str] | npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """The group of each domain."""
    return np.array([GROUPS.get(domain, domain) for domain in domains])


def _softmax(values: Floats) -> Floats:
    odds: Floats = np.exp(values - values.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    return odds


def _probability(logits: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def fit_linear(
    matrix: sp.csr_matrix,
    labels: Floats,
    weights: Floats,
    scale: Floats,
    *,
    penalty: float = 1.0,
    steps: int = 60,
    name: str = "linear model",
) -> tuple[Floats, float]:
    """Weights and bias of a logistic regression.

    `labels` are probabilities. Each n-gram's column is multiplied by `scale`, so that the penalty, half the
    sum of squares, weighs less on n-grams with a large one. The progress bar is named `name`.
    """
    scaled = (matrix @ sp.diags(scale)).tocsr()
    transposed = scaled.T.tocsr()

    def loss(values: Any) -> tuple[float, Any]:
        logit = scaled @ values[:-1].astype(np.float32) + values[-1]
        slope = (_probability(logit) - labels) * weights
        total = (weights * (np.logaddexp(0, logit) - labels * logit)).sum() + penalty / 2 * (
            values[:-1] ** 2
        ).sum()
        gradient = np.append(transposed @ slope.astype(np.float32) + penalty * values[:-1], slope.sum())
        return float(total), gradient

    found = minimize(
        loss,
        np.zeros(matrix.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps, "maxcor": 8},
        callback=Steps(name, steps),
    )
    return (found.x[:-1] * scale).astype(np.float32), float(found.x[-1])


def importance(
    matrix: sp.csr_matrix, labels: Floats, weights: Floats, groups: npt.NDArray[np.str_]
) -> Floats:
    """What each n-gram does for the reviews at large, or for those of one group."""
    best = np.zeros(matrix.shape[1], np.float32)
    for group in [None, *sorted(set(groups) - {NO_GROUP})]:
        mask = np.ones(len(labels), bool) if group is None else groups == group
        part, label, weight = matrix[mask], labels[mask], weights[mask]
        scale = np.sqrt(log_ratios(part, label, weight))
        found, _ = fit_linear(part, label, weight, scale, name=f"n-grams of {group or 'all groups'}")
        moved = np.abs(found) * np.sqrt(np.asarray(part.T @ weight).ravel())
        best = np.maximum(best, (1 if group is None else 0.7) * moved / moved.std())
    return best


def _scales(matrix: sp.csr_matrix, labels: Floats, weights: Floats, own: npt.NDArray[np.bool_]) -> Floats:
    """What multiplies each n-gram in each column: float32[n-grams, 1 + 2 * groups].

    The root of its log-count ratio; in a group's own column that of the group's reviews, since a word that
    decides about one thing says nothing of another.
    """
    shared = log_ratios(matrix, labels, weights)
    of_groups = [log_ratios(matrix[group], labels[group], weights[group]) for group in own.T]
    gates = [shared] * len(of_groups)
    found: Floats = np.sqrt(np.column_stack([shared, *of_groups, *gates]) + LEAST_SCALE)
    return found


def fit_gated(
    matrix: sp.csr_matrix,
    labels: Floats,
    weights: Floats,
    groups: npt.NDArray[np.str_],
    *,
    penalties: tuple[float, float] = (1.0, 2.0),
    steps: int = 80,
    from_linear: bool = True,
) -> Gated:
    """Train shared and group columns and the gate together; `penalties` are those of the two kinds.

    The start is a linear model without groups, or zero. The gate also learns to name the group of a review.
    """
    names = sorted(set(groups) - {NO_GROUP})
    count, grams = len(names), matrix.shape[1]
    own = np.array(names) == groups[:, None]
    grouped = own.any(1)
    scale = _scales(matrix, labels, weights, own)
    transposed = matrix.T.tocsr()
    penalty = np.array([penalties[0]] + [penalties[1]] * 2 * count)

    def loss(flat: Any) -> tuple[float, Any]:
        values = flat.reshape(grams + 1, 1 + 2 * count)
        columns = matrix @ (values[:-1].astype(np.float32) * scale) + values[-1].astype(np.float32)
        gate, value = _softmax(columns[:, 1 + count :]), columns[:, 1 : 1 + count]
        mixed = (gate * value).sum(1)
        logit = columns[:, 0] + mixed
        slope = (_probability(logit) - labels) * weights
        total = (weights * (np.logaddexp(0, logit) - labels * logit)).sum()
        total -= GATE_WEIGHT * (weights[:, None] * own * np.log(gate + 1e-9)).sum()
        back = np.empty_like(columns)
        back[:, 0], back[:, 1 : 1 + count] = slope, slope[:, None] * gate
        back[:, 1 + count :] = gate * (value - mixed[:, None]) * slope[:, None]
        back[:, 1 + count :] += GATE_WEIGHT * (gate - own) * (weights * grouped)[:, None]
        gradient = np.vstack([(transposed @ back) * scale + values[:-1] * penalty, back.sum(0)])
        return float(total + (penalty * values[:-1] ** 2).sum() / 2), gradient.ravel()

    start = np.zeros((grams + 1, 1 + 2 * count))
    if from_linear:
        shared, bias = fit_linear(matrix, labels, weights, scale[:, 0])
        start[:, 0] = np.append(shared / scale[:, 0], bias)
    options = {"maxiter": steps, "maxcor": 6}
    shown = Steps("gated model", steps)
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options, callback=shown)
    found = found.x.reshape(grams + 1, -1)
    return Gated((found[:-1] * scale).astype(np.float32), found[-1].astype(np.float32), names)
