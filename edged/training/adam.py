"""Adam for networks over words: a batch moves the vectors of its own words alone.

D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, without bias for rows that a batch
does not hold: their moments wait. Most of a network's weights are word vectors; a batch holds few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, SECOND, LEAST = 0.9, 0.999, 1e-7  # decay of both moments, and what is added to the root of the second


class Adam:
    """Moments of some variables."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self._variables = variables
        self._moments = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in variables]
        self._steps = tf.Variable(0.0)

    def apply(self, gradients: Sequence[Any], rate: Any) -> None:
        """One step. Row 0 of what is looked up by row, padding's vector, stays as it is."""
        steps = self._steps.assign_add(1)
        rate = rate * tf.sqrt(1 - SECOND**steps) / (1 - FIRST**steps)
        for variable, gradient, (first, second) in zip(self._variables, gradients, self._moments):
            if isinstance(gradient, tf.IndexedSlices):
                rows, at = tf.unique(gradient.indices)
                slope = tf.math.unsorted_segment_sum(gradient.values, at, tf.size(rows))
                slope *= tf.cast(rows > 0, slope.dtype)[:, None]
                mean, square = _moved(tf.gather(first, rows), tf.gather(second, rows), slope)
                first.scatter_update(tf.IndexedSlices(mean, rows))
                second.scatter_update(tf.IndexedSlices(square, rows))
                variable.scatter_sub(tf.IndexedSlices(rate * mean / (tf.sqrt(square) + LEAST), rows))
            else:
                mean, square = _moved(first, second, gradient)
                first.assign(mean)
                second.assign(square)
                variable.assign_sub(rate * mean / (tf.sqrt(square) + LEAST))


def _moved(first: Any, second: Any, slope: Any) -> tuple[Any, Any]:
    return FIRST * first + (1 - FIRST) * slope, SECOND * second + (1 - SECOND) * slope**2
