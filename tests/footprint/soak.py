"""Tell growth from noise in the readings of soak.sh: a plot, the slope, a verdict.

Run as `python -m tests.footprint.soak FILE`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import NamedTuple

MB = 1_000_000
MOST_SLOPE = 0.1
"""MB of PSS per million reviews, after the first million."""

LONG = 8

WIDTH, HEIGHT = 72, 14


class Fit(NamedTuple):
    """A line through the readings: its slope and the standard error of that, in MB per million reviews."""

    slope: float
    error: float


def fit(points: list[tuple[float, float]]) -> Fit:
    """Least squares through (millions of reviews, MB); three points or more."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    return Fit(slope, math.sqrt(rest / (n - 2) / spread))


def steady(points: list[tuple[float, float]]) -> bool:
    """Whether both halves grow: a heap that takes one step has readings near a line too, and is no leak."""
    middle = len(points) // 2
    return all(fit(half).slope > MOST_SLOPE for half in (points[:middle], points[middle:]) if len(half) > 2)


def verdict(line: Fit, millions: float, *, steadily: bool) -> tuple[str, bool]:
    """The verdict in words, and whether it is a failure.

    Two standard errors (about 95 %) on one side of the bound decide. Between, a run of `LONG` million reviews
    or more is judged by its slope; a shorter one can't tell, nor can it where it does not grow steadily, and
    fails nobody.
    """
    if line.slope - 2 * line.error > MOST_SLOPE and (steadily or millions >= LONG):
        return "it grows", True
    if line.slope + 2 * line.error <= MOST_SLOPE:
        return "no growth", False
    if millions < LONG:
        return "none: so short a run can't tell, `make soak` can", False
    return ("it grows", True) if line.slope > MOST_SLOPE else ("no growth", False)


def plot(points: list[tuple[float, float]]) -> str:
    """The readings as a scatter plot in characters."""
    low = math.floor(min(y for _, y in points))
    high = max(math.ceil(max(y for _, y in points)), low + 1)
    last = points[-1][0]
    rows = [[" "] * WIDTH for _ in range(HEIGHT)]
    for x, y in points:
        row = round((high - y) / (high - low) * (HEIGHT - 1))
        rows[row][min(int(x / last * WIDTH), WIDTH - 1)] = "•"
    edges = [high if i == 0 else low if i == HEIGHT - 1 else None for i in range(HEIGHT)]
    lines = [f"{'' if edge is None else edge:>5} │{''.join(row)}" for edge, row in zip(edges, rows)]
    return "\n".join(
        [" MB of PSS", *lines, f"      └{'─' * WIDTH}", f"       0{last:>{WIDTH - 1}.1f} million reviews"]
    )


def by_part(path: Path) -> list[tuple[str, float]]:
    """The slope of each part's PSS after the first million reviews, steepest first: a leak has a name."""
    if not path.exists():
        return []
    documents = [json.loads(line)["stats"] for line in path.read_text().splitlines()]
    settled = [stats for stats in documents if stats["counters"]["reviews"] > 1e6]
    if len(settled) < 3:
        return []
    found = []
    for name in settled[0]["memory"]["parts"]:
        points = [(s["counters"]["reviews"] / 1e6, s["memory"]["parts"][name]["pss"] / MB) for s in settled]
        found.append((name, fit(points).slope))
    return sorted(found, key=lambda row: -row[1])


def main(path: Path) -> int:
    """Print plot and verdict; 1 when memory grows."""
    rows = (line.split() for line in path.read_text().splitlines())
    points = [(int(reviews) / 1e6, int(pss) / MB) for reviews, pss in rows]
    print(plot(points))
    settled = [point for point in points if point[0] > 1]
    if len(settled) < 5:
        print(f"verdict: none, {points[-1][0]} million reviews are too few: the first million does not count")
        return 1
    line = fit(settled)
    print(
        f"PSS grows by {line.slope:+.3f} ± {2 * line.error:.3f} MB per million reviews "
        f"(at most {MOST_SLOPE} is allowed), from {settled[0][0]:.1f} to {settled[-1][0]:.1f} million"
    )
    for name, slope in by_part(path.with_suffix(".jsonl")):
        print(f"  {name:10} {slope:+.3f}")
    words, failed = verdict(line, points[-1][0], steadily=steady(settled))
    print(f"verdict: {words}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
