"""`make bench`, or a part of it: `python -m tests.bench [PART ...] [--rounds N] [--seconds S]`."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.bench import ROOT, bars, experiment, heavy, limits, load, machine, pairs, report
from tests.bench.servers import Edged, python_multiprocessing, python_single

if TYPE_CHECKING:
    from collections.abc import Callable

HEAVY_REVIEWS = 200
GROWTH = (1000, 10_000, 100_000, 1_000_000)


def heavy_subjects() -> dict[str, Callable[[], Any]]:
    """The experiment's subjects with the heavy model: as many interpreters or processes as the bar names."""
    extra = ("--handler", heavy.__file__)
    edged: dict[str, Any] = {
        "handler": heavy.__file__,
        "max_batch_size": 1,
        "python_path": [str(ROOT)],
    }
    return {
        "Python, one thread": partial(python_single, *extra),
        "Python, 2 processes": partial(python_multiprocessing, 2, *extra),
        "edged, MetaCall": partial(Edged, host="metacall", interpreters=2, **edged),
        "edged, CPython": partial(Edged, host="cpython", interpreters=2, **edged),
        bars.ONE_INTERPRETER: partial(Edged, host="cpython", interpreters=1, **edged),
    }


def _heavy(rounds: int) -> dict[str, Any]:
    subprocess.run([sys.executable, "-m", "tests.bench.heavy_model", heavy.MODEL], cwd=ROOT, check=True)
    return experiment.table(rounds, heavy_subjects(), load.wine()[:HEAVY_REVIEWS])


def parts(rounds: int, seconds: float, most: int) -> dict[str, Callable[[], Any]]:
    """Everything that can be measured, by name."""
    fresh = max(3, rounds // 3)  # rounds of what starts anew each time, and lasts longer
    counts = tuple(count for count in GROWTH if count <= most)
    return {
        "transport": partial(limits.transport, rounds, seconds),
        "stages": partial(limits.stages, rounds, seconds),
        "fairness": partial(limits.fairness, rounds, 2 * seconds),
        "growth": partial(limits.growth, most),
        "start": partial(limits.start, rounds),
        "experiment": partial(experiment.table, fresh, experiment.SUBJECTS, load.wine()),
        "heavy": partial(_heavy, fresh),
        "experiment_growth": partial(experiment.growth, experiment.SUBJECTS, counts),
    }


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """How it was measured, in words, for the head of the page."""
    return {
        "command": "make bench"
        if len(sys.argv) == 1
        else shlex.join(["python -m tests.bench", *sys.argv[1:]]),
        "rounds": args.rounds,
        "seconds": args.seconds,
        "pinning": "Nothing was pinned: server and generator share all cores as the kernel places them.",
        "note": machine.note(),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("part", nargs="*", help="parts to measure (default: all)")
    parser.add_argument("--rounds", type=int, default=pairs.ROUNDS)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one run of the generator")
    parser.add_argument(
        "--most", type=int, default=GROWTH[-1], help="reviews in the longest run of the growth parts"
    )
    parser.add_argument("--name", default="bench", help="of the files under results")
    args = parser.parse_args()
    known = parts(args.rounds, args.seconds, args.most)
    unknown = [name for name in args.part if name not in known]
    if unknown:
        parser.error(f"no part is called {unknown[0]}; there are {', '.join(known)}")
    results: dict[str, Any] = {
        "title": "edged: benchmarks",
        "machine": machine.describe(),
        "settings": settings(args),
    }
    for name in args.part or known:
        print(f"bench: {name} (load average {os.getloadavg()[0]:.1f})", flush=True)
        results[name] = known[name]()
        report.save(args.name, results)
    subprocess.run([sys.executable, "-m", "tests.bench.plots", args.name], cwd=ROOT, check=True)
    print(f"bench: {report.RESULTS / args.name}.md")


if __name__ == "__main__":
    main()
