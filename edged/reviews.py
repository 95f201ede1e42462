"""Readers of review files: plain lines, JSON Lines and CSV, also gzipped, in constant memory.

The command line, the benchmarks and the training all read through here. Standard library only.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from edged.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

FORMATS = ("plain", "jsonl", "csv")
MAX_LINE = 16 * 1024 * 1024
"""Characters of one line or CSV field; more is an error, not a review."""
TEXT_COLUMNS = (
    "text", "review", "review_text", "reviewtext", "reviewbody", "description", "comment", "content", "body",
    "message", "sentence", "tweet",
)  # fmt: skip
"""What columns with reviews are called, by preference, in any case."""
SAMPLE_ROWS = 32
_EXTENSIONS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


class Row(NamedTuple):
    """One review. `number` counts from 1; `text` is None where `error` says why there is none.

    `fields` has the other columns, where the format has columns.
    """

    number: int
    text: str | None
    fields: Mapping[str, Any] = {}
    error: str = ""


class ReviewFile:
    """The reviews of a file, or of standard input ("-"); iterate over it once.

    Args:
        path: The file; ".gz" is unpacked on the way. Bytes that are no UTF-8 become U+FFFD.
        form: "plain", "jsonl" or "csv"; by default told from the name, then from the first character.
        column: Name of the column with the text (CSV, JSONL), or its position from 1 (CSV). By default the
            first of `TEXT_COLUMNS` that is there, else the one with the longest texts.

    Raises:
        OSError: The file cannot be opened.
        DataError: No such column, a broken gzip stream, or broken CSV.
    """

    def __init__(
        self, path: str | os.PathLike[str], form: str | None = None, column: str | None = None
    ) -> None:
        name = os.fspath(path)
        self.name = "standard input" if name == "-" else name
        self._column = column
        self._raw: IO[bytes] = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115
        self.size = _size(self._raw)
        extension = Path(name.lower().removesuffix(".gz")).suffix
        self._delimiter = "\t" if extension == ".tsv" else ","
        unpacked = gzip.GzipFile(fileobj=self._raw) if name.lower().endswith(".gz") else self._raw
        self._text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="replace", newline="")
        self.form = form or _EXTENSIONS.get(extension) or ""

    @property
    def position(self) -> int:
        """Bytes of the file read so far, of `size`."""
        return self._raw.tell()

    def __iter__(self) -> Iterator[Row]:
        lines = _bounded(self._text)
        try:
            first = next(lines, "")
            self.form = self.form or ("jsonl" if first.lstrip()[:1] == "{" else "plain")
            lines = itertools.chain([first], lines) if first else lines
            yield from {"plain": _plain, "jsonl": self._jsonl, "csv": self._csv}[self.form](lines)
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise DataError(f"{self.name}: {error}") from error
        except csv.Error as error:
            raise DataError(f"{self.name}: not valid CSV: {error}") from error

    def _jsonl(self, lines: Iterator[str]) -> Iterator[Row]:
        number = 0
        for line in lines:
            if not line.strip():
                continue
            number += 1
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Row(number, None, error=f"not valid JSON: {error}")
                continue
            if isinstance(fields, str):
                yield Row(number, fields)
            elif isinstance(fields, dict):
                yield self._row(number, fields)
            else:
                yield Row(number, None, error="not a JSON object")

    def _row(self, number: int, fields: dict[str, Any]) -> Row:
        if self._column is None:
            self._column = _text_column(list(fields), [fields])
        text = fields.get(self._column)
        if isinstance(text, str):
            return Row(number, text, fields)
        found = "is missing" if self._column not in fields else f"holds {json.dumps(text)[:40]}, not a text"
        return Row(number, None, fields, f'column "{self._column}" {found}')

    def _csv(self, lines: Iterator[str]) -> Iterator[Row]:
        csv.field_size_limit(MAX_LINE)
        records = csv.reader(lines, delimiter=self._delimiter)
        header = next(records, [])
        sample = list(itertools.islice((record for record in records if record), SAMPLE_ROWS))
        at = self._position_in(header, sample)
        number = 0
        for record in itertools.chain(sample, records):
            if not record:
                continue
            number += 1
            fields = dict(zip(header, record))
            if at < len(record):
                yield Row(number, record[at], fields)
            else:
                yield Row(number, None, fields, f"only {len(record)} columns; the text is in column {at + 1}")

    def _position_in(self, header: list[str], sample: list[list[str]]) -> int:
        column = self._column
        if column is None:
            column = _text_column(header, [dict(zip(header, record)) for record in sample])
        if column in header:
            return header.index(column)
        if column.isdecimal() and 1 <= int(column) <= len(header):
            return int(column) - 1
        raise DataError(f'{self.name}: no column "{column}"; there are: {", ".join(header)}')

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._raw is sys.stdin.buffer:
            self._text.detach()
        else:
            self._text.close()
            self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _size(file: IO[bytes]) -> int | None:
    """Bytes of a regular file; None for a pipe or terminal."""
    try:
        file.tell()
        return os.fstat(file.fileno()).st_size
    except OSError:
        return None


def _bounded(text: IO[str]) -> Iterator[str]:
    """Lines, none longer than `MAX_LINE`; a longer one is an error."""
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and line[-1] not in "\r\n":
            raise DataError(f"line {number} is longer than {MAX_LINE:,} characters")
        yield line


def _plain(lines: Iterator[str]) -> Iterator[Row]:
    texts = (text for line in lines if (text := line.strip("\r\n")).strip())
    for number, text in enumerate(texts, 1):
        yield Row(number, text)


def _text_column(names: list[str], sample: list[dict[str, Any]]) -> str:
    """The column that holds the review: by its name, else the longest texts on average."""
    by_name = {name.strip().lower(): name for name in reversed(names)}
    for wanted in TEXT_COLUMNS:
        if wanted in by_name:
            return by_name[wanted]

    def length(name: str) -> int:
        return sum(len(value) for fields in sample if isinstance(value := fields.get(name), str))

    return max(names, key=length, default=TEXT_COLUMNS[0])
