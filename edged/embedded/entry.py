"""The functions the daemon calls. Each takes one ``bytes`` and returns ``bytes``, status byte first.

None ever raises: an exception that crossed into MetaCall would never be freed, and one that crossed into Go
would have nobody to read it.
"""

from __future__ import annotations

import gc
import itertools
import json
import os

from edged.embedded import memory as _memory
from edged.embedded import record as _record
from edged.embedded.handlers import FileHandler, HandlerError, ModelHandler

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from edged.embedded.handlers import Handler

_OK = b"\0"
_HERE = os.path.dirname(__file__) + os.sep
_LAST_RESORT = b'\1{"type":"MemoryError","message":"the error could not be described","traceback":""}'
_TRACEBACK_BYTES = 8192
_HANDLES = 0xFFFF  # 1 to 65535, what the record's u16 holds

_handlers: dict[int, Handler] = {}
_turns = itertools.count()


def _guarded(function: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def call(argument: bytes) -> bytes:
        try:
            return function(argument)
        except BaseException as error:  # SystemExit and KeyboardInterrupt must not cross either
            return _described(error)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = function.__doc__
    return call


def _described(error: BaseException) -> bytes:
    try:
        import traceback

        text = "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
        if len(text) > _TRACEBACK_BYTES:
            text = text[: _TRACEBACK_BYTES // 2] + "\n...\n" + text[-_TRACEBACK_BYTES // 2 :]
        try:
            message = str(error)
        except Exception:  # an exception of a handler may fail to describe itself
            message = "(its text cannot be had)"
        report = {"type": type(error).__name__, "message": message, "traceback": text}
        return b"\1" + json.dumps(report).encode()
    except BaseException:
        return _LAST_RESORT


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """Leave out this package's own frames before the user's; all are kept where there is no user's."""
    part = trace
    while part is not None and part.tb_frame.f_code.co_filename.startswith(_HERE):
        part = part.tb_next
    return part or trace


@_guarded
def load(options: bytes) -> bytes:
    """Load a handler beside those already there.

    In: JSON {"model", "handler", "threads", "cascade", "options"}; `handler` names a file of the user's, else
    `model` is run by the built-in handler. Out: JSON description with "handle" and "kind" ("ids" or "texts").
    """
    wanted: dict[str, Any] = json.loads(options)
    handle = _free_handle()
    handler: Handler
    if wanted.get("handler"):
        handler = FileHandler(wanted["handler"], handle, wanted.get("options") or {})
    else:
        handler = ModelHandler(
            wanted.get("model") or _shipped_model(),
            int(wanted.get("threads", 1)),
            wanted.get("cascade", "auto"),
        )
    description = {"model": None, **handler.description(), "handle": handle, "kind": handler.kind}
    reply = _OK + json.dumps(description).encode()
    _handlers[handle] = handler
    _settle()
    return reply


@_guarded
def process_batch(packed: bytes) -> bytes:
    """Answer a packed record (see record.py) with a packed reply."""
    kind, handle, n = _record.header(packed)
    handler = _handlers.get(handle)
    if handler is None:
        raise HandlerError(f"no handler has handle {handle}")
    return handler.process(packed, kind, n)


@_guarded
def unload(options: bytes) -> bytes:
    """Drop the handler named by JSON {"handle"}; its memory is free when its last batch has ended."""
    handle = json.loads(options)["handle"]
    handler = _handlers.pop(handle, None)
    if handler is None:
        raise HandlerError(f"no handler has handle {handle}")
    close = getattr(handler, "close", None)
    if close is not None:
        close()
    del handler, close
    gc.unfreeze()
    _settle()
    return _OK + b"{}"


@_guarded
def memory(stats: bytes) -> bytes:
    """Return the interpreter's memory as JSON; ``stats`` is the text of sys._debugmallocstats(), or empty."""
    held = list(_handlers.values())
    roots = [root for handler in held for root in handler.roots()]
    report = _memory.report(stats, roots, sum(handler.tensor_bytes() for handler in held))
    return _OK + json.dumps({**report, "handlers": sorted(_handlers)}).encode()


def _shipped_model() -> str:
    return os.path.join(os.path.dirname(os.path.dirname(__file__)), "models", "edged.tflite")


def _free_handle() -> int:
    """Take turns, so that a batch on its way to a dropped handler never meets its successor."""
    if len(_handlers) >= _HANDLES:
        raise HandlerError(f"{len(_handlers)} handlers are loaded; unload some")
    while True:
        handle = next(_turns) % _HANDLES + 1
        if handle not in _handlers:
            return handle


def _settle() -> None:
    """Take what loading left behind out of the collector's sight: what stays is never walked again."""
    gc.collect()
    gc.freeze()
