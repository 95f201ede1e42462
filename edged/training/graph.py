"""The wide part as a TensorFlow Lite graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import tensorflow as tf

from edged.training.calibrate import LEAST_TRUST
from edged.training.deep import APART
from edged.training.wide import DAMPED_FROM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.features import Rows

Floats = npt.NDArray[np.float32]

# Ids that one call takes, all its reviews together. In doubling steps, since a call costs what its size does,
# used or not; batches of more ids are several calls, whose fixed cost (7 us) is then small beside the rest.
WIDE_SIZES = {"wide": 128, "wide_256": 256, "wide_512": 512, "wide_1024": 1024, "wide_2048": 2048}


@dataclass
class Wide:
    """A gated linear model: columns are one shared value, a value and a gate for each group."""

    table: npt.NDArray[np.int8]  # ids, 1 + 2 * groups; row 0 is padding and zero
    scale: npt.NDArray[np.float32]  # 1 + 2 * groups
    bias: npt.NDArray[np.float32]  # 1 + 2 * groups
    trust: npt.NDArray[np.float32] | None = None  # groups + 1; see `calibrate.trust`

    @property
    def groups(self) -> int:
        """How many."""
        return (self.table.shape[1] - 1) // 2

    @classmethod
    def quantized(cls, weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> Wide:
        """`weights` (n-grams, columns) scaled by each column's largest magnitude to int8."""
        scale = np.abs(weights).max(0) / 127
        table = np.zeros((len(weights) + 1, weights.shape[1]), np.int8)
        table[1:] = np.round(weights / scale)
        return cls(table, scale.astype(np.float32), bias.astype(np.float32))

    def read(self, rows: Rows) -> tuple[Floats, Floats, Floats]:
        """Of n reviews: logits before `trust`, float32[n]; gates, float32[n, groups]; lengths, float32[n]."""
        ones = np.ones(len(rows.wide), np.float32)
        known = np.diff(rows.wide_offsets.astype(np.int64))
        matrix = sp.csr_matrix((ones, rows.wide, rows.wide_offsets), (len(known), len(self.table)))
        length = np.log1p(known / DAMPED_FROM).astype(np.float32)
        damped = matrix @ self.table.astype(np.float32) * np.exp(-length / 2)[:, None]
        columns = damped * self.scale + self.bias
        values, gates = columns[:, 1 : 1 + self.groups], np.exp(columns[:, 1 + self.groups :])
        gates /= gates.sum(1, keepdims=True)
        return columns[:, 0] + (gates * values).sum(1), gates, length


def convert(function: Callable[..., tf.Tensor], inputs: Sequence[tf.TensorSpec]) -> bytes:
    """A .tflite with one subgraph of `function`."""
    concrete = tf.function(function, input_signature=inputs).get_concrete_function()
    model: bytes = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    return model


