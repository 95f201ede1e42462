"""What the embedded interpreter does without until somebody needs it.

numpy and asyncio pull in modules that no batch of the built-in model ever touches. They are imported as
ever, but run at the first access to one of their attributes. ``importlib.util.LazyLoader`` is not enough:
it runs a module as soon as a second one imports it.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from importlib.machinery import PathFinder, SourceFileLoader
from types import CodeType, ModuleType

TYPE_CHECKING = False  # typing's own costs a third of a megabyte
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any

LAZY = frozenset(
    """
    numpy.random numpy.ma numpy.polynomial numpy.fft numpy.ctypeslib
    numpy.core._add_newdocs numpy.core._add_newdocs_scalars
    numpy._core._add_newdocs numpy._core._add_newdocs_scalars
    ssl asyncio.sslproto
    ast ipaddress pickle platform
    """.split()
)
"""Rows: parts of numpy; its documentation, in versions 1 and 2; OpenSSL behind asyncio; what numpy needs for
functions that few call. Only what its importers name by ``import`` can wait; ``from`` cannot."""

WITHOUT_DOCSTRINGS = ("numpy", "tflite_runtime", "ai_edge_litert")
"""Packages whose functions lose their docstrings, a megabyte, as under python -OO; asserts stay."""

executable = sys.executable
"""The interpreter, for whoever starts another."""

_CO_OPTIMIZED = 0x1  # code of a function
_CO_HAS_DOCSTRING = 0x4000000  # from Python 3.13 on; before, a str as first constant is the docstring


def slim() -> None:
    """Prepare a fresh interpreter for a small footprint."""
    sys.meta_path.insert(0, _Finder())  # its ABC alone would cost two megabytes
    # One inference thread needs no pool of BLAS threads with buffers of their own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class _Finder:
    """Finds modules as ever, and puts a loader of this file in the place of theirs."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        stripped = fullname.partition(".")[0] in WITHOUT_DOCSTRINGS
        if not stripped and fullname not in LAZY:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return spec
        if stripped:
            spec.loader = _DocstringDropper(spec.loader.name, spec.loader.path)
        if fullname in LAZY:
            spec.loader = _LazyLoader(spec.loader)  # type: ignore[assignment]
        return spec


class _LazyLoader:
    """Makes the module, and leaves running it to the module."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return _LazyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _LazyModule(ModuleType):
    """A module that runs when an attribute is missed for the first time."""

    def __getattr__(self, name: str) -> Any:
        if name in ("__path__", "__file__", "__cached__"):  # asked by the import system itself
            raise AttributeError(name)
        with _lock:
            spec: Any = self.__spec__
            if isinstance(spec.loader, _LazyLoader):
                lazy = spec.loader
                spec.loader = self.__loader__ = lazy.loader
                try:
                    spec.loader.exec_module(self)
                except BaseException:
                    spec.loader = lazy
                    raise
                self.__class__ = ModuleType  # type: ignore[assignment]  # which this one is then
            return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        getattr(self, "__all__", None)
        return list(self.__dict__)


_lock = RLock()


class _DocstringDropper(SourceFileLoader):
    """Loads a module from its cached bytecode and drops the docstrings of its functions."""

    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        return code if code is None else _without_docstrings(code)


def _without_docstrings(code: CodeType) -> CodeType:
    constants = [_without_docstrings(c) if isinstance(c, CodeType) else c for c in code.co_consts]
    if constants and isinstance(constants[0], str) and _begins_with_docstring(code):
        constants[0] = ""  # not None: numpy adds to what it finds
    return code.replace(co_consts=tuple(constants))


def _begins_with_docstring(code: CodeType) -> bool:
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & _CO_HAS_DOCSTRING)
    # Comprehensions are functions too, named <listcomp> and the like: their first constant is theirs.
    return bool(code.co_flags & _CO_OPTIMIZED) and not code.co_name.startswith("<")
