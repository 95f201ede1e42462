"""The interpreter's own account of its memory, in bytes and counts."""

from __future__ import annotations

import gc
import re
import sys
from typing import Any

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


def report(stats: bytes) -> dict[str, Any]:
    """Return pymalloc's arenas (from ``stats``), live blocks, garbage collections and loaded modules."""
    return {
        "pymalloc": pymalloc(stats.decode("ascii", "replace")),
        "allocated_blocks": sys.getallocatedblocks(),
        "gc_collections": [generation["collections"] for generation in gc.get_stats()],
        "gc_frozen_objects": gc.get_freeze_count(),
        "modules": len(sys.modules),
    }
