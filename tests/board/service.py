"""The service on a board, as systemd and the kernel show it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.board.machine import Machine

SLOW = 600
"""Seconds that a step may take at most: emulated boards are slow, and more so on a busy machine."""
SAMPLE = "/usr/lib/edged/edged/sample/wine.jsonl.gz"


def shown(board: Machine, name: str, unit: str = "edged.service") -> str:
    """A property of a unit."""
    return board.agent.check(f"systemctl show --value --property={name} {unit}")


def journal(board: Machine) -> str:
    """The last lines that the service logged."""
    return board.agent.run("journalctl -u edged -n 30 --no-pager").stdout


def wait_for(board: Machine, command: str, wanted: str, timeout: float = SLOW) -> None:
    """Wait until a command prints what is wanted."""
    deadline = time.monotonic() + timeout
    while (got := board.agent.run(command).stdout.strip()) != wanted:
        assert time.monotonic() < deadline, f"{command!r} still prints {got!r}, not {wanted!r}"
        time.sleep(0.5)


def wait_for_restart(board: Machine, pid: str) -> None:
    """Wait until systemd has started the service anew after ``pid`` ended."""
    deadline = time.monotonic() + SLOW
    while shown(board, "MainPID") in {pid, "0"} or shown(board, "ActiveState") != "active":
        assert time.monotonic() < deadline, journal(board)
        time.sleep(0.5)


def memory(board: Machine) -> dict[str, int]:
    """RSS, PSS and USS of the daemon, in bytes, as the board's kernel counts them."""
    rollup = board.agent.check(f"cat /proc/{shown(board, 'MainPID')}/smaps_rollup")
    kibibytes = {name: int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE)}
    unique = kibibytes["Private_Clean"] + kibibytes["Private_Dirty"]
    return {"rss": kibibytes["Rss"] * 1024, "pss": kibibytes["Pss"] * 1024, "uss": unique * 1024}


def settled(board: Machine) -> dict[str, int]:
    """Its memory once it has given back what it does not need, in bytes: no other PSS for half a minute.

    It gives memory back two seconds after the last request, which is longer where the board is slow.
    """
    found, since = memory(board), time.monotonic()
    deadline = since + SLOW
    while time.monotonic() < min(since + 30, deadline):
        time.sleep(3)
        now = memory(board)
        if abs(now["pss"] - found["pss"]) > 64 << 10:
            found, since = now, time.monotonic()
    return found
