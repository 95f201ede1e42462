"""Writes small .tflite files, operator by operator, for tests and benchmarks that want their own model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import flatbuffers
import numpy as np
import tflite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

KINDS = {"float32": tflite.TensorType.FLOAT32, "int32": tflite.TensorType.INT32}


class Tensor(NamedTuple):
    """What operators read and write; a constant has data, and its type from there."""

    shape: tuple[int, ...]
    data: npt.NDArray[Any] | None = None
    kind: str = "float32"


class Operator(NamedTuple):
    """One step: the schema's operator code, tensor numbers, and options: their type and what writes them."""

    code: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options_type: int = 0
    options: Callable[[Any], int] | None = None


def model(
    tensors: Sequence[Tensor], operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """The file with one subgraph of these."""
    b = flatbuffers.Builder(1 << 16)
    constants = [tensor.data for tensor in tensors if tensor.data is not None]
    buffers = _vector(b, [_buffer(b, data) for data in [b"", *(data.tobytes() for data in constants)]])
    numbers = iter(range(1, len(constants) + 1))
    written = [_tensor(b, tensor, 0 if tensor.data is None else next(numbers)) for tensor in tensors]
    codes = sorted({operator.code for operator in operators})
    steps = [_operator(b, operator, codes.index(operator.code)) for operator in operators]
    graph = _graph(b, _vector(b, written), _vector(b, steps), inputs, outputs)
    known, graphs = _vector(b, [_code(b, code) for code in codes]), _vector(b, [graph])
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, known)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


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


def _tensor(b: Any, tensor: Tensor, buffer: int) -> int:
    kind = tensor.kind if tensor.data is None else tensor.data.dtype.name
    sizes = b.CreateNumpyVector(np.array(tensor.shape, "<i4"))
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, sizes)
    tflite.TensorAddType(b, KINDS[kind])
    tflite.TensorAddBuffer(b, buffer)
    return int(tflite.TensorEnd(b))


def _code(b: Any, code: int) -> int:
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, code)
    tflite.OperatorCodeAddBuiltinCode(b, code)
    tflite.OperatorCodeAddVersion(b, 1)
    return int(tflite.OperatorCodeEnd(b))


def _operator(b: Any, operator: Operator, index: int) -> int:
    inputs = b.CreateNumpyVector(np.array(operator.inputs, "<i4"))
    outputs = b.CreateNumpyVector(np.array(operator.outputs, "<i4"))
    options = operator.options(b) if operator.options else 0
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, index)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if options:
        tflite.OperatorAddBuiltinOptionsType(b, operator.options_type)
        tflite.OperatorAddBuiltinOptions(b, options)
    return int(tflite.OperatorEnd(b))


def _graph(b: Any, tensors: int, operators: int, inputs: Sequence[int], outputs: Sequence[int]) -> int:
    first, last = (b.CreateNumpyVector(np.array(ends, "<i4")) for ends in (inputs, outputs))
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, tensors)
    tflite.SubGraphAddInputs(b, first)
    tflite.SubGraphAddOutputs(b, last)
    tflite.SubGraphAddOperators(b, operators)
    return int(tflite.SubGraphEnd(b))
