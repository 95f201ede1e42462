"""What was promised, as ratios within one run, and whether this run kept it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.bench.limits import SERVED, WIDE

MB = 1e6
ONE_INTERPRETER = "edged, CPython, one interpreter"
THEN_S = 40.0  # the experiment's own time for 1,000 reviews


@dataclass(frozen=True)
class Bar:
    """One promise. `most` bounds the value from above, else from below."""

    what: str
    value: float
    bound: float
    most: bool
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether this run kept it."""
        return self.value <= self.bound if self.most else self.value >= self.bound


def of(results: dict[str, Any]) -> list[Bar]:
    """Every promise whose part was measured."""
    parts = {
        "transport": _transport,
        "stages": _stages,
        "fairness": _fairness,
        "growth": _growth,
        "start": _start,
        "experiment": _experiment,
        "heavy": _heavy,
        "peers": _peers,
    }
    return [bar for name, judge in parts.items() if name in results for bar in judge(results[name])]


def _transport(part: dict[str, Any]) -> list[Bar]:
    lockstep, windowed = part["lockstep"], part["outstanding_64"]
    return [
        Bar("wide path, lockstep: p50 over the C echo's", lockstep[WIDE]["p50_ratio"]["median"], 1.8, True),
        Bar("wide path, lockstep: p95 over the C echo's", lockstep[WIDE]["p95_ratio"]["median"], 2.2, True),
        Bar(
            "wide path, 64 outstanding: messages/s, share of the C echo's",
            windowed[WIDE]["rate_ratio"]["median"], 0.40, False,
        ),
    ]  # fmt: skip


def _stages(part: dict[str, Any]) -> list[Bar]:
    share = part["share_of_two_cores"]["median"]
    return [Bar("requests of 256: share of features + model alone on both cores", share, 0.70, False)]


def _fairness(part: dict[str, Any]) -> list[Bar]:
    return [
        Bar("polite clients beside a flood: p99 over theirs alone", part["p99_ratio"]["median"], 3.0, True)
    ]


def _growth(part: dict[str, Any]) -> list[Bar]:
    clients, reviews = part[SERVED]["clients"], part[SERVED]["reviews"]
    fewest, *_, most = reviews
    return [
        Bar("PSS from 1 to 64 clients", (clients["64"] - clients["1"]) / MB, 8, True, "MB more"),
        Bar(
            f"PSS from {fewest} to {most} reviews", (reviews[most] - reviews[fewest]) / MB, 1, True, "MB more"
        ),
    ]


def _start(part: dict[str, Any]) -> list[Bar]:
    return [
        Bar(f"exec to first answer, {host}", spread["median"], 0.35, True, "s")
        for host, spread in part.items()
    ]


def _experiment(part: dict[str, Any]) -> list[Bar]:
    daemon = part["edged, CPython"]
    return [
        Bar(
            "1,000 reviews, warm: faster than the experiment",
            THEN_S / daemon["warm_s"]["median"],
            1000,
            False,
        ),
        Bar("1,000 reviews, cold, from exec", daemon["cold_s"]["median"], 0.5, True, "s"),
    ]


def _heavy(part: dict[str, Any]) -> list[Bar]:
    single, double, daemon = (
        part[name] for name in ("Python, one thread", "Python, 2 processes", "edged, CPython")
    )
    return [
        Bar(
            "heavy model: throughput over Python, one thread",
            single["warm_s"]["median"] / daemon["warm_s"]["median"], 1.8, False,
        ),
        Bar(
            "heavy model: throughput of 2 interpreters over one's",
            part[ONE_INTERPRETER]["warm_s"]["median"] / daemon["warm_s"]["median"], 1.7, False,
        ),
        Bar(
            "heavy model: memory, share of Python, 2 processes",
            daemon["pss"]["median"] / double["pss"]["median"], 0.6, True,
        ),
    ]  # fmt: skip


def _peers(part: dict[str, Any]) -> list[Bar]:
    rows = part["servers"]
    daemon, loop = rows[SERVED], rows["pyzmq REP"]
    http = [row for row in rows.values() if row["protocol"] == "http"]
    best = max(http, key=lambda row: float(row["clients"]["64"]["per_second"]["median"]))

    def rate(row: dict[str, Any]) -> float:
        return float(row["clients"]["64"]["per_second"]["median"])

    return [
        Bar("64 clients: requests/s over the best HTTP peer's", rate(daemon) / rate(best), 10, False),
        Bar("64 clients: memory, share of the best HTTP peer's", daemon["pss"] / best["pss"], 1 / 3, True),
        Bar("64 clients: requests/s over the pyzmq loop's", rate(daemon) / rate(loop), 5, False),
        Bar("64 clients: memory beyond the pyzmq loop's", (daemon["pss"] - loop["pss"]) / MB, 4, True, "MB"),
    ]
