"""The wide part of a run: its n-grams, their weights, and what it says of reviews that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edged.training import ngrams, wide

if TYPE_CHECKING:
    import scipy.sparse as sp

    from edged.tokens import Tokens
    from edged.training.data import Reviews
    from edged.training.recipe import Recipe

Floats = npt.NDArray[np.float32]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class WidePart:
    """In floats, before any of it is int8."""

    gated: wide.Gated
    keys: npt.NDArray[np.uint64]  # of the n-grams, ascending
    crossed: Floats  # logits of the training reviews, each by one fitted on the other half


def fitted(reviews: Reviews, tokens: Tokens, weights: Floats, recipe: Recipe) -> WidePart:
    """Choose n-grams and fit their weights on all reviews, and on each half of them."""
    grams, matrix = ngrams.collect(tokens, recipe.rules["negation_span"])
    groups = wide.groups_of(reviews.domains)
    label, weight = wide.pushed_apart(reviews.label, weights, reviews.domain)
    value = wide.importance(matrix, label, weight, groups)
    kept = np.sort(np.argsort(-value)[: recipe.ngrams])
    matrix = wide.damped(matrix[:, kept])
    found = wide.fit_gated(matrix, label, weight, groups)
    return WidePart(found, grams.keys[kept], _crossed(matrix, label, weight, groups, recipe.seed))


def _crossed(matrix: sp.csr_matrix, label: Floats, weight: Floats, groups: Texts, seed: int) -> Floats:
    """What it says of reviews that it has not seen: its own it knows by heart, 99.8 % of them."""
    half = np.random.default_rng(seed).random(len(label)) < 0.5
    found = np.zeros(len(label), np.float32)
    for own in (half, ~half):
        other = wide.fit_gated(matrix[~own], label[~own], weight[~own], groups[~own])
        found[own] = other.logits(matrix[own])
    return found
