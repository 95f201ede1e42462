"""What `edgectl classify` writes: one record a review, as plain tab-separated lines, JSON Lines or CSV."""

from __future__ import annotations

import csv
import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from edged.cli import exits
from edged.errors import EdgedError, ReplyError
from edged.protocol import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import TextIO

    from typing_extensions import Self

    from edged.reviews import Row

FORMATS = ("plain", "jsonl", "csv")
CSV_COLUMNS = ("row", "label", "score", "uncertain", "truncated", "error")


class RowError(EdgedError):
    """A row of the input that holds no review."""

    code = "bad_row"


class Record(NamedTuple):
    """A review and what came of it."""

    row: Row
    outcome: Prediction | ReplyError | RowError


class Done(NamedTuple):
    """`rows` complete records in `bytes` bytes, the last of them with this `text` (None if unknown)."""

    rows: int = 0
    bytes: int = 0
    text: str | None = None

    def ends_with(self, row: Row) -> bool:
        """Whether `row` can be the input of the last record."""
        return self.text is None or row.text is None or one_line(self.text) == one_line(row.text)


def format_of(wanted: str | None, path: Path | None) -> str:
    """The format to write: the one asked for, else what the file's name says, else plain."""
    if wanted is not None or path is None:
        return wanted or "plain"
    return {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}.get(path.suffix.lower(), "plain")


def one_line(text: str) -> str:
    """A text with every run of white space, line ends included, as one blank."""
    return " ".join(text.split())


def csv_header(keep: Sequence[str], text: bool) -> list[str]:
    """The first line of a CSV output."""
    return [*CSV_COLUMNS, *(["text"] if text else []), *keep]


class Output:
    """Writes records to `path`, or to standard output; appends where some are `done`."""

    def __init__(self, path: Path | None, form: str, *, text: bool, keep: Sequence[str], done: Done) -> None:
        self._text = text
        self._keep = keep
        self._file = _open(path, done)
        self.write: Callable[[Record], None] = {
            "plain": self._plain, "jsonl": self._jsonl, "csv": self._csv
        }[form]  # fmt: skip
        self._csv_writer = csv.writer(self._file, lineterminator="\n")
        if form == "csv" and not done.rows:
            self._csv_writer.writerow(csv_header(keep, text))

    def _plain(self, record: Record) -> None:
        outcome = record.outcome
        text = one_line(record.row.text or "") if self._text else ""
        if not isinstance(outcome, Prediction):
            fields = ["error", "-", outcome.code, one_line(outcome.message)]
        else:
            flags = [name for name in ("uncertain", "truncated") if getattr(outcome, name)]
            fields = [outcome.label, f"{outcome.score:.4f}", ",".join(flags) or "-", text]
        fields += [one_line(str(record.row.fields.get(name, ""))) for name in self._keep]
        self._file.write("\t".join(fields).rstrip("\t") + "\n")

    def _jsonl(self, record: Record) -> None:
        outcome = record.outcome
        fields: dict[str, Any] = {"row": record.row.number}
        if not isinstance(outcome, Prediction):
            fields["error"] = {"code": outcome.code, "message": outcome.message}
        else:
            fields.update(label=outcome.label, score=outcome.score)
            fields.update((name, True) for name in ("uncertain", "truncated") if getattr(outcome, name))
        if self._text and record.row.text is not None:
            fields["text"] = record.row.text
        if self._keep:
            fields["fields"] = {name: record.row.fields.get(name) for name in self._keep}
        self._file.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")

    def _csv(self, record: Record) -> None:
        outcome = record.outcome
        fields: list[Any] = [record.row.number]
        if not isinstance(outcome, Prediction):
            fields += ["", "", "", "", f"{outcome.code}: {outcome.message}"]
        else:
            score = f"{outcome.score:.4f}"
            fields += [outcome.label, score, int(outcome.uncertain), int(outcome.truncated), ""]
        if self._text:
            fields.append(record.row.text or "")
        fields += [record.row.fields.get(name, "") for name in self._keep]
        self._csv_writer.writerow(fields)

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _open(path: Path | None, done: Done) -> TextIO:
    if path is None:
        sys.stdout.flush()
        return open(  # noqa: PTH123 - a descriptor, closed by the Output
            os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace", newline=""
        )
    try:
        if done.bytes:
            os.truncate(path, done.bytes)
        return path.open("a" if done.bytes else "w", encoding="utf-8", errors="replace", newline="")
    except OSError as error:
        raise exits.CommandError(
            exits.CANNOT_CREATE, f"cannot write {path}: {error.strerror}", "check the folder's permissions"
        ) from error
