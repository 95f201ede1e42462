"""Handlers: what turns a packed record into a packed reply.

The built-in handler takes n-gram ids and runs the model. A user's handler file takes texts::

    def load(options: dict) -> dict: ...                      # optional; options are `handler_options`
    def process_batch(texts: list[str]) -> list: ...          # one (label, score) per text

A result may also be a dict {"label": ..., "score": ...}, as text-classification pipelines return.
"""

from __future__ import annotations

import math
import os
import stat
import sys
from types import ModuleType

from edged.embedded import imports, logs, record

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    class Handler(Protocol):
        """What entry calls for one handle."""

        kind: str
        """"ids" or "texts": the kind of record it takes."""

        def description(self) -> dict[str, Any]:
            """Name, labels and whatever else the daemon should know."""

        def process(self, packed: bytes, kind: int, n: int) -> bytes:
            """Return the reply to a record of n reviews."""

        def tensor_bytes(self) -> int:
            """Estimate the tensors it holds besides mapped weights, in bytes."""

        def roots(self) -> list[object]:
            """Return the objects by which everything it keeps can be reached."""


class HandlerError(Exception):
    """A handler file cannot be used, or what it returned cannot. The message says what to change."""


class ModelHandler:
    """The built-in handler: n-gram ids through a TFLite model."""

    kind = "ids"

    def __init__(self, path: str, threads: int, cascade: str) -> None:
        imports.numpy_core_first()
        try:
            from edged.embedded.model import Model
        except ModuleNotFoundError as error:
            raise HandlerError(
                f"the model needs {error.name}, which {sys.prefix} lacks: pip install 'edged[daemon]' there"
            ) from None
        self._path = os.path.abspath(path)
        self._model = Model(self._path, threads=threads, cascade=cascade)

    def description(self) -> dict[str, Any]:
        """The model's own description, and where it lies."""
        return {**self._model.description, "model": self._path}

    def tensor_bytes(self) -> int:
        """Estimate the model's tensors, in bytes."""
        return self._model.tensor_bytes

    def roots(self) -> list[object]:
        """Return the model."""
        return [self._model]

    def process(self, packed: bytes, kind: int, n: int) -> bytes:
        """Return probabilities.

        Raises:
            RecordError: The record holds no ids, or is damaged.
        """
        if kind != record.IDS:
            raise record.RecordError(f"the model takes ids (kind {record.IDS}), not kind {kind}")
        return record.probabilities(self._model.predict(*record.ids(packed, n)))


class FileHandler:
    """A user's handler file."""

    kind = "texts"

    def __init__(self, path: str, handle: int, options: dict[str, Any]) -> None:
        self._path = find(path)
        self._module = execute(self._path, f"edged_handler_{handle}")
        try:
            self._process: Callable[[list[str]], Any] = self._function("process_batch")
            self._description: dict[str, Any] = {}
            if hasattr(self._module, "load"):
                self._description = described(self._function("load")(options), self._path)
        except BaseException:
            self.close()
            raise

    def _function(self, name: str) -> Callable[[Any], Any]:
        function = getattr(self._module, name, None)
        if function is None:
            raise HandlerError(
                f"{self._path} defines no {name}(texts), to return one (label, score) per text"
            )
        if not callable(function):
            raise HandlerError(f"{name} in {self._path} is {_kind_of(function)}, not a function")
        return function  # type: ignore[no-any-return]

    def description(self) -> dict[str, Any]:
        """What the file's load returned, and where the file lies."""
        own = {"name": os.path.basename(self._path), "labels": [], **self._description}
        return {**own, "handler": self._path, "model": None}

    def process(self, packed: bytes, kind: int, n: int) -> bytes:
        """Return labels and scores.

        Raises:
            RecordError: The record holds no texts, or is damaged.
            HandlerError: The file's process_batch returned something else than one result a text.
        """
        if kind != record.TEXTS:
            raise record.RecordError(f"a handler file takes texts (kind {record.TEXTS}), not kind {kind}")
        return record.labelled(checked(self._process(record.texts(packed, n)), n))

    def tensor_bytes(self) -> int:
        """Return 0: what the file runs is its own affair."""
        return 0

    def roots(self) -> list[object]:
        """Return the file's globals."""
        return [vars(self._module)]

    def close(self) -> None:
        """Forget the file's module."""
        sys.modules.pop(self._module.__name__, None)


