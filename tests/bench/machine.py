"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tests.bench import ROOT


def describe() -> dict[str, Any]:
    """Machine, versions, commit and date, for the head of a result."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "go": _output("go", "env", "GOVERSION"),
        "libzmq": _output("pkg-config", "--modversion", "libzmq"),
        "load_average": round(os.getloadavg()[0], 2),
    }


def busy() -> float:
    """How much of one core others use, over half a second."""
    return psutil.cpu_percent(0.5) / 100 * (psutil.cpu_count() or 1)


def note() -> str:
    """Whether others used the machine."""
    return "The machine was quiet." if busy() < 0.1 else "PRELIMINARY: others used the machine meanwhile."


def _cpu() -> str:
    found = re.search(r"^(?:model name|Model)\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.processor() or "unknown"


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
