"""Memory of a process and all its children: PSS, USS and RSS in bytes, from the kernel's smaps_rollup."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

LIBRARIES = re.compile(r"libpython3|/numpy/|/numpy\.libs/|tflite_runtime|libzmq|libmetacall")
"""Pages of these are shared between processes that map them, and PSS divides by the number of sharers."""


@dataclass(frozen=True)
class Memory:
    """Sums over `processes` processes, in bytes."""

    pss: int
    uss: int
    rss: int
    processes: int


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def read(pid: int) -> Memory:
    """What a process and its descendants hold now."""
    pss = uss = rss = count = 0
    for member in family(pid):
        try:
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue  # gone since
        fields = {
            key: int(value) * 1024 for key, value in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)
        }
        pss += fields["Pss"]
        rss += fields["Rss"]
        uss += fields["Private_Clean"] + fields["Private_Dirty"]
        count += 1
    return Memory(pss, uss, rss, count)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its descendants, user and system; children that ended count too."""
    total = 0.0
    for member in family(pid):
        try:
            times = psutil.Process(member).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if member == pid:
            total += times.children_user + times.children_system
    return total


def _mapped(pid: int) -> set[tuple[str, str]]:
    """(device, inode) of the libraries that PSS would share."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    fields = (line.split(maxsplit=5) for line in lines)
    return {(field[3], field[4]) for field in fields if len(field) == 6 and LIBRARIES.search(field[5])}


def neighbours(pid: int) -> list[str]:
    """Commands of other processes that map the same libraries: beside them PSS is too small to believe."""
    own, mine = set(family(pid)), _mapped(pid)
    for member in own:
        mine |= _mapped(member)
    return sorted(
        {
            other.name()
            for other in psutil.process_iter()
            if other.pid not in own and _mapped(other.pid) & mine
        }
    )


class Peak:
    """The largest PSS seen while the block runs, read every 20 ms."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.pss = 0

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.pss = max(self.pss, read(self._pid).pss)

    def __enter__(self) -> Peak:  # noqa: PYI034 - Self is not in Python 3.9's typing
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.pss = max(self.pss, read(self._pid).pss)


def megabytes(values: Iterable[int]) -> list[float]:
    """Bytes in MB (10^6)."""
    return [value / 1e6 for value in values]
