"""Writes the heavy model: `python -m tests.bench.heavy_model FILE`. Convolutions that share one filter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tflite

from tests.bench.heavy import CHANNELS, WIDTH

LAYERS, REACH = 32, 5
SHAPE = (1, 1, WIDTH, CHANNELS)
FILTER, BIAS, FIRST = 0, 1, 2  # tensors: the filter, the bias, then the input and each layer's output


def write(path: Path) -> None:
    """Write the .tflite file."""
    random = np.random.default_rng(7)
    # Variance 1 / fan-in keeps the activations' scale through all layers.
    kernel = random.normal(0, (CHANNELS * REACH) ** -0.5, (CHANNELS, 1, REACH, CHANNELS)).astype("<f4")
    b = flatbuffers.Builder(1 << 20)
    data = [b"", kernel.tobytes(), np.zeros(CHANNELS, "<f4").tobytes()]
    buffers = _vector(b, [_buffer(b, block) for block in data])
    tensors = [_tensor(b, "filter", kernel.shape, 1), _tensor(b, "bias", (CHANNELS,), 2)]
    tensors += [_tensor(b, f"layer{number}", SHAPE, 0) for number in range(LAYERS + 1)]
    operators = [_convolution(b, FIRST + number) for number in range(LAYERS)]
    graph = _graph(b, _vector(b, tensors), _vector(b, operators))
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, tflite.BuiltinOperator.CONV_2D)
    tflite.OperatorCodeAddBuiltinCode(b, tflite.BuiltinOperator.CONV_2D)
    tflite.OperatorCodeAddVersion(b, 1)
    codes, graphs = _vector(b, [tflite.OperatorCodeEnd(b)]), _vector(b, [graph])
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    path.write_bytes(bytes(b.Output()))


def _vector(b: Any, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _buffer(b: Any, data: bytes) -> int:
    block = 0
    if data:
        b.StartVector(1, len(data), 16)  # the schema aligns tensor data to 16 bytes
        b.head -= len(data)
        b.Bytes[b.head : b.head + len(data)] = data
        b.vectorNumElems = len(data)
        block = b.EndVector()
    tflite.BufferStart(b)
    if data:
        tflite.BufferAddData(b, block)
    return int(tflite.BufferEnd(b))


def _tensor(b: Any, name: str, shape: tuple[int, ...], buffer: int) -> int:
    title, sizes = b.CreateString(name), b.CreateNumpyVector(np.array(shape, "<i4"))
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, sizes)
    tflite.TensorAddType(b, tflite.TensorType.FLOAT32)
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, title)
    return int(tflite.TensorEnd(b))


def _convolution(b: Any, source: int) -> int:
    inputs = b.CreateNumpyVector(np.array([source, FILTER, BIAS], "<i4"))
    outputs = b.CreateNumpyVector(np.array([source + 1], "<i4"))
    tflite.Conv2DOptionsStart(b)
    tflite.Conv2DOptionsAddPadding(b, tflite.Padding.SAME)
    tflite.Conv2DOptionsAddStrideW(b, 1)
    tflite.Conv2DOptionsAddStrideH(b, 1)
    options = tflite.Conv2DOptionsEnd(b)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, 0)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    tflite.OperatorAddBuiltinOptionsType(b, tflite.BuiltinOptions.Conv2DOptions)
    tflite.OperatorAddBuiltinOptions(b, options)
    return int(tflite.OperatorEnd(b))


def _graph(b: Any, tensors: int, operators: int) -> int:
    inputs = b.CreateNumpyVector(np.array([FIRST], "<i4"))
    outputs = b.CreateNumpyVector(np.array([FIRST + LAYERS], "<i4"))
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensors)
    tflite.SubGraphAddInputs(b, inputs)
    tflite.SubGraphAddOutputs(b, outputs)
    tflite.SubGraphAddOperators(b, operators)
    return int(tflite.SubGraphEnd(b))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
