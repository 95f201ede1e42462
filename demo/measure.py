"""What the demonstration counts and times."""

from __future__ import annotations

import itertools
import sys
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import psutil

from edged import Prediction
from edged.cli.progress import Progress
from edged.errors import ReplyError
from edged.reviews import ReviewFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged import Client

ALONE = 1000  # reviews timed one by one: enough for a p99


@dataclass
class Result:
    """The outcome of classifying a whole file."""

    reviews: int = 0
    seconds: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)
    uncertain: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)  # why some rows have no label
    surest: dict[str, tuple[float, str]] = field(default_factory=dict)  # by label: score and text

    def add(self, text: str, outcome: object) -> None:
        """Count one review."""
        if not isinstance(outcome, Prediction):
            self.unreadable[str(outcome)] += 1
            return
        self.reviews += 1
        self.labels[outcome.label] += 1
        self.uncertain += outcome.uncertain
        if outcome.score > self.surest.get(outcome.label, (0.0, ""))[0]:
            self.surest[outcome.label] = (outcome.score, text)


class Memory(NamedTuple):
    """A process's memory in bytes, as the kernel accounts for it."""

    pss: int
    rss: int
    uss: int


def memory_of(pid: int) -> Memory:
    """Read what a process holds now."""
    full = psutil.Process(pid).memory_full_info()
    return Memory(full.pss, full.rss, full.uss)


def classify_one_by_one(client: Client, path: Path) -> list[float]:
    """Seconds that each of the first reviews took alone, from request to reply."""
    seconds = []
    with ReviewFile(path) as reviews:
        for row in itertools.islice(reviews, ALONE):
            if row.text is None:
                continue
            with suppress(ReplyError):  # counted when the whole file is classified
                start = perf_counter()
                client.classify(row.text)
                seconds.append(perf_counter() - start)
    return seconds


def classify_all(client: Client, path: Path) -> Result:
    """Classify the whole file in batches, with a progress bar on a terminal."""
    result = Result()
    sent: deque[str] = deque()
    with ReviewFile(path) as reviews, Progress(reviews, 0, enabled=sys.stderr.isatty()) as progress:

        def texts() -> Iterator[str]:
            for row in reviews:
                if row.text is None:
                    result.unreadable[row.error] += 1
                else:
                    sent.append(row.text)
                    yield row.text

        start = perf_counter()
        for outcome in client.classify_many(texts(), return_errors=True):
            result.add(sent.popleft(), outcome)
            progress.advance()
        result.seconds = perf_counter() - start
    return result
