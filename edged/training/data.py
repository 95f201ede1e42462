"""Labelled reviews from JSONL and CSV files, plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = re.compile(r"\.(jsonl|csv)(\.gz)?$")


class DataError(ValueError):
    """A data file cannot be used; the text names file and line."""


@dataclass
class Reviews:
    """Texts with what is known about them, index for index."""

    texts: list[str] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)  # probability of "positive"; NaN where there is none
    domains: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def label(self) -> npt.NDArray[np.float32]:
        """Labels as an array, n."""
        return np.array(self.labels, np.float32)

    @property
    def domain(self) -> npt.NDArray[np.str_]:
        """Domains as an array, n."""
        return np.array(self.domains)

    def pick(self, mask: npt.NDArray[np.bool_]) -> Reviews:
        """The reviews where `mask` holds."""
        at = np.flatnonzero(mask)
        return Reviews(
            [self.texts[i] for i in at],
            [self.labels[i] for i in at],
            [self.domains[i] for i in at],
            [self.rows[i] for i in at],
        )

    @property
    def polar(self) -> Reviews:
        """The reviews whose label is 0 or 1."""
        label = self.label
        return self.pick((label == 0) | (label == 1))

    def extend(self, other: Reviews) -> None:
        """Add the reviews of `other`."""
        self.texts += other.texts
        self.labels += other.labels
        self.domains += other.domains
        self.rows += other.rows


def read_file(path: Path) -> Reviews:
    """Reviews of one file with the columns text, label (0, 1, empty or null), and domain if there is one.

    Without a domain column the file's name up to its first dash names the domain.

    Raises:
        DataError: a row cannot be read; the text names file, line and remedy.
    """
    opener = gzip.open if path.name.endswith(".gz") else open
    reviews = Reviews()
    with opener(path, "rt", encoding="utf-8", newline="") as stream:
        for number, row in _rows(path, stream):
            reviews.texts.append(_text(row, path, number))
            reviews.labels.append(_label(row, path, number))
            reviews.domains.append(str(row.get("domain") or SUFFIX.sub("", path.name).split("-")[0]))
            reviews.rows.append(row)
    return reviews


def _rows(path: Path, stream: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    if ".csv" in path.name:
        for row in (reader := csv.DictReader(stream)):
            yield reader.line_num, row
        return
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected one JSON object a line")
        yield number, row


def _text(row: dict[str, Any], path: Path, number: int) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(f'{path}:{number}: no "text"; the columns are text, label and, optionally, domain')
    return text


def _label(row: dict[str, Any], path: Path, number: int) -> float:
    label = row.get("label")
    if label in (None, ""):
        return float("nan")
    if label in (0, 1, "0", "1"):
        return float(label)
    raise DataError(f"{path}:{number}: label {label!r}; expected 0 (negative), 1 (positive) or nothing")


def read_folder(folder: Path, split: str) -> Reviews:
    """All reviews of the files ``*-<split>.jsonl|csv[.gz]`` in `folder`.

    Raises:
        DataError: there is no such file, or one cannot be read.
    """
    reviews = Reviews()
    for path in sorted(folder.iterdir()):
        if SUFFIX.search(path.name) and SUFFIX.sub("", path.name).endswith(f"-{split}"):
            reviews.extend(read_file(path))
    if not reviews.texts:
        raise DataError(f"{folder}: no reviews in files named *-{split}.jsonl, .csv or either with .gz")
    return reviews
