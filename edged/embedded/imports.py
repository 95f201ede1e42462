"""What the embedded interpreter does not load until somebody needs it.

numpy and asyncio pull in modules that no batch of the built-in model ever touches. They are put behind
``importlib.util.LazyLoader``: imported as ever, executed at the first access to an attribute.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

NUMPY = ("numpy.random", "numpy.ma", "numpy.polynomial", "numpy.fft", "numpy.ctypeslib")

ASYNCIO = ("ssl", "asyncio.sslproto")
"""MetaCall's Python loader imports asyncio, and asyncio imports OpenSSL."""


class _LazyFinder(importlib.abc.MetaPathFinder):
    """Finds the given modules as ever, and puts a LazyLoader in front of their loader."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def slim(host: str) -> None:
    """Prepare a fresh interpreter of the given host, "cpython" or "metacall", for a small footprint."""
    names = NUMPY + ASYNCIO if host == "metacall" else NUMPY
    sys.meta_path.insert(0, _LazyFinder(names))
    # One inference thread needs no pool of BLAS threads with buffers of their own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
