"""The TFLite model: n-gram ids in, probabilities out."""

from __future__ import annotations

import functools
import json
import math
import mmap

import numpy as np

from edged.embedded import runtime
from edged.modelfile import DESCRIPTION, ModelFileError, read_metadata

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Any, TypeVar

    import numpy.typing as npt

    Offsets = npt.NDArray[np.uint32]
    Ids = npt.NDArray[np.int32]
    Floats = npt.NDArray[np.float32]
    _Part = TypeVar("_Part", "_Wide", "_Deep")

FORMAT = 1  # of edged.json
CASCADES = ("auto", "off", "full")


class ModelError(Exception):
    """The model cannot be loaded; the text says what to do."""


def description(path: str | Path) -> dict[str, Any]:
    """What the model file says of itself (``edged.json``).

    Raises:
        ModelError: it cannot be read, or is no model that this version knows.
    """
    try:
        with open(path, "rb") as file:
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


def interpreter(path: str, threads: int) -> Any:
    """A TFLite interpreter of whichever runtime is installed. It maps the file, so weights are shared.

    Without XNNPACK, which made nothing here faster and would unpack weights into memory.
    """
    tflite = runtime.tflite()
    kind = tflite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        return _once(tflite.Interpreter)(path, num_threads=threads, experimental_op_resolver_type=kind)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the TFLite runtime cannot load it: {error}") from None


@functools.cache
def _once(interpreter: Any) -> Any:
    """An interpreter class that reads no signatures when it is made.

    Each reading leaks 7 KB (tflite-runtime 2.14), at each reload; `_signatures` does it once for all.
    """

    class Interpreter(interpreter):  # type: ignore[misc]
        def get_signature_list(self) -> dict[str, Any]:
            return {}

    return Interpreter


class Model:
    """One model file, loaded.

    `tensor_bytes` estimates what its tensors take besides the mapped weights.

    `cascade` says which reviews the deep part reads: "auto" those of which the
    wide part is unsure (the description's band of logits) and, if the
    description says so, short ones with a negation; "full" all, "off" none.
    The logits of both parts are added.

    Not thread-safe.
    """

    def __init__(self, path: str | Path, *, threads: int = 1, cascade: str = "auto") -> None:
        if cascade not in CASCADES:
            raise ModelError(f"cascade is {cascade!r}, expected one of {', '.join(CASCADES)}")
        self.description = description(path)
        self.parts = Parts(interpreter(str(path), threads))
        if not self.parts.has_wide:
            raise ModelError(f"{path}: no signature named wide")
        self.cascade = cascade if self.parts.has_deep else "off"
        self._calibration = _calibration(self.description["calibration"]["wide"])
        if self.cascade != "off":
            self._deep_calibration = _calibration(self.description["calibration"]["deep"])
            band = self.description["cascade"]
            self._low, self._high = float(band["low"]), float(band["high"])
            self._negated = Negated(**band.get("negated", {}))
        self.tensor_bytes = self.parts.tensor_bytes(self.description)

    def predict(self, wide_offsets: Offsets, wide: Ids, word_offsets: Offsets, words: Ids) -> Floats:
        """Probability of ``labels[1]`` of each of n reviews, float32[n].

        Review i has the ids ``wide[wide_offsets[i]:wide_offsets[i + 1]]``; offsets have n + 1 entries.
        """
        logits = self.parts.wide_logits(wide_offsets, wide)
        if len(logits) == 1:  # a call of numpy costs a sixth of the wide part
            return np.array([self._one(float(logits[0]), words)], np.float32)
        probabilities: Floats = _logistic(logits, self._calibration)
        for i in self.unsure(logits, word_offsets, words):
            probabilities[i] = self._both(float(logits[i]), words[word_offsets[i] : word_offsets[i + 1]])
        return probabilities

    def _one(self, logit: float, words: Ids) -> float:
        unsure = self.cascade == "full" or (
            self.cascade == "auto" and (self._low <= logit <= self._high or self._negated.one(words))
        )
        if unsure and len(words) > 0:
            return self._both(logit, words)
        return _logistic(logit, self._calibration, math.tanh)  # type: ignore[no-any-return]

    def _both(self, logit: float, words: Ids) -> float:
        total = logit + float(self.parts.deep_logit(words))
        return _logistic(total, self._deep_calibration, math.tanh)  # type: ignore[no-any-return]

    def unsure(self, logits: Floats, word_offsets: Offsets, words: Ids) -> list[int]:
        """The reviews that the deep part should read: it can say nothing of those without words."""
        if self.cascade == "off":
            return []
        inside = word_offsets[1:] > word_offsets[:-1]
        if self.cascade == "auto":
            unsure = (logits >= self._low) & (logits <= self._high)
            inside &= unsure | self._negated(word_offsets, words)
        found: list[int] = inside.nonzero()[0].tolist()
        return found


