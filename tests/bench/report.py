"""Results as JSON, and as a page of tables."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import bars
from tests.bench.experiment import PATIENCE, THEN

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = Path(__file__).parent / "results"


def plain(value: Any) -> Any:
    """Dataclasses as objects, for JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(type(value))


def save(name: str, results: dict[str, Any]) -> dict[str, Any]:
    """Write results/NAME.json and results/NAME.md; returns what was written, as plain JSON."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(results, default=plain, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    read: dict[str, Any] = json.loads(text)
    (RESULTS / f"{name}.md").write_text(page(read))
    return read


def page(results: dict[str, Any]) -> str:
    """The Markdown page of everything that was measured."""
    writers = {
        "transport": _transport,
        "stages": _stages,
        "experiment": _experiment,
        "heavy": _heavy,
        "experiment_growth": _experiment_growth,
        "growth": _growth,
        "start": _start,
        "fairness": _fairness,
        "peers": _peers,
    }
    parts = [_head(results), f"## Promises\n\n{promises(bars.of(results))}"]
    parts += [writer(results[name]) for name, writer in writers.items() if name in results]
    return "\n".join(parts)


def _head(results: dict[str, Any]) -> str:
    machine, settings = results["machine"], results["settings"]
    return (
        f"# {results['title']}\n\n{machine['date']}, commit {machine['commit']}, `{settings['command']}`.\n"
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB; "
        f"Linux {machine['kernel']}, libzmq {machine['libzmq']}, {machine['go']}, "
        f"Python {machine['python']}.\n"
        f"{settings['rounds']} interleaved rounds (a third of that where each starts a server anew); "
        f"a figure is their median, in brackets the quartiles. "
        f"{settings['pinning']}\n{settings['note']}\n"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    names = list(head)
    lines = ["| " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Three digits, or more where there are more before the point."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.0f}"


def _cell(spread: dict[str, float], scale: float = 1.0) -> str:
    median, q1, q3 = (number(spread[key] * scale) for key in ("median", "q1", "q3"))
    return f"{median} [{q1}, {q3}]"


def _measured(bar: bars.Bar) -> str:
    """Three digits, or as many more as tell a promise narrowly missed from one that was kept."""
    text = number(bar.value)
    for digits in range(4, 8):
        if bar.met or text != number(bar.bound):
            break
        text = f"{bar.value:.{digits}g}"
    return text


def promises(found: Iterable[bars.Bar]) -> str:
    """A table of what was promised, and whether it was kept."""
    rows = [
        [
            bar.what,
            f"{_measured(bar)} {bar.unit}",
            f"{'≤' if bar.most else '≥'} {number(bar.bound)}",
            "yes" if bar.met else "**no**",
        ]
        for bar in found
    ]
    return table(["", "measured", "promised", "kept"], rows)


def _transport(part: dict[str, Any]) -> str:
    titles = {
        "lockstep": "One review a request over ipc, lockstep",
        "outstanding_64": "One review a request over ipc, 64 outstanding",
        "clients_64": "One review a request over ipc, 64 clients in lockstep",
    }
    head = [
        "",
        "p50 us",
        "p95 us",
        "p99 us",
        "messages/s",
        "p50 / C echo",
        "p95 / C echo",
        "messages/s / C echo",
    ]
    keys = ["p50_us", "p95_us", "p99_us", "per_second", "p50_ratio", "p95_ratio", "rate_ratio"]
    return "\n".join(
        f"## {title}\n\n"
        + table(head, [[name, *(_cell(row[key]) for key in keys)] for name, row in part[shape].items()])
        for shape, title in titles.items()
    )


def _stages(part: dict[str, Any]) -> str:
    names = {
        "daemon_us": "the daemon, requests of 256 reviews",
        "features_us": "featurization alone (Go, one core)",
        "model_64_us": "the model alone, batches of 64 (one core)",
        "model_1_us": "the model alone, one review at a time (one core)",
    }
    rows = [[title, _cell(part[key])] for key, title in names.items()]
    return (
        "## How far from the limit\n\n"
        + table(["", "us a review"], rows)
        + f"\nOf what features and model alone reach, split over both cores without loss, the daemon has "
        f"{_cell(part['share_of_two_cores'], 100)} %; of both on one core, "
        f"{_cell(part['share_of_one_core'], 100)} %.\n"
    )


def _runs(part: dict[str, Any]) -> str:
    head = ["", "processes", "cold s, from exec", "warm s", "warm CPU s", "peak PSS MB", "PSS MB", "USS MB"]
    rows = []
    for name, row in part.items():
        star = " *" if row["neighbours"] else ""
        times = [_cell(row[key]) for key in ("cold_s", "warm_s", "warm_cpu_s")]
        sizes = [_cell(row[key], 1e-6) + (star if key != "uss" else "") for key in ("peak_pss", "pss", "uss")]
        rows.append([name, number(row["processes"]["median"]), *times, *sizes])
    note = (
        "\n\\* read beside another process that maps the same libraries: PSS is too small then, USS is not.\n"
    )
    return table(head, rows) + (note if any(row["neighbours"] for row in part.values()) else "")


def _experiment(part: dict[str, Any]) -> str:
    then = "; ".join(f"{name}: {seconds} s, {size:,} MB" for name, (seconds, size) in THEN.items())
    return (
        "## The experiment: 1,000 wine reviews\n\nOne review a request, 64 outstanding, one client.\n\n"
        + _runs(part)
        + f"\nWhat the experiment reported: {then}. Its model was another one, far heavier, on another "
        "machine, and its Python programs loaded whole frameworks; here all rows run the same small model "
        "with the same libraries, so compare the rows of this table with one another.\n"
    )


def _heavy(part: dict[str, Any]) -> str:
    return "## The same with a model of several milliseconds a review\n\n" + _runs(part)


def _experiment_growth(part: dict[str, Any]) -> str:
    counts = max((list(row["reviews"]) for row in part.values()), key=len)
    clients = list(next(iter(part.values()))["clients"])
    head = ["", *(f"{int(n):,} reviews" for n in counts), *(f"{n} clients" for n in clients)]
    rows = [
        [
            name,
            *(_grown(row["reviews"].get(n)) for n in counts),
            *(_grown(row["clients"].get(n)) for n in clients),
        ]
        for name, row in part.items()
    ]
    text = f"Reviews a second, and PSS in MB with the clients still connected (-: over {PATIENCE} s)."
    return f"## Growth\n\n{text}\n\n" + table(head, rows)


def _grown(run: dict[str, float] | None) -> str:
    return f"{run['per_second']:,.0f}/s, {run['pss'] / 1e6:.1f}" if run else "-"


def _growth(part: dict[str, Any]) -> str:
    rows = []
    for name, row in part.items():
        sizes = {**row["reviews"], **{f"{n} clients": value for n, value in row["clients"].items()}}
        rows.append([name, *(f"{value / 1e6:.1f}" for value in sizes.values())])
    heads = [f"{int(n):,} reviews" for n in row["reviews"]] + [f"{n} clients" for n in row["clients"]]
    return "## PSS, MB\n\n" + table(["", *heads], rows)


def _start(part: dict[str, Any]) -> str:
    rows = [[host, _cell(spread)] for host, spread in part.items()]
    return "## From exec to the first answer\n\n" + table(["host", "s"], rows)


def _fairness(part: dict[str, Any]) -> str:
    rows = [["alone", _cell(part["alone_p99_us"])], ["beside a flood", _cell(part["flooded_p99_us"])]]
    return (
        "## Ten polite clients, 500 requests a second in all\n\n"
        + table(["", "p99 us, from the moment the schedule names"], rows)
        + f"\nRatio {_cell(part['p99_ratio'])}.\n"
    )


def _peers(part: dict[str, Any]) -> str:
    counts = ["1", "8", "64"]
    head = ["", *(f"{n} clients: req/s, p50 us, p99 us" for n in counts), "PSS MB", "start s"]
    rows = [
        [
            name,
            *(
                ", ".join(
                    number(row["clients"][n][key]["median"]) for key in ("per_second", "p50_us", "p99_us")
                )
                for n in counts
            ),
            f"{row['pss'] / 1e6:.1f}",
            f"{row['start_s']:.2f}",
        ]
        for name, row in part["servers"].items()
    ]
    return "## Other servers of the same model, one review a request\n\n" + table(head, rows)
