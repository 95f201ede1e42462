"""edgectl classify: score a text, a file of reviews, or standard input.

Files may have millions of rows: they stream through a window of outstanding requests, in order. An output
file is its own record of what is done, so `--resume` needs nothing but that file.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from edged import bulk
from edged.cli import connect, exits
from edged.cli.output import FORMATS, Output, Record, RowError, format_of
from edged.cli.progress import Progress
from edged.cli.resume import Done, done_so_far
from edged.cli.summary import Summary
from edged.errors import EdgedError
from edged.reviews import FORMATS as INPUT_FORMATS
from edged.reviews import ReviewFile, Row

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.client import Client

FILE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt", ".gz")
FLUSH_S = 1.0

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
    writing.add_argument("--to", choices=FORMATS, help="its format (default: by name, else plain)")
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
        return _one(args)
    with connect.client(args) as client, ReviewFile(args.source, args.form, args.column) as reviews:
        if args.live or (args.source == "-" and sys.stdin.isatty()):
            args.batch = args.window = 1
        return _many(args, client, reviews)


def _is_file(source: str) -> bool:
    if source == "-" or Path(source).exists():
        return True
    if source.lower().endswith(FILE_SUFFIXES) or (os.sep in source and " " not in source):
        raise exits.CommandError(
            exits.NO_INPUT, f"there is no file {source}", "check the path; if this is a review, add --text"
        )
    return False


def _one(args: argparse.Namespace) -> int:
    with connect.client(args) as client:
        prediction = client.classify(args.source)
    args.no_text = True
    with _output(args, _done(args)) as output:
        output.write(Record(Row(1, args.source), prediction))
    return exits.OK


def _many(args: argparse.Namespace, client: Client, reviews: ReviewFile) -> int:
    done = _done(args)
    summary = Summary()
    try:
        progress = Progress(reviews, done.rows, enabled=_shows_progress(args))
        records = _score(client, _rest(reviews, done), args.batch, args.window)
        with _output(args, done) as output, progress:
            for record in _flushing(records, output, 0 if args.window == 1 else FLUSH_S):
                output.write(record)
                summary.add(record)
                progress.advance()
    except (KeyboardInterrupt, EdgedError) as error:
        _say_how_to_go_on(args, done.rows + summary.rows, error)
        raise
    if args.summary:
        print(summary.text(client), file=sys.stderr)
    elif summary.failed:
        print(f"edgectl: {summary.failures()}", file=sys.stderr)
    return exits.DATA if summary.failed else exits.OK


def _output(args: argparse.Namespace, done: Done) -> Output:
    form = format_of(args.to, args.out)
    return Output(args.out, form, text=not args.no_text, keep=args.keep, done=done)


def _flushing(records: Iterator[Record], output: Output, every: float) -> Iterator[Record]:
    """`records`, with `output` flushed about `every` seconds."""
    flushed = monotonic()
    for record in records:
        yield record
        if monotonic() - flushed >= every:
            output.flush()
            flushed = monotonic()


def _score(client: Client, rows: Iterator[Row], batch: int, window: int) -> Iterator[Record]:
    """A record for each row, in order; rows without a text are not sent."""
    waiting: deque[Row] = deque()

    def texts() -> Iterator[str]:
        for row in rows:
            waiting.append(row)
            if row.text is not None:
                yield row.text

    def unreadable() -> Iterator[Record]:
        while waiting and waiting[0].text is None:
            row = waiting.popleft()
            yield Record(row, RowError(row.error))

    for outcome in client.classify_many(texts(), batch=batch, window=window, return_errors=True):
        yield from unreadable()
        yield Record(waiting.popleft(), outcome)
    yield from unreadable()


def _done(args: argparse.Namespace) -> Done:
    """What the output file already holds. One that is there is neither lost nor mixed up by accident."""
    if args.out is None:
        if args.resume:
            raise exits.CommandError(
                exits.USAGE, "--resume needs --out", "give the output file to go on with"
            )
        return Done()
    if args.resume:
        return done_so_far(args.out, format_of(args.to, args.out), args.keep, text=not args.no_text)
    if args.out.exists() and args.out.stat().st_size and not args.force and args.out.is_file():
        raise exits.CommandError(
            exits.CANNOT_CREATE,
            f"{args.out} is there already",
            "go on with --resume, or write over it with --force",
        )
    return Done()


def _rest(reviews: ReviewFile, done: Done) -> Iterator[Row]:
    """The rows not done yet. Those done are read past, and the last of them is compared."""
    number = 0
    for number, row in enumerate(reviews, 1):
        if number > done.rows:
            yield row
        elif number == done.rows and not done.ends_with(row):
            raise exits.CommandError(
                exits.DATA,
                f"row {number} of {reviews.name} is not the one that the output file ends with",
                "resume with the same input and --column, or start anew with --force",
            )
    if number < done.rows:
        raise exits.CommandError(
            exits.DATA, f"the output file has {done.rows:,} rows, but {reviews.name} only {number:,}"
        )


def _shows_progress(args: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not args.no_progress and (args.out is not None or not sys.stdout.isatty())


def _say_how_to_go_on(args: argparse.Namespace, rows: int, error: BaseException) -> None:
    if args.out is not None and rows:
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
        print(f"edgectl: {why} after {rows:,} rows; the same command with --resume goes on", file=sys.stderr)