class Negated:
    """Which reviews have at most `most_words` words, one of them a negation: with an id among `ids`.

    Of those the wide part is often sure and wrong: a sum of n-grams cannot turn a word that it has not seen
    negated. Without `ids`, as in models of before, none.
    """

    def __init__(self, most_words: int = 0, ids: Iterable[int] = ()) -> None:
        self._most, self._ids = most_words, frozenset(ids)
        self._is = np.zeros(max(self._ids, default=0) + 2, bool)  # the last stands for all greater ids
        self._is[list(self._ids)] = True

    def one(self, words: Ids) -> bool:
        """Whether the review with these words is one of them."""
        return len(words) <= self._most and not self._ids.isdisjoint(words.tolist())

    def __call__(self, offsets: Offsets, words: Ids) -> npt.NDArray[np.bool_]:
        """The same of n reviews, bool[n]."""
        short = offsets[1:] - offsets[:-1] <= self._most
        found = np.zeros(len(short), bool)
        if short.any():
            at = self._is.take(words, mode="clip").nonzero()[0]
            found[offsets.searchsorted(at, side="right") - 1] = True
        return found & short


class Parts:
    """The signatures of one interpreter.

    Each part has a signature for each of a few sizes, so that no call changes a
    tensor's shape: a resize costs five times what the wide part does. The wide
    part's sizes count the ids of all reviews of a call together, end to end; a
    review with more ids than the largest is the one exception. The deep part
    takes one review a call.
    """

    def __init__(self, interpreter: Any) -> None:
        names = _signatures(interpreter)
        self._tensors = interpreter.get_tensor_details()
        self._wide = _by_size(_Wide(interpreter, name) for name in names if name.split("_")[0] == "wide")
        self._deep = _by_size(_Deep(interpreter, name) for name in names if name.split("_")[0] == "deep")
        self.has_wide, self.has_deep = bool(self._wide), bool(self._deep)
        if self.has_wide:
            self._empty = self._part(np.zeros(2, np.uint32), np.zeros(0, np.int32))[0]

    def tensor_bytes(self, description: dict[str, Any]) -> int:
        """Estimate what tensors take besides weights, in bytes.

        Those that grow with a signature's size are counted: the wide part's from the shapes of its smallest
        signature, the deep part's from the model's description. The runtime lets some of them share memory,
        so it is an upper bound.
        """
        one_id = 0
        for tensor in self._tensors:
            if len(tensor["shape"]) > 0 and tensor["shape"][0] == self._wide[0].size:
                one_id += int(math.prod(tensor["shape"][1:])) * np.dtype(tensor["dtype"]).itemsize
        one_word = int(description["cascade"].get("bytes_per_word", 0))
        return one_id * sum(wide.size for wide in self._wide) + one_word * sum(
            deep.size for deep in self._deep
        )

    def deep_logit(self, words: Ids) -> np.float32:
        """Logit of the deep part for one review's words."""
        return next((deep for deep in self._deep if deep.size > len(words)), self._deep[-1])(words)

    def wide_logits(self, offsets: Offsets, ids: Ids) -> Floats:
        """Logits of the wide part, float32[n]."""
        if len(offsets) == 2:
            return self._part(offsets, ids)
        some = offsets[1:] > offsets[:-1]  # TFLite's SEGMENT_SUM knows no empty segments
        if len(ids) > 0 and some.all():
            return self._filled(offsets, ids)
        out = np.full(len(some), self._empty, np.float32)
        if some.any():
            out[some] = self._filled(np.concatenate((offsets[:1], offsets[1:][some])), ids)
        return out

    def _filled(self, offsets: Offsets, ids: Ids) -> Floats:
        """Logits of reviews of which none is empty, in as few calls as the sizes allow."""
        if len(ids) < self._wide[-1].size:
            return self._part(offsets, ids)
        return np.concatenate([self._part(part, ids[part[0] : part[-1]]) for part in self._parts(offsets)])

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


def _signatures(interpreter: Any) -> Iterable[str]:
    """The signatures' names, read once for all runners."""
    found = interpreter._get_full_signature_list()  # noqa: SLF001
    interpreter._get_full_signature_list = lambda: found  # noqa: SLF001
    names: Iterable[str] = found.keys()
    return names


def _by_size(parts: Iterable[_Part]) -> list[_Part]:
    return sorted(parts, key=lambda part: part.size)


def _calibration(facts: dict[str, float]) -> tuple[float, float]:
    """Scale and bias, both halved for `_logistic`."""
    return facts["scale"] / 2, facts["bias"] / 2


def _logistic(logits: Any, calibration: tuple[float, float], tanh: Callable[[Any], Any] = np.tanh) -> Any:
    """The logistic function of calibrated logits, written as a tanh, which cannot overflow."""
    return tanh(logits * calibration[0] + calibration[1]) * 0.5 + 0.5


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
        if n == 1:
            rows[:count] = 0
        else:  # on 32-bit machines numpy repeats by no uint32: not every one fits into its intp
            sizes = (offsets[1:] - offsets[:-1]).astype(np.intp)
            rows[:count] = np.repeat(np.arange(n, dtype=np.int32), sizes)
        logits: Floats = self._run(ids=padded, rows=rows)["logit"]
        return logits


class _Deep:
    """The deep part for one review of fewer than `size` words."""

    def __init__(self, interpreter: Any, name: str) -> None:
        self._run = interpreter.get_signature_runner(name)
        self.size = int(self._run.get_input_details()["words"]["shape"][1])
        self._words = np.zeros((1, self.size), np.int32)

    def __call__(self, words: Ids) -> np.float32:
        """The review's logit. More words than fit are cut: the features' windows keep that from happening."""
        words = words[: self.size]
        self._words[0, : len(words)] = words
        self._words[0, len(words) :] = 0
        logit: np.float32 = self._run(words=self._words)["logit"][0]
        return logit
