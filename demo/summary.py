"""The demonstration's last words."""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING

from edged.cli.table import size
from edged.errors import DataError

if TYPE_CHECKING:
    from demo.measure import Memory, Result

QUOTE = 72  # characters of a review that fit beside its score


def summary(result: Result, latencies: list[float], memory: Memory) -> str:
    """Label counts, surest reviews, speed and memory, for a person to read.

    Raises:
        DataError: There was no review that could be classified.
    """
    if not result.reviews:
        raise DataError(f"no review could be classified{_unreadable(result)}")
    lines = [f"\n{result.reviews:,} reviews"]
    for label, count in sorted(result.labels.items()):
        lines.append(f"  {label:12}{count:9,}  {count / result.reviews:6.1%}")
    lines.append(
        f"  {'uncertain':12}{result.uncertain:9,}  {result.uncertain / result.reviews:6.1%}  (of all)"
    )
    lines.append("\nsurest")
    for label, (score, text) in sorted(result.surest.items()):
        lines.append(f"  {label:12}{score:9.4f}  {_quote(text)}")
    lines.append("\nspeed")
    if len(latencies) > 1:
        cuts = quantiles(latencies, n=100, method="inclusive")
        lines.append(
            f"  one by one   p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms"
            f"  ({len(latencies):,} requests, a review each)"
        )
    lines.append(f"  in batches   {result.reviews / result.seconds:,.0f} reviews/s")
    lines.append("\nmemory of the daemon")
    lines.append(
        "  " + ", ".join(f"{name.upper()} {size(count)}" for name, count in memory._asdict().items())
    )
    return "\n".join(lines) + _unreadable(result) + "\n"


def _quote(text: str) -> str:
    return text if len(text) <= QUOTE else text[: QUOTE - 1].rstrip() + "…"


def _unreadable(result: Result) -> str:
    if not result.unreadable:
        return ""
    (why, _), *_ = result.unreadable.most_common(1)
    return f"\n\nrows not classified: {result.unreadable.total():,}, most often because: {why}"
