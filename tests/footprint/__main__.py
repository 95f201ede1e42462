"""Print the readings of measure.sh as a table, and fail when PSS passes its bound.

Run as `python -m tests.footprint FOLDER`, after the daemons have ended: Python itself maps what they map.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from tests.footprint import bounds

MB = 1_000_000
READINGS = {"idle": "ready, at rest", "load": "at the end of 100,000 reviews", "after": "at rest again"}


class Reading(NamedTuple):
    """Bytes: proportional, unique and resident set size, and the resident pages of files."""

    pss: int
    uss: int
    rss: int
    file: int


def readings(folder: Path, host: str) -> dict[str, Reading]:
    """The rows measure.sh wrote for a host, by name."""
    rows = (line.split("\t") for line in (folder / f"{host}.tsv").read_text().splitlines())
    return {name: Reading(*map(int, numbers)) for name, *numbers in rows}


def table(folder: Path, host: str) -> list[str]:
    """The readings of a host, the parts of its PSS, and how long it takes to start."""
    found = readings(folder, host)
    bound = bounds.read()[host]
    lines = [f"{host:34} {'PSS':>7} {'bound':>7} {'USS':>7} {'RSS':>7} {'files':>7}   MB"]
    for name, title in READINGS.items():
        r = found[name]
        row = [r.pss / MB, bound[name] / MB, r.uss / MB, r.rss / MB, r.file / MB]
        lines.append(f"  {title:32} " + " ".join(f"{value:7.1f}" for value in row))
    hot, cold = (_parts(folder / f"{host}{kind}.json") for kind in (".hot", ""))
    lines.append(f"  {'PSS by part':32} {'load':>7} {'after':>7}")
    lines += [f"    {part:30} {hot[part] / MB:7.1f} {size / MB:7.1f}" for part, size in cold.items()]
    starts = [int(line) / 1e6 for line in (folder / f"{host}.start_us").read_text().split()]
    lines.append(
        f"  start to first answer, median of {len(starts)}: {statistics.median(starts):.2f} s (aim: 0.35 s)"
    )
    return [*lines, "  " + (folder / f"{host}.load").read_text().strip(), ""]


def _parts(path: Path) -> dict[str, int]:
    parts = json.loads(path.read_text())["stats"]["memory"]["parts"]
    by_size = sorted(parts.items(), key=lambda item: -item[1]["pss"])
    return {name: part["pss"] for name, part in by_size}


def main(folder: Path, hosts: list[str]) -> int:
    """Print everything; 1 when a bound is passed."""
    failed = []
    for host in hosts:
        print("\n".join(table(folder, host)))
        bound = bounds.read()[host]
        for name, reading in readings(folder, host).items():
            if reading.pss > bound[name]:
                failed.append(
                    f"{host}, {name}: PSS {reading.pss:,} is above its bound of {bound[name]:,} bytes"
                )
            elif reading.pss < bound[name] - 2 * bounds.SLACK:
                print(
                    f"{host}, {name}: lower its bound in {bounds.FILE.name} to {reading.pss + bounds.SLACK:,}"
                )
    print("\n".join(failed) or "every reading is within its bound")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
