"""The TFLite model: n-gram ids in, probabilities out."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edged.embedded import runtime
from edged.modelfile import DESCRIPTION, ModelFileError, read_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Offsets = npt.NDArray[np.uint32]
    Ids = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float32]

FORMAT = 1  # of edged.json


class ModelError(Exception):
    """The model cannot be loaded; the text says what to do."""


def description(path: str | Path) -> dict[str, Any]:
    """What the model file says of itself (``edged.json``).

    Raises:
        ModelError: it cannot be read, or is no model that this version knows.
    """
    try:
        with Path(path).open("rb") as file:
            found = bytes(
                read_metadata(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).get(DESCRIPTION, b"")
            )
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise ModelError(f"{path}: {error}") from None
        raise ModelError(f"{path}: cannot be read: {error}") from None
    if not found:
        raise ModelError(f"{path}: no {DESCRIPTION} in it; use a model that edged's training has written")
    facts: dict[str, Any] = json.loads(found)
    if facts.get("format") != FORMAT:
        raise ModelError(f"{path}: format {facts.get('format')!r}, this version reads {FORMAT}")
    return facts


def _interpreter(path: str, threads: int, *, delegates: bool) -> Any:
    """A TFLite interpreter of whichever runtime is installed; it maps the file, so weights are shared."""
    tflite = runtime.tflite()
    kinds = tflite.OpResolverType
    kind = kinds.AUTO if delegates else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        return tflite.Interpreter(path, num_threads=threads, experimental_op_resolver_type=kind)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the TFLite runtime cannot load it: {error}") from None


def _tensor_bytes(interpreter: Any, sizes: list[int]) -> int:
    """Estimate what tensors take besides weights, in bytes.

    Those that grow with a signature's size in ids are counted, from the shapes of the smallest signature; the
    runtime lets some of them share memory, so it is an upper bound.
    """
    one_id = 0
    for tensor in interpreter.get_tensor_details():
        shape = tensor["shape"]
        if len(shape) > 0 and shape[0] == sizes[0]:
            one_id += int(np.prod(shape[1:])) * np.dtype(tensor["dtype"]).itemsize
    return one_id * sum(sizes)


class Model:
    """One model file, loaded.

    ``tensor_bytes`` estimates what its tensors take besides the mapped weights.

    The wide part has a signature for each of a few sizes, counted in ids of
    all reviews of a call together. Ids lie end to end, so that nothing but the
    end is padding, and no call changes a tensor's shape: a resize costs five
    times what the model does. A review with more ids than the largest size is
    the one exception.

    Not thread-safe.
    """

    def __init__(self, path: str | Path, *, threads: int = 1, cascade: str = "auto") -> None:
        self.description = description(path)
        self.cascade = cascade
        interpreter = _interpreter(str(path), threads, delegates=False)
        names = [name for name in interpreter.get_signature_list() if name.split("_")[0] == "wide"]
        if not names:
            raise ModelError(f"{path}: no signature named wide")
        self._wide = sorted((_Wide(interpreter, name) for name in names), key=lambda wide: wide.size)
        self._empty = self._part(np.zeros(2, np.uint32), np.zeros(0, np.int32))[0]
        self.tensor_bytes = _tensor_bytes(interpreter, [wide.size for wide in self._wide])
        calibration = self.description["calibration"]
        self._scale, self._bias = np.float32(calibration["scale"]), np.float32(calibration["bias"])

    def predict(self, wide_offsets: Offsets, wide: Ids, word_offsets: Offsets, words: Ids) -> Floats:  # noqa: ARG002
        """Probability of ``labels[1]`` of each of n reviews, float32[n].

        Review i has the ids ``wide[wide_offsets[i]:wide_offsets[i + 1]]``; offsets have n + 1 entries.
        """
        return self.probabilities(self.wide_logits(wide_offsets, wide))

    def probabilities(self, logits: Floats) -> Floats:
        """Calibrated probabilities of logits."""
        half = np.float32(0.5)  # the logistic function as a tanh, which cannot overflow
        p: Floats = np.tanh((logits * self._scale + self._bias) * half) * half + half
        return p

    def wide_logits(self, offsets: Offsets, ids: Ids) -> Floats:
        """Logits of the wide part, float32[n]."""
        sizes = np.diff(offsets)
        if len(sizes) == 1:
            return self._part(offsets, ids)
        out = np.full(len(sizes), self._empty, np.float32)
        some = sizes > 0  # TFLite's SEGMENT_SUM knows no empty segments
        offsets = np.append(offsets[:1], offsets[1:][some])
        found = [self._part(part, ids[part[0] : part[-1]]) for part in self._parts(offsets)]
        if found:
            out[some] = np.concatenate(found)
        return out

    def _part(self, offsets: Offsets, ids: Ids) -> Floats:
        wide = next((wide for wide in self._wide if wide.size > len(ids)), self._wide[-1])
        return wide(offsets, ids)

    def _parts(self, offsets: Offsets) -> Iterator[Offsets]:
        """Runs of reviews whose ids fit into the largest size; a review that does not is alone."""
        n, first, room = len(offsets) - 1, 0, self._wide[-1].size - 1
        while first < n:
            last = int(np.searchsorted(offsets, int(offsets[first]) + room, side="right")) - 1
            last = max(last, first + 1)
            yield offsets[first : last + 1]
            first = last


class _Wide:
    """The wide part for up to `size` ids."""

    def __init__(self, interpreter: Any, name: str) -> None:
        self._run = interpreter.get_signature_runner(name)
        self.size = int(self._run.get_input_details()["ids"]["shape"][0])
        self._ids = np.zeros(self.size, np.int32)
        self._rows = np.zeros(self.size, np.int32)

    def __call__(self, offsets: Offsets, ids: Ids) -> Floats:
        """Logits of n reviews, none empty but a single one. The padding, never none, is the last's."""
        n, count, padded, rows = len(offsets) - 1, len(ids), self._ids, self._rows
        if count >= self.size:
            padded, rows = np.zeros(count + 1, np.int32), np.zeros(count + 1, np.int32)
        padded[:count] = ids
        padded[count:] = 0
        rows[count:] = n - 1
        rows[:count] = 0 if n == 1 else np.repeat(np.arange(n, dtype=np.int32), np.diff(offsets))
        logits: Floats = self._run(ids=padded, rows=rows)["logit"]
        return logits
