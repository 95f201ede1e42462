"""The wide part as a TensorFlow Lite graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Ids that one call takes, all its reviews together: a short review, a long one, a batch.
WIDE_SIZES = {"wide": 128, "wide_1024": 1024, "wide_4096": 4096}


@dataclass
class Wide:
    """A gated linear model: columns are one shared value, a value and a gate for each group."""

    table: npt.NDArray[np.int8]  # ids, 1 + 2 * groups; row 0 is padding and zero
    scale: npt.NDArray[np.float32]  # 1 + 2 * groups
    bias: npt.NDArray[np.float32]  # 1 + 2 * groups

    @classmethod
    def quantized(cls, weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> Wide:
        """`weights` (n-grams, columns) scaled by each column's largest magnitude to int8."""
        scale = np.abs(weights).max(0) / 127
        table = np.zeros((len(weights) + 1, weights.shape[1]), np.int8)
        table[1:] = np.round(weights / scale)
        return cls(table, scale.astype(np.float32), bias.astype(np.float32))


def convert(function: Callable[..., tf.Tensor], inputs: Sequence[tf.TensorSpec]) -> bytes:
    """A .tflite with one subgraph of `function`."""
    concrete = tf.function(function, input_signature=inputs).get_concrete_function()
    model: bytes = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    return model


def wide_models(wide: Wide) -> dict[str, bytes]:
    """The wide part for each number of ids: inputs ids and rows (each id's review, ascending), output logits.

    Padding is id 0, given to the last review.
    """
    groups = (wide.table.shape[1] - 1) // 2

    def logits(ids: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        found = tf.cast(tf.gather(tf.constant(wide.table), ids), tf.float32)
        columns = tf.math.segment_sum(found, rows) * wide.scale + wide.bias
        shared, values, gates = tf.split(columns, [1, groups, groups], axis=-1)
        return tf.squeeze(shared, -1) + tf.reduce_sum(tf.nn.softmax(gates) * values, -1)

    return {
        name: convert(
            logits,
            [tf.TensorSpec([size], tf.int32, name="ids"), tf.TensorSpec([size], tf.int32, name="rows")],
        )
        for name, size in WIDE_SIZES.items()
    }
