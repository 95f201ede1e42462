"""The deep part: a small convolutional network over words, trained on its own.

Y. Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP
2014, with a second convolution over the first one's features and the words
themselves, and one hidden layer. Its logit is added to that of the wide part.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edged.training.adam import Adam
from edged.training.progress import SHOWN_EVERY_S, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

LENGTHS = (16, 32, 64, 128, 256)  # words, padding included: batches hold reviews of one length
TOKENS = 4096  # of one batch, padding included
RATE = 1.2e-3  # Adam's, at the start
LEAST_RATE = 0.05  # of that, at the end
APART = 2  # words from one to the next of those that the second convolution reads together
CPU = Path("/proc/cpuinfo")
# Half the time, where the processor multiplies such numbers.
SHORT = "mixed_bfloat16" if CPU.exists() and "avx512_bf16" in CPU.read_text("utf-8") else "float32"


@dataclass(frozen=True)
class Shape:
    """Sizes of a network."""

    words: int
    dimensions: int
    width: int = 3  # words that a convolution reads
    filters: int = 128  # of each convolution
    hidden: int = 64

    @property
    def bytes_per_word(self) -> int:
        """Bytes of int8 activations for each word: vector, second convolution's input, outputs."""
        return self.dimensions + (self.dimensions + self.filters) * (1 + self.width) + 2 * self.filters


