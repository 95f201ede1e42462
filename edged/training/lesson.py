"""The deep part's last lesson: what the wide part makes of denied opinions, and how to take it back.

A sum of n-grams cannot turn a word that it has not seen negated. The student goes on from its weights with
denied opinions, each with the target that the deep part has to add to the wide part's logit, and with
reviews that it has read before, each with its own answer, so that it forgets nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edged.training import calibrate, deep, negations
from edged.training.data import domain_weights

if TYPE_CHECKING:
    from edged.training.pipeline import Training

Floats = npt.NDArray[np.float32]


def of_denials(training: Training) -> deep.Words:
    """What the student goes on with."""
    recipe, made = training.recipe, training.reviews["train"].domain == negations.DOMAIN
    network, words = training.network(training.student), training.labelled()
    denied = training.windows("denials")
    denied.target = training.reviews["denials"].label
    denied.weight = np.full(len(denied), training.weights[made].mean(), np.float32)
    practice = words.pick(made).joined(denied)
    said = np.concatenate([training.wide_logits("train")[made], training.wide_logits("denials")])
    missing = _missing(training, practice.target, said)
    answers = deep.logits(network, practice)
    # No less than it says already: the wide part may be surer than the made labels are.
    surer = np.where(practice.target > 0.5, np.maximum(missing, answers), np.minimum(missing, answers))
    practice.target = deep.probability(surer)
    rng = np.random.default_rng(recipe.seed + 2)
    some = rng.random(len(made)) < recipe.remembered
    known = words.pick(some & ~made)
    more = training.unlabelled
    known = known.joined(more.pick(rng.random(len(more)) < recipe.remembered * recipe.unlabelled))
    known.target = deep.probability(deep.logits(network, known))
    return practice.joined(known)


def _missing(training: Training, label: Floats, wide_logits: Floats) -> Floats:
    """What the deep part would have to say for both parts together to say `label`."""
    val = training.reviews["val"]
    fitted = calibrate.Platt.fitted(
        training.wide_logits("val"),
        training.deep_logits(training.student),
        val.label,
        domain_weights(val.domain) ** 2,
    )
    wide_scale, deep_scale, bias = fitted.both
    found: Floats = (np.log(label / (1 - label)) - bias - wide_scale * wide_logits) / deep_scale
    return found
