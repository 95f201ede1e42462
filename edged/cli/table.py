"""Plain tables for people: sections of names and values, sizes in units one can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def nested(sections: Mapping[str, Any]) -> str:
    """A mapping of mappings as indented lines, the values aligned."""
    lines = list(_lines(sections, 0))
    width = max((len(name) for name, _ in lines), default=0)
    return "\n".join(f"{name:{width}}  {value}".rstrip() for name, value in lines)


def _lines(mapping: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    for name, value in mapping.items():
        indented = "  " * depth + name
        if isinstance(value, dict) and value:
            yield indented, ""
            yield from _lines(value, depth + 1)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for index, item in enumerate(value):
                yield f"{indented} {index}", "" if isinstance(item, dict) else _text(item)
                if isinstance(item, dict):
                    yield from _lines(item, depth + 1)
        else:
            yield indented, _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "-"
    return str(value) if value not in ("", {}) else "-"


def size(count: float) -> str:
    """Bytes as B, KiB, MiB or GiB with three digits."""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds as 12s, 3m05s or 2h07m."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
