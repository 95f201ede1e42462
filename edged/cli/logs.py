"""edgectl logs: the daemon's log, by event."""

from __future__ import annotations

import argparse
import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from edged.cli import exits
from edged.cli.journal import LEVELS, Entry, Journal

if TYPE_CHECKING:
    from collections.abc import Iterable

SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl logs`."""
    parser.add_argument(
        "-n", "--lines", type=int, default=50, metavar="N", help="the newest N entries (default: %(default)s)"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument(
        "--since", type=span, metavar="AGO", help="instead of N entries, all since 90s, 10m, 2h or 7d ago"
    )
    parser.add_argument(
        "--level", choices=LEVELS[3:], default="debug", help="this level and worse (default: all)"
    )
    parser.add_argument("--event", help="one event alone, such as canary_failed")
    parser.add_argument("--all-boots", action="store_true", help="from before the last boot too")
    parser.add_argument("--unit", default="edged.service", help="the service (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object an entry")


def span(text: str) -> timedelta:
    """A time span such as 10m."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no span: write 90s, 10m, 2h or 7d")
    return timedelta(**{SPANS[found[2]]: int(found[1])})


def run(args: argparse.Namespace) -> int:
    """Print the log."""
    journal = Journal(args.unit, level=LEVELS.index(args.level), event=args.event, all_boots=args.all_boots)
    entries: Iterable[Entry]
    if args.since is None:
        entries = journal.last(args.lines)
    else:
        entries = journal.since(datetime.now(timezone.utc) - args.since)
    write = _json if args.json else line
    for entry in entries:
        print(write(entry))
    if args.follow:
        for entry in journal.follow():
            print(write(entry), flush=True)
    return exits.OK


def line(entry: Entry) -> str:
    """An entry for people."""
    return (
        f"{entry.at:%Y-%m-%d %H:%M:%S}Z {LEVELS[entry.level]:7} {entry.event or 'systemd':18} {entry.message}"
    )


def _json(entry: Entry) -> str:
    own = {
        name[len("EDGED_") :].lower(): value
        for name, value in entry.fields.items()
        if name.startswith("EDGED_")
    }
    head = {"at": entry.at.isoformat(), "level": LEVELS[entry.level], "message": entry.message}
    return json.dumps({**head, **own}, ensure_ascii=False, default=str)
