"""The experiment again: 1,000 wine reviews through Python, Python processes, and the daemon on both hosts."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import load, memory, pairs, servers
from tests.bench.servers import Edged, Server, python_multiprocessing, python_single

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.load import Load

REVIEWS = 1000
OUTSTANDING = 64
PATIENCE = 60  # seconds: a subject that would need longer is not asked for that many reviews
THEN = {
    "Python, one thread": (38, 500),
    "Python, multiprocessing": (220, 4000),
    "Go with embedded Python": (40, 94),
}
"""What the experiment that edged began with reported for 1,000 wine reviews: seconds and MB."""

SUBJECTS: dict[str, Callable[[], Server]] = {
    "Python, one thread": python_single,
    "Python, 2 processes": partial(python_multiprocessing, 2),
    "Python, 4 processes": partial(python_multiprocessing, 4),
    "Python, 8 processes": partial(python_multiprocessing, 8),
    "edged, MetaCall": partial(Edged, host="metacall"),
    "edged, CPython": partial(Edged, host="cpython"),
}


def table(rounds: int, subjects: dict[str, Callable[[], Server]], texts: list[str]) -> dict[str, Any]:
    """Every text once, cold from exec and then warm, with memory and CPU time; a fresh process each round."""
    seen = pairs.interleave({name: partial(_once, make, texts) for name, make in subjects.items()}, rounds)
    return {
        name: {
            **{key: pairs.spread([run[key] for run in runs]) for key in runs[0] if key != "neighbours"},
            "neighbours": sorted({other for run in runs for other in run["neighbours"]}),
        }
        for name, runs in seen.items()
    }


def _once(make: Callable[[], Server], texts: list[str]) -> dict[str, Any]:
    server = make()
    with tempfile.TemporaryDirectory(prefix="edged") as folder:
        bodies = load.write_bodies(Path(folder) / "bodies", texts)
        run = partial(_all, server, bodies, len(texts))
        began = time.monotonic()
        server.launch()
        try:
            with memory.Peak(server.pid) as peak:
                cold = run()
            used = memory.cpu_seconds(server.pid)
            warm = run()
            cpu = memory.cpu_seconds(server.pid) - used
            held = memory.read(server.pid)
            return {
                "cold_s": cold.ended - began,
                "warm_s": warm.seconds,
                "warm_cpu_s": cpu,
                "peak_pss": peak.pss,
                "pss": held.pss,
                "uss": held.uss,
                "processes": held.processes,
                "neighbours": memory.neighbours(server.pid),
            }
        finally:
            server.__exit__(None, None, None)


def _all(server: Server, bodies: Path, messages: int) -> Load:
    line = load.command(
        server.endpoint,
        bodies,
        outstanding=min(OUTSTANDING, messages),
        messages=messages,
        seconds=3600,
        warmup=0,
    )
    return load.run(line)


def growth(subjects: dict[str, Callable[[], Server]], reviews: tuple[int, ...]) -> dict[str, Any]:
    """Rate and PSS with the number of reviews, as far as `PATIENCE` goes, and with 1, 8 and 64 clients."""
    return {name: _growth_of(make(), reviews) for name, make in subjects.items()}


def _growth_of(server: Server, reviews: tuple[int, ...]) -> dict[str, Any]:
    with server, tempfile.TemporaryDirectory(prefix="edged") as folder:
        bodies = load.write_bodies(Path(folder) / "bodies", load.wine())
        _all(server, bodies, REVIEWS)
        by_reviews: dict[str, dict[str, float]] = {}
        rate = float("inf")
        for count in reviews:
            if count / rate > PATIENCE:
                break
            run = by_reviews[str(count)] = servers.held(server, bodies, messages=count, outstanding=64)
            rate = run["per_second"]
        by_clients = {
            str(clients): servers.held(server, bodies, messages=10_000, clients=clients)
            for clients in (1, 8, 64)
        }
        return {"reviews": by_reviews, "clients": by_clients}
