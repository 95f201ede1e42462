"""Progress bars, one line each, so that they read as well in a log as on a terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

SHOWN_EVERY_S = 30


def show(what: str, done: float, more: str = "") -> None:
    """A bar of which the share `done`, 0 to 1, is full."""
    bar = "#" * round(30 * done)
    print(f"         {what}  [{bar:30}] {100 * done:3.0f} %  {more}".rstrip(), flush=True)


@dataclass
class Steps:
    """Callback of an optimizer that takes at most `most` steps: a bar now and then, and one at the end."""

    what: str
    most: int
    _taken: int = 0
    _shown: float = field(default_factory=time.monotonic)

    def __call__(self, _: Any) -> None:
        """After a step."""
        self._taken += 1
        if self._taken == self.most or time.monotonic() - self._shown > SHOWN_EVERY_S:
            self._shown = time.monotonic()
            show(self.what, self._taken / self.most)
