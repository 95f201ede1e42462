"""How far from the limit: the daemon beside a bare libzmq echo, and its stages alone."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import ROOT, load, memory, pairs
from tests.bench.servers import Edged, Server, c_echo, go_echo, held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.load import Load
    from tests.bench.pairs import Spread

SERVED = "edged"
WIDE = "edged, wide path"
C_ECHO = "libzmq echo in C"
GO_ECHO = "libzmq echo in Go"

POLITE = 10  # clients
POLITE_RATE = 500.0  # requests a second of all of them
FLOOD = 2000  # requests outstanding
CLIENTS_REVIEWS = 64_000  # of all clients: the same work, whatever their number


def servers() -> dict[str, Server]:
    """The subjects of the round trips."""
    return {C_ECHO: c_echo(), GO_ECHO: go_echo(), WIDE: Edged(cascade="off"), SERVED: Edged()}


def rounds_of(
    subjects: dict[str, Server], bodies: Path, rounds: int, **options: Any
) -> dict[str, list[Load]]:
    """Interleaved runs of the generator against servers that stay up."""
    return pairs.interleave(
        {
            name: partial(load.run, load.command(server.endpoint, bodies, **options))
            for name, server in subjects.items()
        },
        rounds,
    )


def table(seen: dict[str, list[Load]], base: str) -> dict[str, Any]:
    """Latencies and rates of each subject, and their ratios to `base`."""
    return {name: _row(runs, seen[base]) for name, runs in seen.items()}


def _row(runs: list[Load], base: list[Load]) -> dict[str, Any]:
    def percentile(name: str) -> list[float]:
        return [run.latency_us[name] for run in runs]

    row: dict[str, Any] = {f"{name}_us": pairs.spread(percentile(name)) for name in ("p50", "p95", "p99")}
    row["per_second"] = pairs.spread([run.per_second for run in runs])
    for name in ("p50", "p95"):
        row[f"{name}_ratio"] = pairs.ratio(percentile(name), [run.latency_us[name] for run in base])
    row["rate_ratio"] = pairs.ratio([run.per_second for run in runs], [run.per_second for run in base])
    return row


def transport(rounds: int, seconds: float) -> dict[str, Any]:
    """Round trips of one review in lockstep, with 64 outstanding, and from 64 clients."""
    with _running(servers()) as (subjects, folder):
        bodies = load.write_bodies(folder / "bodies", load.wine())
        shapes = {
            "lockstep": {"outstanding": 1},
            "outstanding_64": {"outstanding": 64},
            "clients_64": {"clients": 64},
        }
        return {
            shape: table(rounds_of(subjects, bodies, rounds, seconds=seconds, **options), C_ECHO)
            for shape, options in shapes.items()
        }


@contextmanager
def _running(subjects: dict[str, Server]) -> Iterator[tuple[dict[str, Server], Path]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edged")))
        for server in subjects.values():
            stack.enter_context(server)
        yield subjects, folder


def stages(rounds: int, seconds: float) -> dict[str, Any]:
    """Requests of 256 reviews beside featurization alone and the model alone, in microseconds a review."""
    features = _features_program()
    with _running({SERVED: Edged()}) as (subjects, folder):
        bodies = load.write_bodies(folder / "bodies", load.wine(), 256)
        measured: dict[str, Callable[[], float]] = {
            "daemon": lambda: _us_per_review(subjects[SERVED], bodies, seconds),
            "features": lambda: _features_alone(features, seconds),
            "model_64": lambda: _model_alone(64, seconds),
            "model_1": lambda: _model_alone(1, seconds),
        }
        seen = pairs.interleave(measured, rounds)
    both = [f + m for f, m in zip(seen["features"], seen["model_64"])]
    result: dict[str, Any] = {f"{name}_us": pairs.spread(values) for name, values in seen.items()}
    result["share_of_one_core"] = pairs.ratio(both, seen["daemon"])
    result["share_of_two_cores"] = pairs.ratio([us / 2 for us in both], seen["daemon"])
    return result


def _us_per_review(server: Server, bodies: Path, seconds: float) -> float:
    run = load.run(load.command(server.endpoint, bodies, outstanding=3, seconds=seconds))
    return 1e6 / (run.per_second * 256)


def _features_program() -> Path:
    program = load.BUILT / "features.test"
    subprocess.run(["go", "test", "-c", "-o", program, "./model"], cwd=ROOT / "go_core", check=True)
    return program


def _features_alone(program: Path, seconds: float) -> float:
    options = [
        "-test.run=none",
        "-test.bench=BenchmarkFeatures$",
        f"-test.benchtime={seconds}s",
        "-test.cpu=1",
    ]
    run = subprocess.run(
        [program, *options],
        cwd=ROOT / "go_core" / "model",
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(r"([\d.]+) ns/op", run.stdout)
    assert found, run.stdout
    return float(found.group(1)) / 1000


def _model_alone(size: int, seconds: float) -> float:
    line = [sys.executable, "-m", "tests.bench.model_alone", str(size), str(seconds)]
    return float(subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def fairness(rounds: int, seconds: float) -> dict[str, Any]:
    """Polite clients on a schedule, without and with one client that floods."""
    with _running({SERVED: Edged()}) as (subjects, folder):
        bodies = load.write_bodies(folder / "bodies", load.wine())
        endpoint = subjects[SERVED].endpoint
        polite = load.command(endpoint, bodies, clients=POLITE, rate=POLITE_RATE, seconds=seconds)

        def beside_flood() -> Load:
            line = load.command(endpoint, bodies, outstanding=FLOOD, seconds=seconds + 2)
            flood = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.3)
            try:
                return load.run(polite)
            finally:
                flood.kill()
                flood.wait()
                time.sleep(0.3)

        seen = pairs.interleave({"alone": lambda: load.run(polite), "beside a flood": beside_flood}, rounds)

    def p99(name: str) -> list[float]:
        return [run.latency_us["p99"] for run in seen[name]]

    return {
        "alone_p99_us": pairs.spread(p99("alone")),
        "flooded_p99_us": pairs.spread(p99("beside a flood")),
        "p99_ratio": pairs.ratio(p99("beside a flood"), p99("alone")),
    }


def growth(most: int) -> dict[str, Any]:
    """PSS in bytes with the number of reviews and of clients, each server alone, and of the C echo."""
    return {SERVED: _growth_of(Edged(), most), C_ECHO: _growth_of(c_echo(), most)}


def _growth_of(server: Server, most: int) -> dict[str, Any]:
    with server, tempfile.TemporaryDirectory(prefix="edged") as folder:
        bodies = load.write_bodies(Path(folder) / "bodies", load.wine())
        # What a server comes to in its first tenth of a second is no growth.
        held(server, bodies, messages=10_000, outstanding=64)
        return {
            "neighbours": memory.neighbours(server.pid),
            "reviews": {
                str(count): held(server, bodies, messages=count, outstanding=64)["pss"]
                for count in (1000, 10_000, most)
            },
            "clients": {
                str(count): held(server, bodies, messages=CLIENTS_REVIEWS, clients=count)["pss"]
                for count in (1, 8, 64)
            },
        }


def start(rounds: int) -> dict[str, Spread]:
    """Seconds from exec to the first answered review, files in the page cache."""
    return {
        host: pairs.spread(pairs.interleave({host: partial(_first_answer, host)}, rounds)[host])
        for host in ("cpython", "metacall")
    }


def _first_answer(host: str) -> float:
    server = Edged(host=host)
    with tempfile.TemporaryDirectory(prefix="edged") as folder:
        bodies = load.write_bodies(Path(folder) / "bodies", load.wine()[:1])
        began = time.monotonic()
        server.launch()
        try:
            return load.run(load.command(server.endpoint, bodies, messages=1, warmup=0)).ended - began
        finally:
            server.__exit__(None, None, None)
