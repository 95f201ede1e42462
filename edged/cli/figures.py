"""What `edgectl stats` and `edgectl top` draw from the daemon's statistics. Pure: no clock, no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edged.cli.table import duration, size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Stats = Mapping[str, Any]

PARTS = {
    "libraries": "libraries",
    "python": "Python objects",
    "c_heap": "C heap",
    "go": "Go",
    "binary": "program",
    "model": "model file",
    "stacks": "stacks",
    "other": "other",
}
"""Names for people, by the daemon's; new ones show as they are."""

STAGES = {
    "queue": "queue",
    "features": "features",
    "inference": "inference",
    "batch": "batch",
    "reply": "reply",
    "total": "in all",
}


class Rates(NamedTuple):
    """What happened a second between two readings."""

    reviews: float
    requests: float
    errors: float

    @classmethod
    def between(cls, before: Stats | None, now: Stats) -> Rates:
        """Rates from one reading to the next; without a former one, since the daemon started."""
        past: Stats = before if before and before["uptime_seconds"] < now["uptime_seconds"] else {}
        seconds = now["uptime_seconds"] - past.get("uptime_seconds", 0)

        def rate(count: Any) -> float:
            grown = count(now["counters"]) - (count(past["counters"]) if past else 0)
            return float(grown / seconds) if seconds > 0 else 0.0

        return cls(rate(_reviews), rate(_requests), rate(_errors))


def _reviews(counters: Mapping[str, Any]) -> int:
    return int(counters.get("reviews", 0))


def _requests(counters: Mapping[str, Any]) -> int:
    return int(counters.get("received", 0))


def _errors(counters: Mapping[str, Any]) -> int:
    return sum(counters.get("failed", {}).values())


def microseconds(value: float) -> str:
    """A duration given in microseconds, with its unit: 87 us, 1.4 ms, 2.10 s."""
    if value < 1000:
        return f"{value:.0f} us"
    return f"{value / 1000:.1f} ms" if value < 1_000_000 else f"{value / 1_000_000:.2f} s"


def headline(stats: Stats) -> str:
    """What serves, on which host, since when."""
    model = stats.get("model", {})
    name = " ".join(filter(None, (model.get("name"), model.get("version"))))
    return f"{name or 'no model yet'}, {model.get('host', '-')} host, up {duration(stats['uptime_seconds'])}"


def parts(stats: Stats) -> list[tuple[str, Mapping[str, Any]]]:
    """Parts of the process's memory by name for people, the largest PSS first."""
    found = stats.get("memory", {}).get("parts", {})
    by_size = sorted(found.items(), key=lambda item: -item[1]["pss"])
    return [(PARTS.get(name, name), part) for name, part in by_size]


def grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first column to the left, the others to the right."""
    columns = max(map(len, rows))
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(columns)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def memory_table(stats: Stats) -> list[str]:
    """The process, its parts and what is known inside them."""
    process = stats.get("process")
    if process is None:
        return ["memory: not read yet"]
    rows = [["memory", "PSS", "RSS", "growth", ""]]
    for name, part in parts(stats):
        rows.append([f"  {name}", size(part["pss"]), size(part["rss"]), signed(part["growth"]), ""])
        inside = [(*item, "") for item in part.get("counted", {}).items()]
        inside += [(*item, "estimate") for item in part.get("estimated", {}).items()]
        rows += [[f"    {row.replace('_', ' ')}", size(count), "", "", kind] for row, count, kind in inside]
    rows.append(["  process", size(process["pss"]), size(process["rss"]), "", ""])
    rest = f"  USS {size(process['uss'])}, peak RSS {size(process['peak_rss'])}, swap {size(process['swap'])}"
    return [*grid(rows), rest]


def signed(count: int) -> str:
    """A change in bytes with its sign; nothing for less than a kilobyte."""
    return "" if abs(count) < 1024 else ("+" if count > 0 else "-") + size(abs(count))


def surroundings(stats: Stats) -> list[str]:
    """The control group and the board, as far as they are known."""
    lines = []
    group, system = stats.get("cgroup", {}), stats.get("system", {})
    if group.get("version"):
        limit = min((bound for bound in (group["high"], group["max"]) if bound is not None), default=None)
        of = f"of {size(limit)}" if limit is not None else "no limit"
        kills = group["events"]["oom_kill"]
        lines.append(f"control group: {size(group['current'])}, {of}; killed for memory: {kills}")
    if system.get("total"):
        line = f"board: {size(system['available'])} of {size(system['total'])} available"
        if "pressure" in system:
            line += f", waiting for memory {system['pressure']['some_avg10']} %"
        if "temperature_celsius" in system:
            line += f", {system['temperature_celsius']} C"
        if system.get("throttled_now"):
            line += ", throttled: " + ", ".join(system["throttled_now"]).replace("_", " ")
        lines.append(line)
    return lines


def traffic(stats: Stats, rates: Rates) -> list[str]:
    """Counts, rates, and errors by code where there are any."""
    counters = stats["counters"]
    batch = stats.get("sizes", {}).get("batch_reviews", {})
    failed = {code: count for code, count in counters.get("failed", {}).items() if count}
    lines = [
        f"reviews {_reviews(counters):,} ({rates.reviews:,.0f}/s), requests {_requests(counters):,} "
        f"({rates.requests:,.0f}/s), {batch.get('mean', 0):.1f} reviews a batch",
        f"queue {stats['queue']['reviews']:,} reviews, {size(stats['queue']['bytes'])}",
    ]
    if failed:
        lines.append("errors " + ", ".join(f"{code} {count:,}" for code, count in failed.items()))
    dropped = counters.get("dropped_unroutable", 0), counters.get("dropped_slow", 0)
    if any(dropped):
        lines.append(f"replies dropped: {dropped[0]:,} client gone, {dropped[1]:,} client not reading")
    return lines


def latency_table(stats: Stats) -> list[str]:
    """p50, p95, p99 and the longest of each stage."""
    rows = [["latency", "p50", "p95", "p99", "longest"]]
    for name, stage in stats.get("latency", {}).items():
        values = [stage[key] for key in ("p50_us", "p95_us", "p99_us", "max_us")] if stage["count"] else []
        rows.append([f"  {STAGES.get(name, name)}", *(map(microseconds, values) if values else "----")])
    return grid(rows)


def report(stats: Stats, rates: Rates) -> str:
    """Everything, for people."""
    tables = [traffic(stats, rates), latency_table(stats), memory_table(stats), surroundings(stats)]
    blocks = [[headline(stats)], *tables]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def line(stats: Stats, rates: Rates) -> str:
    """The essence in one line, for logs and for where there is no terminal."""
    total = stats.get("latency", {}).get("total", {})
    found = [
        f"{rates.reviews:,.0f} reviews/s",
        f"{rates.errors:,.0f} errors/s",
        f"queue {stats['queue']['reviews']:,}",
    ]
    if total.get("count"):
        found.append(f"p50 {microseconds(total['p50_us'])}, p99 {microseconds(total['p99_us'])}")
    if "process" in stats:
        found.append(f"PSS {size(stats['process']['pss'])}")
        found.append(" ".join(f"{name}={size(part['pss'])}" for name, part in parts(stats)[:4]))
    return " | ".join(found)
