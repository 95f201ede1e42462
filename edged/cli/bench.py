"""edgectl bench: put load on a daemon, and see latency, throughput and its memory."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.cli import connect, exits
from edged.cli.table import nested, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.cli.load import Outcome
    from edged.client import Client

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
MEMORY_EVERY_S = 0.5
BUSY = 0.9  # of a core, used by the generator: it may be the limit then
EXAMPLES = """examples:
  edgectl bench                                  one client, one review at a time
  edgectl bench --clients 8 --outstanding 8      as fast as it goes
  edgectl bench --rate 200 --clients 10          a fixed schedule: what users at that rate would see
  edgectl bench --batch 256 --json out.json --plot out.svg
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl bench`."""
    parser.epilog = EXAMPLES
    load = parser.add_argument_group("load")
    load.add_argument("--clients", type=_count, default=1, metavar="N", help="connections (default: 1)")
    load.add_argument(
        "--outstanding",
        type=_count,
        default=1,
        metavar="N",
        help="requests each keeps under way (default: 1)",
    )
    load.add_argument(
        "--rate",
        type=_positive,
        default=0.0,
        metavar="N",
        help="open loop: N requests a second in all, on a schedule; latency counts from the moment it names",
    )
    load.add_argument("--batch", type=_count, default=1, metavar="N", help="reviews a request (default: 1)")
    load.add_argument("--duration", type=_positive, default=10.0, metavar="S", help="seconds (default: 10)")
    load.add_argument(
        "--warmup", type=_positive, default=1.0, metavar="S", help="seconds before, not counted (default: 1)"
    )
    load.add_argument(
        "--reviews", metavar="FILE", help="reviews to send (default: the sample of wine reviews)"
    )
    writing = parser.add_argument_group("output")
    writing.add_argument(
        "--json", metavar="FILE", help="write the result as JSON to FILE, - for standard output"
    )
    writing.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="draw latencies, rate and memory (.svg, .png; needs matplotlib)",
    )
    connect.add_arguments(parser)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def run(args: argparse.Namespace) -> int:
    """Measure and print. Raises `EdgedError`."""
    plot = _plotter() if args.plot else None
    batches = _batches(_texts(args.reviews), args.batch)
    with connect.client(args) as client, _Memory(client) as memory:
        outcome = _load(args, batches)
    result = _result(args, outcome, memory.readings)
    if args.json == "-":
        print(json.dumps(result))
    else:
        print(_page(result))
    if args.json and args.json != "-":
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    if plot:
        plot(outcome, memory.readings, args.plot)
    return exits.OK if outcome.latencies else exits.FAILED


def _plotter() -> Any:
    try:
        import edged.cli.bench_plot as plot  # noqa: PLC0415 - matplotlib is an extra
    except ImportError:
        raise exits.CommandError(
            exits.USAGE, "--plot needs matplotlib, which is not installed", "pip install 'edged[plot]'"
        ) from None
    return plot.draw


def _texts(path: str | None) -> list[str]:
    if path is None:
        from edged.sample import WINE  # noqa: PLC0415

        with gzip.open(WINE, "rt", encoding="utf-8") as lines:
            return [json.loads(line)["text"] for line in lines]
    from edged.reviews import ReviewFile  # noqa: PLC0415

    texts = [row.text for row in ReviewFile(path) if row.text]
    if not texts:
        raise exits.CommandError(exits.DATA, f"{path} holds no reviews")
    return texts


def _batches(texts: list[str], batch: int) -> list[list[str]]:
    """Every text in turn, `batch` at a time, beginning anew at the end."""
    return [
        [texts[(start + at) % len(texts)] for at in range(batch)]
        for start in range(0, max(len(texts), batch), batch)
    ]


def _load(args: argparse.Namespace, batches: Sequence[Sequence[str]]) -> Outcome:
    from edged.cli.load import Load  # noqa: PLC0415 - help needs no ZeroMQ
    from edged.connection import Connection  # noqa: PLC0415

    connections = [
        Connection(args.endpoint, args.server_key or None, args.client_key or None)
        for _ in range(args.clients)
    ]
    load = Load(connections, batches, outstanding=args.outstanding, rate=args.rate)
    try:
        return load.run(args.duration, args.warmup)
    finally:
        load.close()


class _Memory:
    """Asks the daemon for its memory, in bytes, on a thread and a connection of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.readings: list[dict[str, float]] = []

    def _watch(self) -> None:
        from time import monotonic  # noqa: PLC0415

        from edged.errors import EdgedError  # noqa: PLC0415

        start = monotonic()
        while True:
            try:
                process = self._client.stats().get("process", {})
            except EdgedError:
                process = {}  # too busy to say; the next one asks again
            if "pss" in process:
                sizes = {name: process[name] for name in ("pss", "rss", "uss") if name in process}
                self.readings.append({"at_s": monotonic() - start, **sizes})
            if self._done.wait(MEMORY_EVERY_S):
                return

    def __enter__(self) -> _Memory:  # noqa: PYI034 - Self is not in Python 3.9's typing
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def _result(args: argparse.Namespace, outcome: Outcome, memory: list[dict[str, float]]) -> dict[str, Any]:
    count = len(outcome.latencies)
    per_second = count / outcome.seconds
    result: dict[str, Any] = {
        "load": {
            "loop": "open" if args.rate else "closed",
            "clients": args.clients,
            **({"rate": args.rate} if args.rate else {"outstanding": args.outstanding}),
            "batch": args.batch,
            "seconds": round(outcome.seconds, 3),
        },
        "replies": count,
        "errors": dict(outcome.errors),
        "requests_per_second": round(per_second, 1),
        "reviews_per_second": round(per_second * args.batch, 1),
        "latency_ms": {
            **{f"p{share:g}": round(outcome.percentile(share) * 1000, 4) for share in PERCENTILES},
            "max": round(outcome.percentile(100) * 1000, 4),
        },
        "generator_cpu": round(outcome.cpu_share, 3),
    }
    if memory:
        result["memory"] = memory
    return result


def _page(result: dict[str, Any]) -> str:
    sections = {name: value for name, value in result.items() if name != "memory"}
    memory = result.get("memory")
    if memory:
        first, last = memory[0], memory[-1]
        sections["memory"] = {
            name.upper(): f"{size(first[name])} at first, {size(max(reading[name] for reading in memory))} "
            f"at most, {size(last[name])} at the end"
            for name in first
            if name != "at_s"
        }
    page = nested(sections)
    if result["generator_cpu"] > BUSY:
        page += "\nThe generator itself was busy all the time: the daemon may be faster than this."
        if sys.stdout.isatty():
            page += " Try another machine, or several generators."
    return page
