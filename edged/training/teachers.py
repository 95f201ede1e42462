"""Networks whose answers the deep part learns from: one like it, one of another kind.

G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from edged.training import deep

if TYPE_CHECKING:
    from edged.training.deep import Fitted, Floats, Shape
    from edged.training.pipeline import Training


def network(shape: Shape, vectors: Floats, dropout: float = 0.0) -> Any:
    """Gated convolutions, pooled in two ways, as a Keras model: int32[batch, length] to float32[batch].

    Y. Dauphin et al., "Language Modeling with Gated Convolutional Networks", ICML 2017.
    """
    layers = tf.keras.layers
    ids = layers.Input([None], dtype="int32", name="words")
    known = layers.Lambda(lambda ids: tf.cast(ids > 0, tf.float32)[:, :, None])(ids)
    x = layers.SpatialDropout1D(dropout / 2)(deep.embedded(ids, shape, vectors))

    def gated(x: Any, name: str, **options: Any) -> Any:
        value = deep.convolution(shape, name, dropout, **options)(x)
        gate = deep.convolution(shape, f"{name}_gate", dropout, activation="sigmoid", **options)(x)
        return layers.Lambda(lambda parts: parts[0] * parts[1] * tf.cast(parts[2], parts[0].dtype))(
            [value, gate, known]
        )

    near = gated(x, "near")
    far = gated(layers.Concatenate()([x, near]), "far", dilation_rate=deep.APART)
    # A sum says more of a long review than a mean, but not in proportion to its length.
    mean = layers.Lambda(
        lambda parts: (
            tf.reduce_sum(tf.cast(parts[0], tf.float32), 1) / tf.sqrt(1 + tf.reduce_sum(parts[1], 1))
        )
    )([far, known])
    pooled = [layers.GlobalMaxPooling1D(dtype="float32")(found) for found in (near, far)]
    return tf.keras.Model(ids, deep.answered(layers.Concatenate()([*pooled, mean]), shape, dropout))


KINDS = network, deep.network  # they err in different places
PLAIN = 1  # which of them is of the deep part's kind


class Teachers:
    """Networks of a run trained on its labelled reviews alone."""

    def __init__(self, training: Training) -> None:
        self._training = training

    @cached_property
    def fitted(self) -> list[Fitted]:
        """One of each kind."""
        return [self.taught(which) for which in range(len(KINDS))]

    def taught(self, which: int) -> Fitted:
        """One of them."""

        def make() -> Fitted:
            recipe = self._training.recipe
            words = self._training.labelled(recipe.teacher_shape)
            seed = recipe.seed - 1 - which
            deep.seed(seed)
            model = KINDS[which](recipe.teacher_shape, self._training.vectors, recipe.teacher_dropout)
            return deep.fit(model, lambda _: words, epochs=recipe.teacher_epochs, seed=seed)

        return self._training.stage(f"teacher {which + 1}", make)

    def logits(self, split: str) -> Floats:
        """Mean of what they say of a split's reviews, float32[n]."""
        mean: Floats = np.mean([self.said(which, split) for which in range(len(KINDS))], 0)
        return mean

    def said(self, which: int, split: str) -> Floats:
        """What one of them says of a split's reviews, float32[n]."""
        return self._training.stage(f"teacher {which + 1} logits {split}", partial(self._said, which, split))

    def _said(self, which: int, split: str) -> Floats:
        shape = self._training.recipe.teacher_shape
        model = KINDS[which](
            shape, self._training.vectors, self._training.recipe.teacher_dropout
        )  # as fast as then
        model.set_weights(self.taught(which).weights)
        return deep.logits(model, self._training.windows(split, shape))
