"""Plots of results/NAME.json, as SVG and PNG beside it: `python -m tests.bench.plots NAME`."""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from tests.bench.report import RESULTS

COLOURS = ("#3b6ea5", "#c9822b", "#5a9367", "#a54b4b", "#7a6ba5", "#777777")


def main() -> None:
    """Draw what the result has."""
    name = sys.argv[1]
    results = json.loads((RESULTS / f"{name}.json").read_text())
    if "transport" in results:
        _save(_transport(results["transport"]), f"{name}-transport")
    for part in ("experiment", "heavy"):
        if part in results:
            _save(_experiment(results[part], part), f"{name}-{part}")
    if "peers" in results:
        _save(_peers(results["peers"]["servers"]), name)


def _save(figure: Any, name: str) -> None:
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
    figure.savefig(RESULTS / f"{name}.png", dpi=110)
    plt.close(figure)


def _bars(
    axis: Any, values: dict[str, dict[str, float]], title: str, *, scale: float = 1.0, log: bool = False
) -> None:
    names = list(values)
    medians = [values[name]["median"] * scale for name in names]
    low = [(values[name]["median"] - values[name]["q1"]) * scale for name in names]
    high = [(values[name]["q3"] - values[name]["median"]) * scale for name in names]
    axis.barh(names, medians, xerr=[low, high], color=COLOURS[: len(names)], error_kw={"lw": 1, "capsize": 3})
    axis.invert_yaxis()
    axis.set_title(title, fontsize=10)
    axis.tick_params(labelsize=8)
    if log:
        axis.set_xscale("log")
    for at, value in enumerate(medians):
        axis.annotate(
            f" {value:,.3g}" if value < 1000 else f" {value:,.0f}", (value, at), va="bottom", fontsize=8
        )


def _pick(rows: dict[str, Any], key: str) -> dict[str, dict[str, float]]:
    return {name: row[key] for name, row in rows.items()}


def _transport(part: dict[str, Any]) -> Any:
    figure, axes = plt.subplots(1, 3, figsize=(13, 3))
    _bars(axes[0], _pick(part["lockstep"], "p50_us"), "round trip in lockstep, p50, us")
    _bars(axes[1], _pick(part["outstanding_64"], "per_second"), "messages/s, 64 outstanding")
    _bars(axes[2], _pick(part["clients_64"], "per_second"), "messages/s, 64 clients")
    return figure


def _experiment(part: dict[str, Any], name: str) -> Any:
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.2))
    figure.suptitle("1,000 wine reviews" if name == "experiment" else "heavy model", fontsize=11)
    _bars(axes[0], _pick(part, "cold_s"), "cold, from exec, s", log=True)
    _bars(axes[1], _pick(part, "warm_s"), "warm, s", log=True)
    _bars(axes[2], _pick(part, "pss"), "PSS, MB", scale=1e-6)
    return figure


def _peers(rows: dict[str, Any]) -> Any:
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.2))
    rates = {name: row["clients"]["64"]["per_second"] for name, row in rows.items()}
    latencies = {name: row["clients"]["64"]["p99_us"] for name, row in rows.items()}
    sizes = {name: dict.fromkeys(("median", "q1", "q3"), row["pss"]) for name, row in rows.items()}
    _bars(axes[0], rates, "requests/s, 64 clients", log=True)
    _bars(axes[1], latencies, "p99 us, 64 clients", log=True)
    _bars(axes[2], sizes, "PSS, MB", scale=1e-6)
    return figure


if __name__ == "__main__":
    main()
