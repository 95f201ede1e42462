"""What `edgectl classify --summary` prints at the end: counts, rate, the daemon's latency and memory."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any

from edged.cli.table import size
from edged.protocol import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edged.cli.output import Record
    from edged.client import Client


class Summary:
    """Counts as records go by."""

    def __init__(self) -> None:
        self.rows = 0
        self.failed = 0
        self._labels: Counter[str] = Counter()
        self._uncertain = 0
        self._errors: Counter[str] = Counter()
        self._first_error = ""
        self._start = monotonic()

    def add(self, record: Record) -> None:
        """Count one record."""
        self.rows += 1
        outcome = record.outcome
        if not isinstance(outcome, Prediction):
            self.failed += 1
            self._errors[outcome.code] += 1
            self._first_error = self._first_error or f"row {record.row.number}: {outcome.message}"
        else:
            self._labels[outcome.label] += 1
            self._uncertain += outcome.uncertain

    def failures(self) -> str:
        """One line on the rows that got no label."""
        counts = ", ".join(f"{count:,} {code}" for code, count in self._errors.most_common())
        return (
            f"{self.failed:,} of {self.rows:,} rows could not be scored ({counts}); "
            f"first: {self._first_error}"
        )

    def text(self, client: Client) -> str:
        """The summary, with what the daemon at the other end of `client` says of itself."""
        elapsed = max(monotonic() - self._start, 1e-9)
        lines = [f"{self.rows:,} reviews in {elapsed:.2f} s: {self.rows / elapsed:,.0f} reviews/s"]
        lines += [self._share(label, count) for label, count in self._labels.most_common()]
        if self._uncertain:
            lines.append(self._share("uncertain", self._uncertain))
        if self.failed:
            lines.append(self.failures())
        return "\n".join([*lines, *_daemon(client.stats())])

    def _share(self, name: str, count: int) -> str:
        return f"  {name:10} {count:>11,}  {count / self.rows:6.1%}"


def _daemon(stats: Mapping[str, Any]) -> Iterator[str]:
    """What the daemon measured of itself: over all its requests, from all its clients."""
    total = stats.get("latency", {}).get("total")
    if total:
        yield f"in the daemon: p50 {total['p50_us'] / 1000:.2f} ms, p99 {total['p99_us'] / 1000:.2f} ms"
    process = stats.get("process", {})
    sizes = [f"{name.upper()} {size(process[name])}" for name in ("pss", "rss", "uss") if name in process]
    if sizes:
        yield "its memory: " + ", ".join(sizes)
