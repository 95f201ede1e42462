"""What the build's commands have in common: the architectures they are given, and errors for people."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cross import CrossError
from cross.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from cross.architectures import Architecture


class Command:
    """A command that makes one thing per architecture.

    Args:
        name: what its lines begin with.
        description: what it makes, for its help.
        possible: the names of the architectures it can make it for.
    """

    def __init__(self, name: str, description: str, possible: Collection[str] = ARCHITECTURES) -> None:
        self.name = name
        self.possible = possible
        self.parser = argparse.ArgumentParser(description=description)
        self.parser.add_argument(
            "architecture", nargs="*", type=self._named, help=f"of {', '.join(possible)}; default: all"
        )

    def run(self, make: Callable[[Architecture, argparse.Namespace], str]) -> int:
        """Make it for those named on the command line, all by default; return the exit status.

        Args:
            make: makes it for one architecture with the options given, and says what it made.
        """
        arguments = self.parser.parse_args()
        try:
            for architecture in arguments.architecture or map(self._named, self.possible):
                print(f"{self.name}: {make(architecture, arguments)}", flush=True)
        except CrossError as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            return 1
        return 0

    def _named(self, name: str) -> Architecture:
        if name not in self.possible:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(self.possible)}")
        return ARCHITECTURES[name]