def find(path: str) -> str:
    """Return the absolute path of a file; a relative one is also sought in MetaCall's LOADER_SCRIPT_PATH."""
    if not os.path.isabs(path) and not os.path.exists(path):
        for folder in os.environ.get("LOADER_SCRIPT_PATH", "").split(os.pathsep):
            if folder and os.path.exists(os.path.join(folder, path)):
                return os.path.abspath(os.path.join(folder, path))
    return os.path.abspath(path)


def execute(path: str, name: str) -> ModuleType:
    """Run a handler file as a module after checking that nobody else could have written it.

    The file is opened once: what was checked is what runs. Its folder is added at the end of sys.path.

    Raises:
        HandlerError: The file is missing, unreadable, or open to others.
        Exception: Whatever the file raises, SyntaxError included.
    """
    source = read_private(path)
    imports.whole()
    folder = os.path.dirname(os.path.realpath(path))
    if folder not in sys.path:
        sys.path.append(folder)
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  the user's code is the point
    except BaseException:
        del sys.modules[name]
        raise
    logs.connect()
    return module


def read_private(path: str) -> bytes:
    """Return the bytes of a regular file that only root and this user can change, nor its folder.

    Raises:
        HandlerError: It is missing, unreadable, no regular file, or open to others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise HandlerError(f"the handler file {path} cannot be opened: {error.strerror}") from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise HandlerError(f"the handler {path} is not a regular file")
        _check_private(path, info)
        folder = os.path.dirname(os.path.realpath(path))
        _check_private(folder, os.stat(folder))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _check_private(path: str, info: os.stat_result) -> None:
    if info.st_uid not in (0, os.geteuid()):
        raise HandlerError(
            f"{path} belongs to user {info.st_uid}; handlers run with the daemon's rights, so it must belong "
            f"to root or to the daemon's user {os.geteuid()}: chown it"
        )
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise HandlerError(f"{path} can be written by its group or by others: chmod go-w {path}")


def described(value: Any, path: str) -> dict[str, Any]:
    """Return what a handler's load says of it: any of name, version and labels.

    Raises:
        HandlerError: It is neither a dict nor None, or one of the three is of a wrong type.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise HandlerError(f"load in {path} returned {_kind_of(value)}; return a dict or None")
    for key in ("name", "version"):
        if not isinstance(value.get(key, ""), str):
            raise HandlerError(f"load in {path} returned {key} = {value[key]!r:.80}; it must be a str")
    labels = value.get("labels", [])
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise HandlerError(f"load in {path} returned labels = {labels!r:.80}; they must be a list of str")
    return {key: value[key] for key in ("name", "version", "labels") if key in value}


def checked(results: Any, n: int) -> Sequence[tuple[str, float]]:
    """Return n (label, score) pairs, each score a probability.

    Raises:
        HandlerError: They are not; the message names the first wrong one.
    """
    if not isinstance(results, (list, tuple)):
        raise HandlerError(
            f"process_batch returned {_kind_of(results)}; return a list with one (label, score) per text"
        )
    if len(results) != n:
        raise HandlerError(f"process_batch returned {len(results)} results for {n} texts")
    return [_pair(result, index) for index, result in enumerate(results)]


def _pair(result: Any, index: int) -> tuple[str, float]:
    try:
        label, score = (result["label"], result["score"]) if isinstance(result, dict) else result
        score = float(score)
    except (TypeError, ValueError, KeyError):
        raise HandlerError(
            f"result {index} of process_batch is {result!r:.80}; each must be (label, score)"
        ) from None
    if not isinstance(label, str):
        raise HandlerError(f"the label of result {index} is {_kind_of(label)}, not a str")
    if not (math.isfinite(score) and 0.0 <= score <= 1.0):
        raise HandlerError(f"the score of result {index} is {score!r}; it must be a probability, from 0 to 1")
    return label, score


def _kind_of(value: Any) -> str:
    return f"a value of type {type(value).__name__}"
