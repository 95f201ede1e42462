"""A file of reviews through the daemon: the loop behind `edgectl classify FILE`.

Files may have millions of rows: they stream through a window of outstanding requests, in order. An output
file is its own record of what is done, so `--resume` needs nothing but that file.
"""

from __future__ import annotations

import sys
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from edged.cli import exits
from edged.cli.output import Done, Output, Record, RowError, format_of
from edged.cli.progress import Progress
from edged.cli.resume import done_so_far
from edged.cli.summary import Summary
from edged.errors import EdgedError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.client import Client
    from edged.reviews import ReviewFile, Row

FLUSH_S = 1.0


def score_file(args: argparse.Namespace, client: Client, reviews: ReviewFile) -> int:
    """Score `reviews` as the arguments say; returns the exit code."""
    done = _done(args)
    summary = Summary()
    try:
        progress = Progress(reviews, done.rows, enabled=_shows_progress(args))
        records = _score(client, _rest(reviews, done), args.batch, args.window)
        form = format_of(args.to, args.out)
        with Output(args.out, form, text=not args.no_text, keep=args.keep, done=done) as output, progress:
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
