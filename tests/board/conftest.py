"""The boards that tests run on, and the report of what was measured on them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cross.architectures import ARCHITECTURES, ROOT
from cross.deb import package, source_date
from edged import __version__
from tests import scores
from tests.board.agent import AgentError
from tests.board.machine import Machine
from tests.board.service import SLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged import Prediction

WANTED = os.environ.get("EDGED_BOARD", "").split()
REPORT = ROOT / "build" / "board" / "report.json"
NEXT = f"{__version__}+next"
"""The version that boards are upgraded to."""

figures: dict[str, dict[str, float]] = {}
"""What was measured, by architecture: seconds or bytes, as the name says."""


@pytest.fixture(scope="session")
def reviews() -> list[str]:
    """A thousand wine reviews."""
    return scores.reviews()


@pytest.fixture(scope="session")
def expected(reviews: list[str]) -> list[Prediction]:
    """What the daemon makes of them on this machine."""
    return scores.here(reviews)


@pytest.fixture(scope="session", params=WANTED or ["none"])
def board(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Each board in turn, booted, with the package and its successor in /root."""
    if not WANTED:
        pytest.skip("emulated boards take minutes: make board")
    architecture = ARCHITECTURES[request.param]
    packages = [package(architecture, release, source_date()) for release in (__version__, NEXT)]
    sizes = figures.setdefault(architecture.name, {})
    sizes["download_bytes"] = packages[0].stat().st_size
    sizes["daemon_bytes"] = architecture.daemon.stat().st_size
    with tempfile.TemporaryDirectory(prefix="board", dir="/tmp") as folder:
        machine = Machine(architecture, Path(folder), packages)
        try:
            yield machine.start()
        finally:
            REPORT.parent.mkdir(parents=True, exist_ok=True)
            with suppress(AssertionError, AgentError, LookupError, OSError, ValueError):
                log = machine.agent.check("journalctl -u edged --no-pager | tail -n 2000", timeout=SLOW)
                (REPORT.parent / f"journal-{architecture.name}.log").write_text(log)
            machine.stop()
            if machine.console.exists():
                shutil.copy(machine.console, REPORT.parent / f"console-{architecture.name}.log")


@pytest.fixture
def installed(board: Machine) -> Machine:
    """The board with the package, which another test may have removed."""
    if board.agent.run("test -e /usr/bin/edged").code:
        board.agent.check(f"apt-get install --yes /root/edged_{__version__}_*.deb", timeout=SLOW)
    return board


def table() -> str:
    """The figures as a Markdown table, one board a column."""
    names = list(figures)
    rows = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for label in dict.fromkeys(key for each in figures.values() for key in each):
        cells = [shown(label, each[label]) if label in each else "" for each in figures.values()]
        rows.append(f"| {label.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(rows)


def shown(label: str, value: float) -> str:
    """A figure for people: bytes in millions."""
    return f"{value / 1e6:.1f} MB" if label.endswith("bytes") else f"{value:g}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table at the end of the run."""
    if figures:
        terminalreporter.write_line(table())


@pytest.fixture
def measured(board: Machine) -> Iterator[dict[str, float]]:
    """What was measured on this board, to be added to; the report keeps what was found of other boards."""
    yield figures.setdefault(board.architecture.name, {})
    kept = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({**kept, **figures}, indent=2) + "\n")
