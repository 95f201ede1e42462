"""Writes the heavy model: `python -m tests.bench.heavy_model FILE`. Convolutions that share one filter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from tests.bench.heavy import CHANNELS, WIDTH
from tests.tflite_file import Operator, Tensor, model

LAYERS, REACH = 32, 5
SHAPE = (1, 1, WIDTH, CHANNELS)
FILTER, BIAS, FIRST = 0, 1, 2  # tensors: the filter, the bias, then the input and each layer's output


def write(path: Path) -> None:
    """Write the .tflite file."""
    random = np.random.default_rng(7)
    # Variance 1 / fan-in keeps the activations' scale through all layers.
    kernel = random.normal(0, (CHANNELS * REACH) ** -0.5, (CHANNELS, 1, REACH, CHANNELS)).astype("<f4")
    constants = [Tensor(kernel.shape, kernel), Tensor((CHANNELS,), np.zeros(CHANNELS, "<f4"))]
    layers = [Tensor(SHAPE) for _ in range(LAYERS + 1)]
    convolutions = [_convolution(FIRST + number) for number in range(LAYERS)]
    path.write_bytes(model([*constants, *layers], convolutions, [FIRST], [FIRST + LAYERS]))


def _convolution(source: int) -> Operator:
    kind = tflite.BuiltinOptions.Conv2DOptions
    return Operator(tflite.BuiltinOperator.CONV_2D, [source, FILTER, BIAS], [source + 1], kind, _same_padding)


def _same_padding(b: Any) -> int:
    tflite.Conv2DOptionsStart(b)
    tflite.Conv2DOptionsAddPadding(b, tflite.Padding.SAME)
    tflite.Conv2DOptionsAddStrideW(b, 1)
    tflite.Conv2DOptionsAddStrideH(b, 1)
    return int(tflite.Conv2DOptionsEnd(b))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