def wide_models(wide: Wide) -> dict[str, bytes]:
    """The wide part for each number of ids: inputs ids and rows (each id's review, ascending), output logits.

    Padding is id 0, given to the last review.
    """
    groups = wide.groups
    trust = wide.trust if wide.trust is not None else np.append(np.ones(groups, np.float32), np.float32(0))

    def logits(ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        found = tf.cast(tf.gather(tf.constant(wide.table), ids), tf.float32)
        # By way of bool: TFLite's MINIMUM with a scalar took a quarter of the wide part's time.
        known = tf.math.segment_sum(tf.cast(tf.cast(ids, tf.bool), tf.float32), rows)
        damping = tf.math.rsqrt(1 + known / DAMPED_FROM)
        columns = tf.math.segment_sum(found, rows) * wide.scale * damping[:, None] + wide.bias
        shared, values, gates = tf.split(columns, [1, groups, groups], axis=-1)
        gates = tf.nn.softmax(gates)
        factor = tf.reduce_sum(gates * trust[:-1], -1) - 2 * trust[-1] * tf.math.log(damping)
        logit = tf.squeeze(shared, -1) + tf.reduce_sum(gates * values, -1)
        return logit * tf.maximum(factor, LEAST_TRUST)

    return {
        name: convert(
            logits,
            [tf.TensorSpec([size], tf.int32, name="ids"), tf.TensorSpec([size], tf.int32, name="rows")],
        )
        for name, size in WIDE_SIZES.items()
    }


# Words that one call takes, one review at a time: batching does not make convolutions cheaper. Their cost is
# in proportion to the size, and half of the reviews have fewer than 48 words.
DEEP_SIZES = {"deep": 32, "deep_48": 48, "deep_64": 64, "deep_128": 128, "deep_256": 256}
BELOW = 0.98  # of the largest value among the vectors: as far as the first convolution's outputs may reach


def samples_of(rows: Rows, count: int = 300) -> dict[int, list[npt.NDArray[np.int32]]]:
    """Padded word ids of typical reviews for each size of the deep part, int32[size]."""
    found: dict[int, list[npt.NDArray[np.int32]]] = {size: [] for size in DEEP_SIZES.values()}
    for start, end in zip(rows.word_offsets[:-1], rows.word_offsets[1:]):
        size = min((size for size in found if size > end - start), default=max(found))
        padded = np.zeros(size, np.int32)
        padded[: end - start] = rows.words[start:end][:size]
        found[size].append(padded)
    # A size that no review needs is scaled by shorter reviews.
    for size, samples in found.items():
        samples += [
            np.resize(sample, size) for other in found.values() for sample in other[: count - len(samples)]
        ]
    return {size: samples[:count] for size, samples in found.items()}


def deep_models(
    layers: dict[str, Any], samples: Mapping[int, Sequence[npt.NDArray[np.int32]]]
) -> dict[str, bytes]:
    """Weights by layer as full-integer graphs: input words int32[1, size], output the logit float32[1].

    `samples` are typical inputs for each size, int32[size], by which activations are scaled.
    """
    (table,) = layers["vectors"]
    # All sizes must scale the vectors alike, or the file would hold them twice: each sees the extreme ones.
    extremes = [int(np.argmax(table.max(1))), int(np.argmin(table.min(1)))]
    seen = {
        size: [*samples[size], np.resize(extremes, size).astype(np.int32)] for size in DEEP_SIZES.values()
    }
    layers = _below_vectors(layers, [sample for of_size in seen.values() for sample in of_size])
    return {name: _quantized_deep(layers, size, seen[size]) for name, size in DEEP_SIZES.items()}


def _below_vectors(layers: dict[str, Any], samples: Sequence[npt.NDArray[np.int32]]) -> dict[str, Any]:
    """The same network, the first convolution's outputs below the largest of the vectors.

    Both are scaled alike, since the second convolution reads them side by side: so it is by the vectors. ReLU
    lets a factor through, which is taken back in what reads the outputs.
    """
    (table,), (kernel, bias) = layers["vectors"], layers["near"]
    largest = max(
        float(tf.reduce_max(tf.nn.conv1d(table[sample][None], kernel, 1, "SAME") + bias))
        for sample in samples
    )
    factor = np.float32(BELOW * table.max() / largest)
    (far, far_bias), (hidden, hidden_bias) = layers["far"], layers["hidden"]
    far, hidden = far.copy(), hidden.copy()
    far[:, table.shape[1] :] /= factor
    hidden[: len(bias)] /= factor
    return {
        **layers,
        "near": [kernel * factor, bias * factor],
        "far": [far, far_bias],
        "hidden": [hidden, hidden_bias],
    }


def _quantized_deep(weights: dict[str, Any], size: int, samples: Sequence[npt.NDArray[np.int32]]) -> bytes:
    (table,) = weights["vectors"]

    def convolved(x: tf.Tensor, name: str, apart: int) -> tf.Tensor:
        kernel, bias = weights[name]
        return tf.nn.relu(tf.nn.conv2d(x, tf.constant(kernel[None]), 1, "SAME", dilations=[1, apart]) + bias)

    def logit(words: tf.Tensor) -> tf.Tensor:
        x = tf.reshape(tf.gather(tf.constant(table), words), [1, 1, size, table.shape[1]])
        near = convolved(x, "near", 1)
        far = convolved(tf.concat([x, near], -1), "far", APART)
        pooled = [tf.nn.max_pool2d(found, [1, size], [1, size], "VALID") for found in (near, far)]
        x = tf.reshape(tf.concat(pooled, -1), [1, -1])
        for name in ("hidden", "logit"):
            kernel, bias = weights[name]
            x = tf.matmul(x, tf.constant(kernel)) + bias
            x = tf.nn.relu(x) if name == "hidden" else x
        return tf.reshape(x, [1])

    inputs = [tf.TensorSpec([1, size], tf.int32, name="words")]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(logit, input_signature=inputs).get_concrete_function()]
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    # tflite-runtime 2.14 reads no dense layers with a scale for each row.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001
    model: bytes = converter.convert()
    return model
