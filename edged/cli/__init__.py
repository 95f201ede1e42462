"""edgectl: the command line.

Each subcommand is a module of this package with `add_arguments(parser)` and `run(args) -> exit code`. It is
loaded only when it is called: start-up on a board pays for nothing else. A new one is a file and a line in
`COMMANDS`.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from edged import __version__
from edged.cli import exits
from edged.errors import EdgedError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "classify": "score a text, a file of reviews, or standard input",
    "info": "what runs: versions, model, limits",
    "stats": "the daemon's counters, latencies and memory",
    "top": "a live view of rates, latencies, memory and queue",
    "evaluate": "accuracy and calibration on files of labelled reviews",
    "bench": "put load on a daemon: latency, throughput, memory",
    "explain": "which words and phrases moved a score",
    "keys": "make CURVE keys, and say which clients may connect over the network",
    "status": "the service: since when, restarts, what ended it, the last errors",
    "logs": "the daemon's log, by event",
    "reload": "have the daemon read its configuration and model again",
    "doctor": "find what is missing or wrong, and say what to do",
    "completion": "print a completion script for bash, zsh or fish",
}


class Parser(argparse.ArgumentParser):
    """An argument parser that exits as edged's programs do on wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is."""
        self.exit(exits.USAGE, f"{self.prog}: {message}\nhint: see `{self.prog} --help`\n")


def parser(*loaded: str) -> Parser:
    """The parser of edgectl: the arguments of the subcommands `loaded`, the names of the others."""
    width = max(map(len, COMMANDS))
    root = Parser(
        prog="edgectl",
        usage="edgectl [--help] [--version] COMMAND ...",
        description="Talk to the edged sentiment daemon, and look after it.",
        epilog="commands:\n"
        + "\n".join(f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items())
        + "\n\n`edgectl COMMAND --help` says more.\n\n"
        + exits.TABLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="store_true", help="print the version and exit")
    commands = root.add_subparsers(prog="edgectl", dest="command", metavar="COMMAND", help=argparse.SUPPRESS)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, description=summary.capitalize() + ".", formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in loaded:
            module(name).add_arguments(command)
    return root


def module(name: str):  # type: ignore[no-untyped-def]
    """The module of a subcommand."""
    return import_module(f"edged.cli.{name}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run edgectl; returns its exit code (see `edged.cli.exits`)."""
    words = sys.argv[1:] if argv is None else list(argv)
    args = parser(*(word for word in words[:1] if word in COMMANDS)).parse_args(words)
    if args.version:
        print(f"edgectl {__version__}")
        return exits.OK
    if args.command is None:
        parser().print_help()
        return exits.USAGE
    try:
        code: int = module(args.command).run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output left: nothing more to say, and nothing to flush at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BROKEN_PIPE
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except (EdgedError, OSError) as error:
        print(f"edgectl: {error}", file=sys.stderr)
        return exits.of(error)
    return code
