"""The interpreter's own account of its memory, in bytes and counts."""

from __future__ import annotations

import gc
import os
import re
import sys
from itertools import chain, filterfalse, islice
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

_MOST_VISITED = 50_000
_NOT_ENTERED = (ModuleType, type, FunctionType, BuiltinFunctionType, CodeType, str, bytes, int, float)
# What containers hold, one at a time: a list of it all, as the collector makes, would be memory again.
_HELD: dict[type, Callable[[Any], Iterable[object]]] = {
    dict: dict.values,
    list: list.__iter__,
    tuple: tuple.__iter__,
    set: set.__iter__,
    frozenset: frozenset.__iter__,
}

_ARENAS = re.compile(r"(\d+) arenas \* (\d+) bytes/arena")
_FIELDS = {
    "blocks_bytes": re.compile(r"# bytes in allocated blocks\s*=\s*([\d,]+)"),
    "free_bytes": re.compile(r"# bytes in available blocks\s*=\s*([\d,]+)"),
    "free_pools": re.compile(r"(\d+) unused pools \* \d+ bytes"),
}


def pymalloc(stats: str) -> dict[str, int] | None:
    """Read the text of ``sys._debugmallocstats()``; None when it is not of a form known here.

    ``arenas_bytes`` is what pymalloc has mapped, ``blocks_bytes`` what Python objects use of it.
    """
    arenas = _ARENAS.search(stats)
    if arenas is None:
        return None
    count, size = int(arenas[1]), int(arenas[2])
    found = {"arenas": count, "arenas_bytes": count * size}
    for name, pattern in _FIELDS.items():
        match = pattern.search(stats)
        if match is not None:
            found[name] = int(match[1].replace(",", ""))
    return found


def array_bytes(roots: Iterable[object]) -> int:
    """Estimate the data of numpy arrays that can be reached from roots, in bytes.

    Arrays that look into another object's data count for nothing. At most `_MOST_VISITED` objects are looked
    at, and neither modules, classes nor functions are entered: what only they lead to is not found.

    Handlers go on meanwhile, and TFLite's interpreter refuses to work when anybody else refers to what is
    inside it. So objects are found and chosen in one call of C, for between two another thread may run.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return 0
    array = numpy.ndarray
    seen: set[int] = set()
    found = 0
    waiting: list[object] = list(roots)
    while waiting and len(seen) < _MOST_VISITED:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _NOT_ENTERED):
            continue
        seen.add(id(thing))
        if isinstance(thing, array):
            found += thing.nbytes if thing.base is None else 0
            waiting.append(thing.base)
        else:
            held = next((held for kind, held in _HELD.items() if isinstance(thing, kind)), gc.get_referents)
            for chosen in (gc.is_tracked, *(kind.__instancecheck__ for kind in (array, *_HELD))):
                waiting.extend(islice(filter(chosen, _each(held, thing)), _MOST_VISITED))
    return found


def _each(function: Callable[[Any], Iterable[Any]], argument: object) -> Iterator[Any]:
    """The elements of function(argument), which is called when the first of them is asked for."""
    return chain.from_iterable(map(function, (argument,)))


def made_since_loading() -> list[object]:
    """What the collector watches and has not frozen, without the arguments of calls that are under way."""
    made = filterfalse(tuple.__instancecheck__, _each(gc.get_objects, None))
    return list(islice(filterfalse(MethodType.__instancecheck__, made), _MOST_VISITED))


def module_bytes() -> int:
    """Estimate the code of the executed modules in bytes: the sizes of their bytecode files."""
    modules = list(sys.modules.values())
    if len(modules) != _counted[0]:
        _counted[:] = len(modules), sum(map(_bytecode_size, modules))
    return _counted[1]


_counted = [0, 0]  # modules, and their bytes: neither changes often


def _bytecode_size(module: ModuleType) -> int:
    if type(module) is not ModuleType:
        return 0  # lazy, not executed yet; asking it for an attribute would
    cached = getattr(vars(module).get("__spec__"), "cached", None)
    try:
        return os.stat(cached).st_size if cached else 0
    except OSError:
        return 0  # built in, frozen, or compiled at every start


def report(stats: bytes, roots: Iterable[object], tensors: int) -> dict[str, Any]:
    """Return the account: pymalloc (from ``stats``), blocks, collections, modules, and estimates.

    Arrays are sought from ``roots`` and among what was made since handlers were loaded: the rest is frozen.
    """
    made = made_since_loading()
    arrays = array_bytes([*roots, *made])
    made.clear()  # it holds itself, and would stay until the collector came by
    return {
        "array_bytes": arrays,
        "tensor_bytes": tensors,
        "module_bytes": module_bytes(),
        "pymalloc": pymalloc(stats.decode("ascii", "replace")),
        "allocated_blocks": sys.getallocatedblocks(),
        "gc_collections": [generation["collections"] for generation in gc.get_stats()],
        "gc_frozen_objects": gc.get_freeze_count(),
        "modules": len(sys.modules),
    }
