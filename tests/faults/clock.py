"""A wall clock of their own for the processes of a test, which it sets as date or a time service would."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Clock:
    """Processes started with `env` read this clock, in Go, C and Python alike; the monotonic clock stays."""

    def __init__(self, folder: Path) -> None:
        if platform.machine() != "x86_64":
            pytest.skip("the clock that a test sets is for x86-64")
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        self._step = folder / "clock.step"
        self._step.write_bytes(bytes(8))
        self.env: Mapping[str, str] = {"LD_PRELOAD": str(library), "CLOCK_STEP": str(self._step)}
        tried = subprocess.run(["true"], env={**os.environ, **self.env}, capture_output=True, check=False)
        if tried.returncode:  # kernels from 6.16 on may keep the vDSO from being changed
            pytest.skip(f"no clock of a process's own here: {tried.stderr.decode().strip()}")

    def set(self, seconds: int) -> None:
        """Set it so far ahead of the machine's clock, or, where it is negative, behind."""
        with self._step.open("r+b") as file:  # the file that is mapped, not a new one
            file.write(struct.pack("<q", seconds))
