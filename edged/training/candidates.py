"""Smaller and cheaper relatives of a model: what each would weigh and take, and how often it is right.

Nothing is trained anew: the n-grams of least weight and the rarest words are left out, and the cascade's band
is moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edged.training import calibrate, deep, ngrams, wide
from edged.training.data import domain_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.training.calibrate import Step
    from edged.training.cost import Cost
    from edged.training.pipeline import Training

Floats = npt.NDArray[np.float32]

NGRAMS = (10_000, 25_000, 50_000, 100_000)  # besides all of the model's
WORDS = (1_500, 3_000, 6_000, 12_000)  # likewise
KEY_BYTES = 3  # of an n-gram or a word in the file's index: a fingerprint of 16 bits and its bucket's share
MB = 1e6


@dataclass(frozen=True)
class Candidate:
    """One point of a plot."""

    family: str
    name: str
    cost: float  # MB of weights, or microseconds a review
    accuracy: float  # mean over domains, percent


def by_size(training: Training) -> list[Candidate]:
    """Wide parts with fewer n-grams, then the whole wide part and deep parts with fewer words."""
    gated, keys = training.wide_part.gated, training.wide_part.keys
    grams = ngrams.Grams(keys, training.recipe.rules["negation_span"])
    matrix = wide.damped(grams.matrix(training.tokens["val"]))
    lightest = np.argsort(np.abs(gated.weights).max(1))
    row = gated.weights.shape[1] + KEY_BYTES
    found, logits = [], np.zeros(0, np.float32)
    for count in [*(size for size in NGRAMS if size < len(keys)), len(keys)]:
        weights = gated.weights.copy()
        weights[lightest[: len(keys) - count]] = 0
        logits = wide.Gated(weights, gated.bias, gated.groups).logits(matrix)
        accuracy = _accuracy(training, logits[:, None])
        found.append(Candidate("wide part", f"{count:,} n-grams", count * row / MB, accuracy))
    shape, rules, network = training.recipe.shape, training.recipe.rules, training.network(training.deep_part)
    layers = deep.layers(network)
    rest = sum(part.size for name, layer in layers.items() if name != "vectors" for part in layer)
    for count in [*(size for size in WORDS if size < shape.words), shape.words]:
        words = deep.window(training.words("val"), rules["words_head"], rules["words_tail"], count)
        both = np.column_stack([logits, deep.logits(network, words)])
        size = len(keys) * row + rest + count * (shape.dimensions + KEY_BYTES)
        found.append(Candidate("both parts", f"{count:,} words", size / MB, _accuracy(training, both)))
    return found


def by_time(curve: Sequence[Step], cost: Cost) -> list[Candidate]:
    """The cascade with narrower and wider bands, by the mean cost of a review in a batch."""
    return [
        Candidate(
            "cascade", f"{100 * step.share:.0f} %", cost.wide_batched + step.share * cost.deep, step.accuracy
        )
        for step in curve
    ]


def _accuracy(training: Training, logits: Floats) -> float:
    val = training.reviews["val"]
    label, domain = val.label, val.domain
    *scale, bias = calibrate.platt(logits, label, domain_weights(domain) ** 2)
    return calibrate.mean_accuracy((logits @ np.array(scale) + bias >= 0) == (label == 1), domain)
