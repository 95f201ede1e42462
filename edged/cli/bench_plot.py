"""What `edgectl bench --plot` draws: latencies by percentile, replies a second, and the daemon's memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

    from edged.cli.load import Outcome


def draw(outcome: Outcome, memory: list[dict[str, float]], path: Path) -> None:
    """Write the plot to `path`; its suffix names the format."""
    figure, (latency, rate, sizes) = plt.subplots(1, 3, figsize=(13, 3.5))
    ordered = sorted(outcome.latencies)
    behind = [len(ordered) / (len(ordered) - at) for at in range(len(ordered))]
    latency.plot(behind, [seconds * 1000 for seconds in ordered])
    latency.set_xscale("log")
    latency.set_xticks([2, 10, 100, 1000], ["50 %", "90 %", "99 %", "99.9 %"])
    latency.set(title="latency by percentile, ms", ylim=(0, None))
    seconds = Counter(map(int, outcome.arrivals))
    whole = range(int(outcome.seconds))
    rate.plot(whole, [seconds[at] for at in whole])
    rate.set(title="replies a second", xlabel="s", ylim=(0, None))
    for name in ("pss", "uss"):
        at = [reading["at_s"] for reading in memory if name in reading]
        sizes.plot(at, [reading[name] / 2**20 for reading in memory if name in reading], label=name.upper())
    sizes.set(title="the daemon's memory, MiB", xlabel="s", ylim=(0, None))
    if memory:
        sizes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
