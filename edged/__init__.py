"""Score reviews with the edged daemon, from Python.

    from edged import Client

    with Client() as client:
        print(client.classify("Bright cherry, long finish."))

Names are loaded when first used: the daemon's interpreter imports this package and must not pay for ZeroMQ.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # see embedded/imports.py
if TYPE_CHECKING:
    from typing import Any

    from edged import errors
    from edged.aio import AsyncClient
    from edged.client import Client
    from edged.errors import EdgedError
    from edged.protocol import Prediction

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "EdgedError", "Prediction", "__version__", "errors"]

_HOMES = {
    "AsyncClient": "edged.aio",
    "Client": "edged.client",
    "EdgedError": "edged.errors",
    "Prediction": "edged.protocol",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("edged.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'edged' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
