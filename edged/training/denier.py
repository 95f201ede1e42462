"""The deep part's last lesson: what the wide part makes of denied opinions, and how to take it back.

A sum of n-grams cannot turn a word that it has not seen negated. The student goes on from its weights with
denied opinions, each with the target that the deep part has to add to the wide part's logit, and with
reviews that it has read before, each with its own answer. Then the weights of before and after are mixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edged.training import calibrate, deep, negations
from edged.training.data import domain_weights
from edged.training.deep import Fitted

if TYPE_CHECKING:
    from edged.training.pipeline import Training

Floats = npt.NDArray[np.float32]

MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the denier's weights, as tried


def lesson(training: Training) -> deep.Words:
    """What the denier learns from."""
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
    more = np.where(practice.target > 0.5, np.maximum(missing, answers), np.minimum(missing, answers))
    practice.target = deep.probability(more)
    some = np.random.default_rng(recipe.seed + 2).random(len(made)) < recipe.remembered
    known = words.pick(some & ~made)
    known = known.joined(training.unlabelled(recipe.remembered * recipe.unlabelled, recipe.seed + 3))
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


def mixed(training: Training, student: Fitted, denier: Fitted) -> Fitted:
    """Weights between those of both.

    M. Wortsman et al., "Robust Fine-tuning of Zero-shot Models", CVPR 2022: between two networks, of which
    one was trained on from the other, lies one that knows what both do. The share of the denier is the
    largest that costs at most `calibrate.GIVEN_UP` points of mean accuracy against the best one.
    """
    val = training.reviews["val"]
    mixes, accuracy = [], []
    for share in MIXES:
        pairs = zip(student.weights, denier.weights)
        weights = [np.float32(1 - share) * old + np.float32(share) * new for old, new in pairs]
        mixes.append(Fitted(weights, student.losses + denier.losses))
        columns = np.column_stack([training.wide_logits("val"), training.deep_logits(mixes[-1])])
        accuracy.append(calibrate.fitted_accuracy(columns, val.label, val.domain))
        print(f"         {100 * share:3.0f} % of the denier: mean accuracy {accuracy[-1]:.2f} %", flush=True)
    enough = [mix for mix, found in zip(mixes, accuracy) if found >= max(accuracy) - calibrate.GIVEN_UP]
    return enough[-1]
