"""What the embedded interpreter does without until somebody needs it.

numpy and asyncio pull in modules that no batch of the built-in model ever touches. They are imported as
ever, but run at the first access to one of their attributes. ``importlib.util.LazyLoader`` is not enough:
it runs a module as soon as a second one imports it. MetaCall's loader needs asyncio, inspect and what they
import; the built-in model needs numpy's core alone.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from importlib import import_module
from importlib.machinery import PathFinder, SourceFileLoader
from types import CodeType, ModuleType

TYPE_CHECKING = False  # mypy takes it for typing's, which costs the daemon a third of a megabyte
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any, ClassVar

LAZY = frozenset(
    """
    numpy.random numpy.ma numpy.polynomial numpy.fft numpy.ctypeslib
    numpy.core._add_newdocs numpy.core._add_newdocs_scalars
    numpy._core._add_newdocs numpy._core._add_newdocs_scalars
    ssl asyncio.sslproto
    ast ipaddress locale ntpath pickle platform tokenize
    """.split()
)
"""Rows: parts of numpy; its documentation, in versions 1 and 2; OpenSSL behind asyncio; what numpy and the
standard library need for functions that few call. Only what its importers name by ``import`` can wait, not
what they name by ``from``."""

WITHOUT_DOCSTRINGS = ("numpy", "tflite_runtime", "ai_edge_litert")
"""Packages whose functions lose their docstrings, a megabyte, as under python -OO; asserts stay."""

OF_NUMPY_S_CORE = frozenset(
    """
    ndarray dtype int32 uint32 intp float32
    array zeros full arange frombuffer concatenate repeat searchsorted tanh
    """.split()
)
"""What numpy gives before all of it is loaded: enough for TFLite and edged's own model."""

TRIED = ("1.24", "1.25", "1.26")
"""Versions of numpy whose core was seen to load by itself; others are loaded whole."""

executable = sys.executable
"""The interpreter, for whoever starts another."""

_CO_OPTIMIZED = 0x1  # code of a function
_CO_HAS_DOCSTRING = 0x4000000  # from Python 3.13 on; before, a str as first constant is the docstring


def slim() -> None:
    """Prepare a fresh interpreter for a small footprint."""
    sys.meta_path.insert(0, _Finder())  # its ABC alone would cost two megabytes
    # One inference thread needs no pool of BLAS threads with buffers of their own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def numpy_core_first() -> None:
    """Have numpy, where it is not loaded yet, run its core alone until somebody asks for more: 2 MB less.

    It is for code that imports nothing but numpy itself. One that imports a part of it (`numpy.linalg`) first
    calls `whole`.
    """
    _Finder.parts["numpy"] = _CoreFirstLoader


def asyncio_when_needed() -> None:
    """Have asyncio, until somebody asks for more than MetaCall's loader does, be `eventloop`: 3 MB less."""
    _Finder.parts["asyncio"] = _SleepingLoopLoader


def whole() -> None:
    """Undo `numpy_core_first` and `asyncio_when_needed`, at once for what is loaded already."""
    for name in tuple(_Finder.parts):
        del _Finder.parts[name]
        module = sys.modules.get(name)
        if isinstance(module, _LazyModule):
            _run(module)


class _Finder:
    """Finds modules as ever, and puts a loader of this file in the place of theirs."""

    parts: ClassVar[dict[str, type[_LazyLoader]]] = {}
    """Loaders of packages of which a part is enough, by name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        stripped = fullname.partition(".")[0] in WITHOUT_DOCSTRINGS
        if not stripped and fullname not in LAZY and fullname not in self.parts:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return spec
        if stripped:
            spec.loader = _DocstringDropper(spec.loader.name, spec.loader.path)
        if fullname in LAZY:
            spec.loader = _LazyLoader(spec.loader)  # type: ignore[assignment]
        elif fullname in self.parts:
            spec.loader = self.parts[fullname](spec.loader)  # type: ignore[assignment]
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
            _run(self)
            return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        getattr(self, "__all__", None)
        return list(self.__dict__)


def _run(module: ModuleType) -> None:
    """Run a lazy module, unless it has run or is running."""
    with _lock:
        spec: Any = module.__spec__
        if isinstance(spec.loader, _LazyLoader):
            lazy = spec.loader
            spec.loader = module.__loader__ = lazy.loader
            try:
                spec.loader.exec_module(module)
            except BaseException:
                spec.loader = lazy
                raise
            module.__class__ = ModuleType  # which it is then


class _CoreFirstLoader(_LazyLoader):
    """Makes numpy, and runs it at once only where its version was not tried."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return _CoreOfNumpy(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        from numpy.version import version

        if not version.startswith(tuple(f"{tried}." for tried in TRIED)):
            _run(module)


class _CoreOfNumpy(_LazyModule):
    """numpy before it runs: its core gives what it has, anything else makes it run."""

    def __getattr__(self, name: str) -> Any:
        if name in ("_NoValue", "_CopyMode"):  # which the core itself takes from here
            home = "numpy._globals"
        elif name in OF_NUMPY_S_CORE:
            home = "numpy.core"
        else:
            return super().__getattr__(name)
        value = self.__dict__[name] = getattr(import_module(home), name)  # as running will put there
        return value


class _SleepingLoopLoader(_LazyLoader):
    """Makes asyncio."""

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return _Sleeping(spec.name)


class _Sleeping(_LazyModule):
    """asyncio before it runs: `eventloop` gives what it has, anything else makes it run."""

    def __getattr__(self, name: str) -> Any:
        if name in ("iscoroutinefunction", "new_event_loop", "set_event_loop"):
            return getattr(import_module("edged.embedded.eventloop"), name)
        return super().__getattr__(name)


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
