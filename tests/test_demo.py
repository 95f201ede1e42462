"""`make run` on files of every kind, and on files that are none."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REVIEWS = ["A superb wine, pure joy.", "Sour, thin and dull. Avoid.", "Lovely, fresh and long."]


def demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "demo", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )


def write(path: Path) -> Path:
    """The reviews in the format that the name asks for."""
    if path.name == "reviews.csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["points", "description"], *([90, text] for text in REVIEWS)])
    elif path.name == "reviews.txt":
        path.write_text("\n".join(REVIEWS) + "\n", "utf-8")
    else:
        lines = "".join(json.dumps({"text": text}) + "\n" for text in REVIEWS).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.jsonl", "reviews.jsonl.gz", "reviews.txt"])
def test_takes_reviews_of_one_s_own(name: str, tmp_path: Path) -> None:
    run = demo(write(tmp_path / name))
    assert run.returncode == 0, run.stderr
    assert "\n3 reviews\n" in run.stdout
    assert "the daemon has stopped cleanly" in run.stdout
    for line in ("positive", "negative", "one by one   p50", "reviews/s", "PSS", "RSS", "USS"):
        assert line in run.stdout


def test_a_file_that_is_not_there_starts_no_daemon(tmp_path: Path) -> None:
    run = demo(tmp_path / "none.csv")
    assert run.returncode == 1
    assert "none.csv" in run.stderr
    assert run.stdout == ""


def test_rows_without_a_text_are_counted_and_told(tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text('{"text": "Lovely."}\n{"text": 7}\n', "utf-8")
    run = demo(path)
    assert run.returncode == 0, run.stderr
    assert "rows not classified: 1, most often because: " in run.stdout


def test_an_empty_file_is_no_success(tmp_path: Path) -> None:
    path = tmp_path / "reviews.txt"
    path.write_bytes(b"")
    run = demo(path)
    assert run.returncode == 1
    assert "no review" in run.stderr
