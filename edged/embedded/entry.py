"""The functions the daemon calls. Each takes one ``bytes`` and returns ``bytes``, status byte first; none ever raises.

An exception that crossed into MetaCall would never be freed, and one that crossed into Go has nobody to read it.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from typing import Any

from edged.embedded import memory as _memory
from edged.embedded import record as _record
from edged.embedded.handlers import FileHandler, Handler, HandlerError, ModelHandler

_OK = b"\0"
_LAST_RESORT = b'\1{"type":"MemoryError","message":"the error could not be described","traceback":""}'
_TRACEBACK_BYTES = 8192
_HANDLES = 0x10000

_handlers: dict[int, Handler] = {}
_next_handle = 1


def _guarded(function: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def call(argument: bytes) -> bytes:
        try:
            return function(argument)
        except BaseException as error:  # noqa: BLE001  SystemExit and KeyboardInterrupt must not cross either
            return _described(error)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = function.__doc__
    return call


def _described(error: BaseException) -> bytes:
    try:
        import traceback

        trace = error.__traceback__.tb_next if error.__traceback__ is not None else None  # without call itself
        text = "".join(traceback.format_exception(type(error), error, trace))
        if len(text) > _TRACEBACK_BYTES:
            text = text[: _TRACEBACK_BYTES // 2] + "\n...\n" + text[-_TRACEBACK_BYTES // 2 :]
        try:
            message = str(error)
        except Exception:  # noqa: BLE001  an exception of a handler may fail to describe itself
            message = "(its text cannot be had)"
        report = {"type": type(error).__name__, "message": message, "traceback": text}
        return b"\1" + json.dumps(report).encode()
    except BaseException:  # noqa: BLE001
        return _LAST_RESORT


@_guarded
def load(options: bytes) -> bytes:
    """Load a handler beside those already there.

    In: JSON {"model", "handler", "threads", "cascade", "options"}; `handler` names a user's file, else `model` is
    run by the built-in handler. Out: JSON description with "handle" and "kind" ("ids" or "texts").
    """
    global _next_handle
    wanted: dict[str, Any] = json.loads(options)
    if len(_handlers) >= _HANDLES - 1:
        raise HandlerError(f"{len(_handlers)} handlers are loaded; unload some")
    while _next_handle in _handlers:
        _next_handle = _next_handle % (_HANDLES - 1) + 1
    handle = _next_handle
    handler: Handler
    if wanted.get("handler"):
        handler = FileHandler(wanted["handler"], handle, wanted.get("options") or {})
    else:
        handler = ModelHandler(wanted["model"], int(wanted.get("threads", 1)), wanted.get("cascade", "auto"))
    description = {"model": None, **handler.description(), "handle": handle, "kind": handler.kind}
    reply = _OK + json.dumps(description).encode()
    _handlers[handle] = handler
    _next_handle = handle % (_HANDLES - 1) + 1
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
    """Return the interpreter's memory as JSON; ``stats`` is the text of ``sys._debugmallocstats()``, or empty."""
    return _OK + json.dumps({**_memory.report(stats), "handlers": sorted(_handlers), "pid": os.getpid()}).encode()


def _settle() -> None:
    """Take what loading left behind out of the collector's sight: what stays is never walked again."""
    gc.collect()
    gc.freeze()
