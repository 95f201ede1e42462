"""edgectl stats and top against the real daemon: tables, watching, a live screen, plain lines."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any, Callable

import pytest

from edged.cli import figures, top
from edged.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.daemon import Daemon

EDGECTL = [sys.executable, "-m", "edged.cli"]


@pytest.fixture
def measured(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that has answered something and read its memory."""
    daemon = make_daemon(stats_interval="1s").start()
    with Client(daemon.endpoint, timeout=60) as client:
        client.classify(["A fine wine."] * 30)
        while "process" not in client.stats():
            time.sleep(0.05)
    return daemon


@pytest.fixture
def stats(measured: Daemon) -> dict[str, Any]:
    """Its statistics."""
    with Client(measured.endpoint, timeout=60) as client:
        found: dict[str, Any] = client.stats()
        return found


def edgectl(*words: str, timeout: float = 100) -> str:
    """What edgectl prints; it must succeed."""
    return subprocess.run(
        [*EDGECTL, *words], capture_output=True, text=True, timeout=timeout, check=True
    ).stdout


def test_stats_is_a_table_for_people(measured: Daemon) -> None:
    """Every part is there with its size, in a unit, and what is known inside it."""
    printed = edgectl("stats", "--endpoint", measured.endpoint)
    for name in figures.PARTS.values():
        assert re.search(rf"^  {name} +[\d.]+ (B|KiB|MiB) ", printed, re.MULTILINE), name
    assert re.search(r"^    heap in use +[\d.]+ (KiB|MiB)$", printed, re.MULTILINE)
    assert re.search(r"^    tensors +[\d.]+ KiB +estimate$", printed, re.MULTILINE)
    assert re.search(r"^  process +[\d.]+ MiB", printed, re.MULTILINE)
    assert re.search(r"^  in all +[\d.]+ (us|ms)", printed, re.MULTILINE)
    assert "reviews 30 (" in printed


def test_watch_goes_on_until_interrupted(measured: Daemon) -> None:
    """--watch --json prints a document a line, and rises with the clock."""
    command = [*EDGECTL, "stats", "--json", "--watch", "0.2", "--endpoint", measured.endpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())["uptime_seconds"] for _ in range(3)]
        process.send_signal(2)
        assert process.wait(100) == 130
    assert seen == sorted(seen)
    assert seen[2] > seen[0]


def test_top_without_a_terminal_prints_lines(measured: Daemon) -> None:
    """Piped, top prints one line a reading, with no escapes in it."""
    printed = edgectl("top", "--count", "3", "--interval", "0.1", "--endpoint", measured.endpoint)
    lines = printed.splitlines()
    assert len(lines) == 3
    assert "\x1b" not in printed
    assert all(re.match(r"[\d,]+ reviews/s \| [\d,]+ errors/s \| queue \d", line) for line in lines)
    assert "PSS " in lines[-1]


def screens(master: int, seconds: float) -> Iterator[str]:
    """What a program writes to its terminal, as it comes."""
    decoder = codecs.getincrementaldecoder("utf-8")()  # a character may come in two pieces
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                yield decoder.decode(os.read(master, 65536))
            except OSError:  # the program has ended
                return


@pytest.mark.parametrize("size", [(40, 120), (12, 50)])
def test_top_in_a_terminal(measured: Daemon, size: tuple[int, int]) -> None:
    """In a terminal of any size: frames on the alternate screen, none larger than it; q restores it."""
    rows, columns = size
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(slave)
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    environment |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    command = [*EDGECTL, "top", "--interval", "0.2", "--endpoint", measured.endpoint]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        written, quits = "", False
        for piece in screens(master, 100):
            written += piece
            if not quits and written.count("\x1b[H") >= 3:  # a piece may hold several
                quits = os.write(master, b"q") == 1
            if "\x1b[?1049l" in written:
                break
        assert process.wait(30) == 0
    assert termios.tcgetattr(slave) == before, "the terminal is as it was"
    os.close(slave)
    os.close(master)
    assert written.startswith("\x1b[?1049h")
    assert written.rstrip().endswith("\x1b[?1049l")
    for frame in written.split("\x1b[H")[1:]:
        text = re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", frame)
        lines = text.split("\r\n")
        assert len(lines) <= rows
        assert max(map(len, lines)) <= columns
    assert "reviews 30 (" in written
    assert "█" in written or rows < 20


def test_a_frame_never_leaves_its_screen(stats: dict[str, Any]) -> None:
    """Whatever the size, no line is wider, and there are no more lines than rows."""
    rates = figures.Rates(1234567.0, 12.0, 0.0)
    for width in (1, 20, 79, 300):
        for height in (1, 5, 60):
            frame = top.frame(stats, rates, [1.0, 5.0, 0.0] * 200, width, height)
            lines = re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", frame).split("\n")
            assert len(lines) <= height
            assert max(map(len, lines)) <= width


def test_rates_are_between_readings() -> None:
    """Rates count from one reading to the next; after a restart, and at first, from the daemon's start."""

    def reading(seconds: float, reviews: int, busy: int) -> dict[str, Any]:
        counters = {"reviews": reviews, "received": 2 * reviews, "failed": {"busy": busy}}
        return {"uptime_seconds": seconds, "counters": counters}

    assert figures.Rates.between(None, reading(10, 100, 5)) == (10.0, 20.0, 0.5)
    assert figures.Rates.between(reading(10, 100, 5), reading(12, 300, 5)) == (100.0, 200.0, 0.0)
    assert figures.Rates.between(reading(99, 1000, 50), reading(2, 10, 2)) == (5.0, 10.0, 1.0), "restarted"
    assert figures.Rates.between(reading(10, 100, 5), reading(10, 100, 5)) == (10.0, 20.0, 0.5)


def test_sparkline_and_bars(stats: dict[str, Any]) -> None:
    """The highest value is a full block, the largest part the longest bar, also where there is only ASCII."""
    assert top.sparkline([0.0, 4.0, 8.0], 10) == " ▄█"
    assert top.sparkline([0.0, 4.0, 8.0], 2, unicode=False) == "=@"
    assert top.sparkline([], 10) == ""
    bars = [line.count("#") for line in top.memory_bars(stats, 80, unicode=False)[1:]]
    assert bars == sorted(bars, reverse=True)
    assert bars[0] > 10
    assert top.memory_bars({"counters": {}}, 80) == ["memory: not read yet"]
