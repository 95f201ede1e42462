"""edgectl info: what runs, as a plain table or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged.cli import connect, exits
from edged.cli.table import nested

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl info`."""
    parser.add_argument("--json", action="store_true", help="print the daemon's JSON")
    connect.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print what the daemon says about itself."""
    with connect.client(args) as client:
        info = client.info()
    print(json.dumps(info, ensure_ascii=False) if args.json else nested(info))
    return exits.OK
