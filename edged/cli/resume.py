"""Reads how far an output file of `edgectl classify` got, so that the same command can go on with it.

The file is its own record: rows are numbered and in order. Only an incomplete last record, as a crash or a
power cut leaves it, is cut off; a file with anything else in it is refused, never damaged.
"""

from __future__ import annotations

import csv
import json
from typing import IO, TYPE_CHECKING

from edged.cli import exits
from edged.cli.output import Done, csv_header
from edged.reviews import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class _BrokenError(Exception):
    """A line that is no record."""


def done_so_far(path: Path, form: str, keep: Sequence[str], *, text: bool) -> Done:
    """What `path` holds already. Raises `CommandError` if another command must have written it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return Done()
    with file:
        lines = _Lines(file)
        done = Done()
        try:
            for done in _READERS[form](lines, csv_header(keep, text)):  # noqa: B007 - the last one counts
                pass
        except (_BrokenError, csv.Error) as error:
            if lines.more():
                raise exits.CommandError(
                    exits.DATA,
                    f"{path} cannot be resumed: after {done.rows:,} rows comes something else ({error})",
                    "give the same options as before, or another --out",
                ) from None
    return done


class _Lines:
    """Complete lines of a file, and the number of bytes up to the end of the last one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes = 0

    def __iter__(self) -> Iterator[str]:
        while (line := self._file.readline()).endswith(b"\n"):
            self.bytes += len(line)
            yield line.decode(errors="replace")

    def more(self) -> bool:
        """Whether complete lines follow the one read last."""
        return self._file.readline().endswith(b"\n")


def _jsonl(lines: _Lines, _header: Sequence[str]) -> Iterator[Done]:
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if record["row"] != number:
                raise _BrokenError(f"row {record['row']}")
        except (ValueError, TypeError, KeyError):
            raise _BrokenError(repr(line[:40])) from None
        yield Done(number, lines.bytes, record.get("text"))


def _csv(lines: _Lines, header: Sequence[str]) -> Iterator[Done]:
    csv.field_size_limit(MAX_LINE)
    records = csv.reader(iter(lines), strict=True)
    found = next(records, None)
    if found is None:
        return
    if found != header:
        raise _BrokenError("columns " + ",".join(found))
    yield Done(0, lines.bytes)
    at = header.index("text") if "text" in header else None
    for number, record in enumerate(records, 1):
        if len(record) != len(header) or record[0] != str(number):
            raise _BrokenError(repr(",".join(record)[:40]))
        yield Done(number, lines.bytes, None if at is None else record[at])


def _plain(lines: _Lines, _header: Sequence[str]) -> Iterator[Done]:
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\n").split("\t")
        if len(fields) < 3 or "\0" in line:
            raise _BrokenError(repr(line[:40]))
        text = fields[3] if len(fields) > 3 and fields[0] != "error" else ""
        yield Done(number, lines.bytes, text or None)


_READERS = {"jsonl": _jsonl, "csv": _csv, "plain": _plain}
