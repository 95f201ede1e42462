"""edgectl bench against the real daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING, Callable

import pytest
import zmq

from edged.cli import exits
from edged.cli.load import Outcome, Timer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.daemon import Daemon

HANDLER = """
import time

def process_batch(texts):
    time.sleep(0.05)
    return [("positive", 0.9) for _ in texts]
"""


def bench(endpoint: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edged.cli", "bench", "--endpoint", endpoint, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def measured(endpoint: str, *arguments: object) -> dict[str, object]:
    done = bench(endpoint, "--duration", 1, "--warmup", 0.2, "--json", "-", *arguments)
    assert done.returncode == exits.OK, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("arguments", [(), ("--clients", 3, "--outstanding", 4), ("--batch", 16)])
def test_closed_loop(daemon: Daemon, arguments: tuple[object, ...]) -> None:
    # Long enough that a machine which stands still for a second or two has not stood still all the time.
    result = measured(daemon.endpoint, "--duration", 4, *arguments)
    assert result["errors"] == {}
    assert isinstance(result["replies"], int)
    assert result["replies"] > 10
    latency = result["latency_ms"]
    assert isinstance(latency, dict)
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    memory = result["memory"]
    assert isinstance(memory, list)
    assert memory[0]["pss"] > 1e6


def test_open_loop_keeps_its_schedule(daemon: Daemon) -> None:
    result = measured(daemon.endpoint, "--rate", 100, "--clients", 2)
    assert result["replies"] == pytest.approx(100, abs=2)


def test_the_timer_wakes_a_poller_when_a_request_is_due_and_not_before() -> None:
    timer, poller = Timer(), zmq.Poller()
    poller.register(timer.fd, zmq.POLLIN)
    for wait in (0.0004, 0.0025, -1.0):
        due = monotonic() + wait
        timer.set(due)
        assert poller.poll(60_000) == [(timer.fd, zmq.POLLIN)]
        assert monotonic() >= due
    timer.set(0)
    assert poller.poll(20) == []
    timer.close()


def test_a_stall_is_charged_to_every_request_it_delays(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(max_batch_size=1)
    daemon.handler(HANDLER)
    daemon.start()
    # 50 ms each, 40 a second: half of them can be served, so the last waits for about as long as the run.
    result = measured(daemon.endpoint, "--rate", 40)
    latency = result["latency_ms"]
    assert isinstance(latency, dict)
    assert latency["p50"] > 200
    assert latency["max"] > 500


def test_the_page_and_the_plot(daemon: Daemon, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot, result = tmp_path / "plot.svg", tmp_path / "result.json"
    done = bench(daemon.endpoint, "--duration", 4, "--warmup", 0.2, "--plot", plot, "--json", result)
    assert done.returncode == exits.OK, done.stderr
    assert "latency_ms" in done.stdout
    assert "PSS" in done.stdout
    assert plot.read_text().lstrip().startswith("<?xml")
    assert json.loads(result.read_text())["replies"] > 0


@pytest.mark.parametrize("wrong", [("--clients", 0), ("--rate", -1), ("--duration", "nan"), ("--batch", "x")])
def test_wrong_usage(wrong: tuple[object, ...]) -> None:
    assert bench("ipc:///tmp/nobody", *wrong).returncode == exits.USAGE


def test_nobody_there(tmp_path: Path) -> None:
    done = bench(f"ipc://{tmp_path}/nobody", "--timeout", 1)
    assert done.returncode == exits.UNAVAILABLE


def test_reviews_of_a_file_and_an_empty_one(daemon: Daemon, tmp_path: Path) -> None:
    empty, some = tmp_path / "empty.txt", tmp_path / "some.txt"
    empty.write_text("")
    some.write_text("Good.\nBad.\n")
    assert bench(daemon.endpoint, "--reviews", empty).returncode == exits.DATA
    assert measured(daemon.endpoint, "--reviews", some)["errors"] == {}


def test_percentiles_are_nearest_ranks() -> None:
    outcome = Outcome([float(n) for n in range(1, 101)])
    assert [outcome.percentile(share) for share in (50, 99, 99.9, 100)] == [50, 99, 100, 100]
    assert Outcome([7.0]).percentile(50) == 7
    assert Outcome().percentile(50) == 0
