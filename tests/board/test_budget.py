"""The memory budget on a board: a flood of the largest legal requests in a control group of 64 MiB."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from cross.architectures import ROOT
from tests.board.service import SAMPLE, SLOW, settled, shown, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.board.machine import Machine

pytestmark = pytest.mark.timeout(6 * SLOW)

LIMIT = 64 << 20
SOCKET = "/run/edged/edged.sock"
GROUP = "/sys/fs/cgroup/system.slice/edged.service"
CLIENTS = 64
# Of so many bytes each that all of them are twice what the daemon may queue.
OUTSTANDING = 4
REVIEWS = 40_000


@pytest.fixture
def limited(installed: Machine, tmp_path: Path) -> Iterator[Machine]:
    """The board with the service in a control group of 64 MiB, and the load generator in /root."""
    board, architecture = installed, installed.architecture
    load = tmp_path / "load"
    flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-static", "-s", f"--sysroot={architecture.sysroot}"]
    source = ROOT / "tests" / "footprint" / "load.c"
    subprocess.run([architecture.compiler, *flags, "-o", load, source], check=True)
    board.agent.check("cat > /root/load && chmod +x /root/load", load.read_bytes(), timeout=SLOW)
    board.agent.check(f"zcat {SAMPLE} > /root/reviews.jsonl")
    usual = shown(board, "MemoryMax")
    board.agent.check(restart_with(LIMIT), timeout=SLOW)
    wait_for(board, "systemctl is-active edged.service", "active")
    assert board.agent.check(f"cat {GROUP}/memory.max") == str(LIMIT)
    yield board
    board.agent.check(restart_with(usual), timeout=SLOW)


def restart_with(limit: int | str) -> str:
    """The command that gives the service another limit of memory."""
    return (
        f"systemctl set-property --runtime edged.service MemoryMax={limit} && systemctl restart edged.service"
    )


def ask(board: Machine, operation: str) -> dict[str, dict[str, int]]:
    """A reply of the daemon's to an operation without texts."""
    reply = json.loads(board.agent.check(f'/root/load -q \'{{"op":"{operation}"}}\' {SOCKET}'))
    found: dict[str, dict[str, int]] = reply[operation]
    return found


def test_a_flood_of_the_largest_requests_fits_into_64_mib(
    limited: Machine, measured: dict[str, float]
) -> None:
    board = limited
    pid = shown(board, "MainPID")
    # One request first: what every reading after it needs, the first has.
    board.agent.check(f"/root/load -n 200 {SOCKET} /root/reviews.jsonl", timeout=300)
    idle = settled(board)["pss"]
    largest = ask(board, "info")["limits"]["max_message_bytes"]
    flood = f"/root/load -c {CLIENTS} -w {OUTSTANDING} -b {largest} -n {REVIEWS} -t 900"
    printed = board.agent.check(f"{flood} {SOCKET} /root/reviews.jsonl", timeout=1000)
    counted = {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", printed)}
    assert counted["requests"] > OUTSTANDING * CLIENTS, "every client had all its requests outstanding"
    assert counted["busy"] > 0, "it was more than the budget holds"
    assert counted["replies"] == counted["requests"], "every request is answered, with its result or busy"
    assert counted["results"] + counted["busy"] == counted["requests"]
    assert shown(board, "MainPID") == pid
    assert shown(board, "NRestarts") == "0"
    events = dict(line.split() for line in board.agent.check(f"cat {GROUP}/memory.events").splitlines())
    assert events["oom_kill"] == "0"
    after = settled(board)["pss"]
    measured["flood_peak_bytes"] = float(board.agent.check(f"cat {GROUP}/memory.peak"))
    measured["flood_idle_pss_bytes"], measured["flood_after_pss_bytes"] = idle, after
    assert after < idle + 2_000_000
