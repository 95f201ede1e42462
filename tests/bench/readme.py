"""`make figures`: the README's section of figures, from the results that are kept."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.bench import ROOT, bars, report
from tests.bench.experiment import THEN
from tests.bench.report import number, table

README = ROOT / "README.md"
SECTION = re.compile(r"(?<=\n)## Figures\n.*?(?=\n## )", re.DOTALL)


def section() -> str:
    """The section, from results/bench.json and results/peers.json."""
    bench, peers = (json.loads((report.RESULTS / f"{name}.json").read_text()) for name in ("bench", "peers"))
    machine = bench["machine"]
    day, day_of_peers = (part["machine"]["date"].split(" ")[0] for part in (bench, peers))
    intro = (
        f"`make bench` measured on {day}, `make bench-peers` on {day_of_peers}, "
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}: ratios within one run, "
        f"medians of {bench['settings']['rounds']} interleaved rounds. "
        "[All of it](tests/bench/results/bench.md), [the other servers](tests/bench/results/peers.md), "
        "[how](tests/bench/README.md). On your own board: `edgectl bench --duration 2`.\n"
    )
    return "\n".join(
        [
            "## Figures\n",
            intro,
            report.promises([*bars.of(bench), *bars.of(peers)]),
            "1,000 wine reviews, one a request, 64 outstanding:\n",
            _experiment(bench["experiment"]),
            "The experiment that edged began with ran another, far heavier model on another machine: its "
            "rows say where this started, not what was gained by what. All others run the same model.\n",
            "Servers that people would pick instead, same model, one review a request:\n",
            _peers(peers["peers"]),
        ]
    )


def _experiment(part: dict[str, Any]) -> str:
    def median(row: dict[str, Any], key: str, scale: float = 1.0) -> str:
        return number(row[key]["median"] * scale)

    rows = [
        [
            name,
            median(row, "cold_s"),
            median(row, "warm_s"),
            median(row, "warm_cpu_s"),
            median(row, "peak_pss", 1e-6),
        ]
        for name, row in part.items()
    ]
    rows += [
        [f"the experiment: {name}", f"{seconds}", "", "", f"{size:,}"]
        for name, (seconds, size) in THEN.items()
    ]
    return table(["", "cold, s", "warm, s", "processor time, s", "peak PSS, MB"], rows)


def _peers(part: dict[str, Any]) -> str:
    counts = ("1", "8", "64")
    rows = [
        [
            name,
            *(number(row["clients"][count]["per_second"]["median"]) for count in counts),
            f"{number(row['clients']['64']['p50_us']['median'] / 1000)}, "
            f"{number(row['clients']['64']['p99_us']['median'] / 1000)}",
            number(row["pss"] / 1e6),
            number(row["start_s"]),
        ]
        for name, row in part["servers"].items()
    ]
    head = [*(f"{count} clients: requests/s" for count in counts), "64: p50, p99 ms", "PSS, MB", "start, s"]
    head[0] = "1 client: requests/s"
    return table(["", *head], rows)


def main() -> None:
    """Put the section into the README."""
    README.write_text(SECTION.sub(lambda _: section(), README.read_text()))


if __name__ == "__main__":
    main()
