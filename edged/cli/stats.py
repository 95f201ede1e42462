"""edgectl stats: what the daemon counts and where its memory is, once or again and again."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from edged.cli import connect, exits, figures

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl stats`."""
    parser.add_argument("--json", action="store_true", help="print the daemon's JSON, one line a reading")
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=2.0,
        metavar="SECONDS",
        help="read again every so many seconds (default: 2) until interrupted",
    )
    connect.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the daemon's statistics."""
    with connect.client(args) as client:
        before: dict[str, Any] | None = None
        while True:
            stats = client.stats()
            if args.json:
                print(json.dumps(stats, ensure_ascii=False))
            else:
                print(figures.report(stats, figures.Rates.between(before, stats)))
            if args.watch is None:
                return exits.OK
            if not args.json:
                print("\n" + "-" * 72)
            sys.stdout.flush()
            before = stats
            time.sleep(max(args.watch, 0.1))
