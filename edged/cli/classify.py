"""edgectl classify: score a text, a file of reviews, or standard input."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged import bulk
from edged.cli import connect, exits

if TYPE_CHECKING:
    import argparse

INPUT_FORMATS = ("plain", "jsonl", "csv")
OUTPUT_FORMATS = ("plain", "jsonl", "csv")
FILE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt", ".gz")

EXAMPLES = """examples:
  edgectl classify "Bright cherry, long finish."
  edgectl classify reviews.csv --column description --out scored.jsonl
  edgectl classify reviews.csv --out scored.jsonl --resume     after Ctrl-C or a crash
  zcat reviews.jsonl.gz | edgectl classify - --to csv > scored.csv
  tail -f reviews.log | edgectl classify - --live
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl classify`."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "source", metavar="TEXT|FILE|-", help="a text, a file of reviews, or - for standard input"
    )
    parser.add_argument(
        "--text", action="store_true", help="take the argument as text, whatever it looks like"
    )
    reading = parser.add_argument_group("input")
    reading.add_argument(
        "--from",
        dest="form",
        choices=INPUT_FORMATS,
        help="its format (default: by name, else by first character)",
    )
    reading.add_argument(
        "--column",
        metavar="NAME|N",
        help="the column with the text (default: one named text, review, ..., else the longest)",
    )
    reading.add_argument(
        "--live", action="store_true", help="score each line as it comes instead of many at once"
    )
    writing = parser.add_argument_group("output")
    writing.add_argument("--out", metavar="FILE", type=Path, help="write to FILE (default: standard output)")
    writing.add_argument("--to", choices=OUTPUT_FORMATS, help="its format (default: by name, else plain)")
    writing.add_argument("--no-text", action="store_true", help="leave the texts out")
    writing.add_argument(
        "--keep",
        metavar="COLUMN",
        action="append",
        default=[],
        help="copy a column of the input (repeatable)",
    )
    writing.add_argument("--resume", action="store_true", help="go on where the output file ends")
    writing.add_argument("--force", action="store_true", help="write over an output file that is there")
    writing.add_argument("--no-progress", action="store_true", help="no progress bar on the terminal")
    writing.add_argument(
        "--summary",
        action="store_true",
        help="print counts, rate, latency and the daemon's memory at the end",
    )
    sending = parser.add_argument_group("sending")
    sending.add_argument(
        "--batch", type=int, default=bulk.BATCH, help="reviews per request (default: %(default)s)"
    )
    sending.add_argument(
        "--window", type=int, default=bulk.WINDOW, help="requests outstanding at once (default: %(default)s)"
    )
    connect.add_arguments(parser, timeout=30.0)


def run(args: argparse.Namespace) -> int:
    """Score what the arguments name."""
    if args.batch < 1 or args.window < 1:
        raise exits.CommandError(exits.USAGE, "--batch and --window must be at least 1")
    if args.text or not _is_file(args.source):
        return _score_text(args)
    # What only files need is loaded for them alone.
    from edged.cli.files import score_file  # noqa: PLC0415
    from edged.reviews import ReviewFile  # noqa: PLC0415

    with ReviewFile(args.source, args.form, args.column) as reviews, connect.client(args) as client:
        if args.live or (args.source == "-" and sys.stdin.isatty()):
            args.batch = args.window = 1
        return score_file(args, client, reviews)


def _is_file(source: str) -> bool:
    if source == "-" or Path(source).exists():
        return True
    if source.lower().endswith(FILE_SUFFIXES) or (os.sep in source and " " not in source):
        raise exits.CommandError(
            exits.NO_INPUT, f"there is no file {source}", "check the path; if this is a review, add --text"
        )
    return False


def _score_text(args: argparse.Namespace) -> int:
    from edged.cli.output import Done, Output, Record, format_of  # noqa: PLC0415
    from edged.reviews import Row  # noqa: PLC0415

    with connect.client(args) as client:
        prediction = client.classify(args.source)
    with Output(args.out, format_of(args.to, args.out), text=False, keep=[], done=Done()) as output:
        output.write(Record(Row(1, args.source), prediction))
    return exits.OK
