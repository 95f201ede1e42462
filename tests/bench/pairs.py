"""Interleaved measurements, and ratios within them.

Absolute times on a shared machine mean little; what two subjects took moments apart can be compared. So every
round measures each subject once, in an order that rotates, and a ratio is taken within each round.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")

ROUNDS = 9


@dataclass(frozen=True)
class Spread:
    """Median, quartiles, and extremes of what all rounds measured."""

    median: float
    low: float
    high: float
    q1: float
    q3: float
    rounds: int


def interleave(subjects: Mapping[str, Callable[[], T]], rounds: int = ROUNDS) -> dict[str, list[T]]:
    """Measure each subject once a round, each round beginning with the next one."""
    names = list(subjects)
    seen: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            seen[name].append(subjects[name]())
    return seen


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    ordered = sorted(values)
    q1, q3 = (ordered[0], ordered[-1])
    if len(ordered) > 1:
        q1, _, q3 = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(statistics.median(ordered), ordered[0], ordered[-1], q1, q3, len(ordered))


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """`over` divided by `under`, round by round."""
    return spread([a / b for a, b in zip(over, under)])
