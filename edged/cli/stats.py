"""edgectl stats: one reading of the daemon's counters, as a plain table or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged.cli import connect, exits
from edged.cli.table import nested

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl stats`."""
    parser.add_argument("--json", action="store_true", help="print the daemon's JSON")
    connect.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the daemon's stats."""
    with connect.client(args) as client:
        stats = client.stats()
    print(json.dumps(stats, ensure_ascii=False) if args.json else nested(stats))
    return exits.OK