@dataclass
class Words:
    """Word ids of n reviews, ragged, with what a network learns of them."""

    ids: Ids
    offsets: npt.NDArray[np.int64]  # n + 1
    target: Floats = field(default_factory=lambda: np.zeros(0, np.float32))  # n, probability of "positive"
    weight: Floats = field(default_factory=lambda: np.zeros(0, np.float32))  # n
    known: Floats = field(default_factory=lambda: np.zeros(0, np.float32))  # n, logit to add its own to

    def __post_init__(self) -> None:
        if len(self.known) == 0:
            self.known = np.zeros(len(self), np.float32)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def pick(self, mask: npt.NDArray[np.bool_]) -> Words:
        """The reviews where `mask` holds."""
        sizes = np.diff(self.offsets)
        offsets = np.concatenate([[0], np.cumsum(sizes[mask])])
        ids = self.ids[np.repeat(mask, sizes)]
        return Words(ids, offsets, self.target[mask], self.weight[mask], self.known[mask])

    def joined(self, other: Words) -> Words:
        """These reviews, then the others."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        return Words(
            np.concatenate([self.ids, other.ids]),
            offsets,
            np.concatenate([self.target, other.target]),
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.known, other.known]),
        )


@dataclass(frozen=True)
class Fitted:
    """A trained network: its weights, and the mean loss of each epoch."""

    weights: list[Floats]
    losses: list[float]


def window(words: Words, head: int, tail: int, vocabulary: int) -> Words:
    """The words that the daemon would give the deep part; ids above the vocabulary become 1, unknown."""
    sizes = np.diff(words.offsets)
    place = np.arange(words.offsets[-1]) - np.repeat(words.offsets[:-1], sizes)
    size = np.repeat(sizes, sizes)
    kept = (size <= head + tail) | (place < head) | (place >= size - tail)
    ids = words.ids[kept]
    ids = np.where(ids < vocabulary + 2, ids, 1).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(sizes, head + tail))])
    return Words(ids, offsets, words.target, words.weight, words.known)


def network(shape: Shape, vectors: Floats, dropout: float = 0.0) -> Any:
    """A Keras model: int32[batch, length] to logits float32[batch]."""
    layers = tf.keras.layers
    ids = layers.Input([None], dtype="int32", name="words")
    x = layers.SpatialDropout1D(dropout / 2)(embedded(ids, shape, vectors))
    near = convolution(shape, "near", dropout, activation="relu")(x)
    far = convolution(shape, "far", dropout, activation="relu", dilation_rate=APART)(
        layers.Concatenate()([x, near])
    )
    pooled = [layers.GlobalMaxPooling1D()(found) for found in (near, far)]
    return tf.keras.Model(ids, answered(layers.Concatenate()(pooled), shape, dropout))


def embedded(ids: Any, shape: Shape, vectors: Floats) -> Any:
    """Vectors of words, float32[batch, length, dimensions]."""
    given = _Given(vectors, shape)
    table = tf.keras.layers.Embedding(
        shape.words + 2, shape.dimensions, name="vectors", embeddings_initializer=given
    )
    return table(ids)


def convolution(shape: Shape, name: str, dropout: float, **options: Any) -> Any:
    """A layer; in training, where there is dropout, it multiplies in short floats if that is fast."""
    options["dtype"] = SHORT if dropout else "float32"
    return tf.keras.layers.Conv1D(shape.filters, shape.width, padding="same", name=name, **options)


def answered(x: Any, shape: Shape, dropout: float) -> Any:
    """The logit float32[batch] that a hidden layer makes of pooled features."""
    layers = tf.keras.layers
    x = layers.Dropout(dropout)(layers.Activation("linear", dtype="float32")(x))
    x = layers.Dropout(dropout)(layers.Dense(shape.hidden, activation="relu", name="hidden")(x))
    return layers.Flatten()(layers.Dense(1, name="logit")(x))[:, 0]


class _Given(tf.keras.initializers.Initializer):  # type: ignore[misc]
    """The first columns and rows of ready vectors; padding stays zero."""

    def __init__(self, vectors: Floats, shape: Shape, scale: float = 0.3) -> None:
        self._values = vectors[: shape.words + 2, : shape.dimensions] * np.float32(scale)

    def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> Any:
        return tf.convert_to_tensor(self._values.reshape(shape), dtype)


def batches(words: Words, rng: np.random.Generator | None) -> Iterator[tuple[npt.NDArray[np.int64], Ids]]:
    """(indices of reviews, ids[batch, length]); each review has at least one id of padding."""
    sizes = np.diff(words.offsets)
    found = []
    for shorter, length in zip((-1, *LENGTHS), LENGTHS):
        of_length = np.flatnonzero((sizes >= shorter) & (sizes < length))
        if rng is not None:
            rng.shuffle(of_length)
        step = max(TOKENS // length, 1)
        found += [(of_length[i : i + step], length) for i in range(0, len(of_length), step)]
    if rng is not None:
        rng.shuffle(found)  # type: ignore[arg-type]
    for at, length in found:
        ids = np.zeros((len(at), length), np.int32)
        inside = np.arange(length) < sizes[at][:, None]
        ids[inside] = words.ids[(words.offsets[at][:, None] + np.arange(length))[inside]]
        yield at, ids


def logits(model: Any, words: Words) -> Floats:
    """Logits of all reviews, float32[n]."""
    run = tf.function(
        lambda ids: model(ids, training=False), input_signature=[tf.TensorSpec([None, None], tf.int32)]
    )
    out = np.zeros(len(words), np.float32)
    for at, ids in batches(words, None):
        out[at] = run(tf.constant(ids)).numpy()
    return out


def probability(logits: Floats) -> Floats:
    """The logistic function, float32[n]."""
    found: Floats = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return found


def fit(
    model: Any,
    words: Callable[[int], Words],
    *,
    epochs: int,
    rate: float = RATE,
    unknown: float = 0.03,
    seed: int = 0,
) -> Fitted:
    """Train on `words` of each epoch, the rate falling linearly; `unknown` is the share of words hidden."""
    rng = np.random.default_rng(seed)
    variables = model.trainable_variables
    adam = Adam([variable.value for variable in variables])

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            *[tf.TensorSpec([None], tf.float32)] * 3,
            tf.TensorSpec([], tf.float32),
        ]
    )
    def step(ids: Any, target: Any, weight: Any, known: Any, rate: Any) -> Any:
        hidden = (tf.random.uniform(tf.shape(ids)) < unknown) & (ids > 1)
        with tf.GradientTape() as tape:
            logit = model(tf.where(hidden, 1, ids), training=True) + known
            losses = tf.nn.sigmoid_cross_entropy_with_logits(target, logit)
            loss = tf.reduce_sum(losses * weight) / tf.reduce_sum(weight)
        adam.apply(tape.gradient(loss, variables), rate)
        return loss

    losses = []
    for epoch in range(epochs):
        given = words(epoch)
        total, count, shown = 0.0, 0, time.monotonic()
        steps = sum(1 for _ in batches(given, None))
        for at, ids in batches(given, rng):
            left = 1 - (epoch + count / steps) / epochs
            learned = given.target[at], given.weight[at], given.known[at]
            total += float(step(ids, *learned, rate * max(left, LEAST_RATE)))
            count += 1
            if time.monotonic() - shown > SHOWN_EVERY_S:
                shown = time.monotonic()
                show(f"epoch {epoch + 1}", count / steps, f"loss {total / count:.4f}")
        losses.append(total / count)
        show(f"epoch {epoch + 1}", 1, f"loss {losses[-1]:.4f}")
    return Fitted(model.get_weights(), losses)


def layers(model: Any) -> dict[str, list[Floats]]:
    """Weights by layer."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


def seed(value: int) -> None:
    """Seed TensorFlow's, NumPy's and Python's random numbers."""
    tf.keras.utils.set_random_seed(value)
