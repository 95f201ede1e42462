"""Joins .tflite models into one file with a signature each, and puts metadata blocks into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

if TYPE_CHECKING:
    from collections.abc import Mapping

ALIGNMENT = 16  # bytes; what the schema demands of tensor data


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns byte vectors, which the generated code leaves at four bytes."""

    def CreateNumpyVector(self, x: Any) -> Any:  # noqa: N802
        if x.dtype == np.uint8:
            self.StartVector(1, x.size, ALIGNMENT)
            self.head -= x.size
            self.Bytes[self.head : self.head + x.size] = x.tobytes()
            self.vectorNumElems = x.size
            return self.EndVector()
        return super().CreateNumpyVector(x)


def join(
    models: Mapping[str, bytes], metadata: Mapping[str, bytes], behind: Mapping[str, bytes] | None = None
) -> bytes:
    """One file of several models: the name of each becomes its signature.

    The first model is the primary subgraph. Each model has one subgraph;
    constants with the same bytes are stored once. The blocks of `behind` are
    metadata too, laid behind the flatbuffer: the runtime copies all that is in
    its vectors to the heap for each interpreter.
    """
    joined = schema.ModelT()
    joined.version, joined.description = 3, b"edged"
    joined.operatorCodes, joined.subgraphs, joined.signatureDefs = [], [], []
    joined.buffers, joined.metadata = [schema.BufferT()], []
    stored: dict[bytes, int] = {b"": 0}
    for name, data in models.items():
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
        _append(joined, model, name, stored)
    for name, block in metadata.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, _store(joined, bytes(block), stored)
        joined.metadata.append(entry)
    return _with_blocks(joined, behind or {})


def _with_blocks(joined: Any, blocks: Mapping[str, bytes]) -> bytes:
    """The finished file; each block's place is known once everything before it has been laid out."""
    buffers = []
    for name, block in blocks.items():
        entry, buffer = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer = name, len(joined.buffers)
        buffer.offset = buffer.size = len(block)
        joined.metadata.append(entry)
        joined.buffers.append(buffer)
        buffers.append(buffer)
    end = _padded(len(_packed(joined)))
    for buffer in buffers:
        buffer.offset, end = end, end + _padded(buffer.size)
    return b"".join(part.ljust(_padded(len(part)), b"\0") for part in (_packed(joined), *blocks.values()))


def _packed(model: Any) -> bytes:
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _append(joined: Any, model: Any, name: str, stored: dict[bytes, int]) -> None:
    first_code = len(joined.operatorCodes)
    joined.operatorCodes += model.operatorCodes
    (graph,) = model.subgraphs
    graph.name = name.encode()
    for operator in graph.operators:
        operator.opcodeIndex += first_code
    for tensor in graph.tensors:
        data = model.buffers[tensor.buffer].data
        tensor.buffer = 0 if data is None else _store(joined, np.asarray(data).tobytes(), stored)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = name, len(joined.subgraphs)
    signature.inputs = [_named(graph, index) for index in graph.inputs]
    signature.outputs = [_named(graph, index, "logit") for index in graph.outputs]
    joined.signatureDefs.append(signature)
    joined.subgraphs.append(graph)


def _named(graph: Any, index: int, name: str = "") -> Any:
    """A signature's entry; inputs are named as the TensorFlow function's arguments."""
    entry = schema.TensorMapT()
    tensor = graph.tensors[index].name.decode()
    entry.name, entry.tensorIndex = name or tensor.split(":")[0].removeprefix("serving_default_"), index
    return entry


def _store(joined: Any, data: bytes, stored: dict[bytes, int]) -> int:
    if data not in stored:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        stored[data] = len(joined.buffers)
        joined.buffers.append(buffer)
    return stored[data]
