"""Both hosts side by side: start-up, memory, the cost of a call, the time of a review.

    python -m tests.bench.hosts

Rounds of the two alternate, and so do the requests whose times are compared: whatever else the machine does
falls on both alike. Trust the ratios.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import zmq

from edged.sample import WINE
from tests.daemon import NO_METACALL, ROOT, Daemon, has_metacall

HOSTS = ("cpython", "metacall")
ROUNDS = 5
LIBRARIES = ("libpython3", "_multiarray_umath", "_pywrap_tensorflow", "libzmq")

Figures = dict[str, float]


def main() -> int:
    """Measure, and print a table in Markdown."""
    if not has_metacall():
        print(NO_METACALL, file=sys.stderr)
        return 1
    neighbours = other_users()
    if neighbours:
        print(f"PSS is too low to be true: the same libraries are mapped by {neighbours}", file=sys.stderr)
    rounds: dict[str, list[Figures]] = {host: [] for host in HOSTS}
    for number in range(ROUNDS):
        for host in HOSTS:
            print(f"round {number + 1} of {ROUNDS}: {host}", file=sys.stderr)
            rounds[host].append(one_round(host))
    times = request_times()
    for host in HOSTS:
        for figures in rounds[host]:
            figures["a review, p50, us"] = statistics.median(times[host]) * 1e6
    print_table(rounds)
    return 0


def one_round(host: str) -> Figures:
    """One life of the daemon, and one run of the Go benchmark of a bare call."""
    started = time.perf_counter()
    with Daemon(host=host) as daemon, zmq.Context() as context, context.socket(zmq.REQ) as socket:
        ready = time.perf_counter() - started
        spent = processor_seconds(daemon.pid)
        socket.connect(daemon.endpoint)
        for request in requests():
            ask(socket, request)
        memory = rollup(daemon.pid)
    return {
        "start to ready, ms": ready * 1e3,
        "of which processor time, ms": spent * 1e3,
        "PSS, MB": memory["Pss"] / 1e6,
        "USS, MB": (memory["Private_Clean"] + memory["Private_Dirty"]) / 1e6,
        "RSS, MB": memory["Rss"] / 1e6,
        "a call, 4 KiB in, 1 KiB out, ns": call_nanoseconds(host),
    }


def request_times() -> dict[str, list[float]]:
    """Seconds from a request of one review to its reply, with both hosts up and asked in turn."""
    times: dict[str, list[float]] = {host: [] for host in HOSTS}
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        sockets = {}
        for host in HOSTS:
            daemon = stack.enter_context(Daemon(host=host))
            sockets[host] = stack.enter_context(context.socket(zmq.REQ))
            sockets[host].connect(daemon.endpoint)
        for number, request in enumerate(requests() * 4):
            for host in HOSTS if number % 2 else HOSTS[::-1]:
                times[host].append(ask(sockets[host], request))
    return times


def requests() -> list[bytes]:
    """The sample, a request each."""
    with gzip.open(WINE, "rt") as lines:
        return [json.dumps({"text": json.loads(line)["text"]}).encode() for line in lines]


def ask(socket: zmq.Socket[bytes], request: bytes) -> float:
    """Seconds that one request took."""
    started = time.perf_counter()
    socket.send(request)
    reply = socket.recv()
    seconds = time.perf_counter() - started
    assert b'"label"' in reply, reply
    return seconds


def processor_seconds(pid: int) -> float:
    """What the threads that still live have spent: the first field of schedstat, in nanoseconds."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def rollup(pid: int) -> dict[str, int]:
    """Bytes by field of /proc/PID/smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}


def call_nanoseconds(host: str) -> float:
    """The best of five runs of the package's own benchmark, without the daemon around it."""
    run = subprocess.run(
        [
            "go",
            "test",
            "-run",
            "^$",
            "-bench",
            "^BenchmarkCall$",
            "-benchtime",
            "0.2s",
            "-count",
            "5",
            "./python",
        ],
        cwd=ROOT / "go_core",
        env=os.environ | {"EDGED_TEST_HOST": host},
        capture_output=True,
        text=True,
        check=True,
    )
    return min(float(found) for found in re.findall(r"([\d.]+) ns/op", run.stdout))


def other_users() -> list[int]:
    """Process ids that map a library of the daemon's beside it: they share its pages and lower its PSS."""
    users = []
    for maps in Path("/proc").glob("[0-9]*/maps"):
        if int(maps.parent.name) == os.getpid():
            continue
        try:
            text = maps.read_text()
        except OSError:  # it has ended, or is not ours to read
            continue
        if any(library in text for library in LIBRARIES):
            users.append(int(maps.parent.name))
    return users


def print_table(rounds: dict[str, list[Figures]]) -> None:
    """Print the best of the rounds, for all that disturbs only adds, and MetaCall's share of CPython's."""
    print("| | CPython | MetaCall | ratio |\n|---|---|---|---|")
    for name in rounds["cpython"][0]:
        one, other = (min(figures[name] for figures in rounds[host]) for host in HOSTS)
        print(f"| {name} | {one:,.1f} | {other:,.1f} | {other / one:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
