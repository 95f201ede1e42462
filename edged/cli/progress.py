"""One line on the terminal that says how far a file is, how fast, and how long it will take."""

from __future__ import annotations

import os
import sys
from time import monotonic
from typing import TYPE_CHECKING

from edged.cli.table import duration

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from edged.reviews import ReviewFile

EVERY_S = 0.2
BAR_WIDTH = 24


class Progress:
    """Counts rows; the time left follows from the bytes of the file read so far, packed or not.

    Reading runs ahead of scoring by one window of requests, which a file worth watching makes up for.
    """

    def __init__(self, reviews: ReviewFile, done: int, *, enabled: bool) -> None:
        self._reviews = reviews
        self._enabled = enabled
        self._rows = 0
        self._done = done
        self._start = self._shown = monotonic()
        self._start_bytes = -1

    def advance(self) -> None:
        """One row more."""
        self._rows += 1
        if self._enabled and monotonic() - self._shown >= EVERY_S:
            self._show()

    def _show(self) -> None:
        self._shown = now = monotonic()
        columns = (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1
        print("\r" + self.line(now)[:columns].ljust(columns), end="", file=sys.stderr, flush=True)

    def line(self, now: float) -> str:
        """The line at the time `now`, in seconds of the monotonic clock."""
        elapsed = max(now - self._start, 1e-9)
        text = f"{self._done + self._rows:,} reviews, {self._rows / elapsed:,.0f}/s"
        if not self._reviews.size:
            return f"{text}, {duration(elapsed)}"
        position = self._reviews.position
        if self._start_bytes < 0:
            self._start_bytes = position if self._done else 0
        share = min(1.0, position / self._reviews.size)
        bar = ("#" * int(share * BAR_WIDTH)).ljust(BAR_WIDTH, ".")
        read = position - self._start_bytes
        left = duration(elapsed * (self._reviews.size - position) / read) if read > 0 else "?"
        return f"[{bar}] {share:4.0%}  {text}, {left} left"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._enabled:
            self._show()
            print(file=sys.stderr)
