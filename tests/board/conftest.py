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
from xdist.scheduler import LoadScopeScheduling

from cross.architectures import ARCHITECTURES, ROOT
from cross.deb import package, source_date
from edged import __version__
from tests import scores
from tests.board.agent import AgentError
from tests.board.machine import Machine
from tests.board.service import SLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer

    from edged import Prediction

WANTED = os.environ.get("EDGED_BOARD", "").split()
FOLDER = ROOT / "build" / "board"
"""Where reports, logs and figures are left."""
NEXT = f"{__version__}+next"
"""The version that boards are upgraded to."""


class BoardByBoard(LoadScopeScheduling):  # type: ignore[misc]
    """All tests of a board in one process, and boards side by side: much of a board's time is waiting."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.rpartition("[")[2]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BoardByBoard:
    """Give each process boards, not tests."""
    return BoardByBoard(config, log)


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
    """Each board, booted, with the package and its successor in /root."""
    if not WANTED:
        pytest.skip("emulated boards take minutes: make board")
    architecture = ARCHITECTURES[request.param]
    packages = [package(architecture, release, source_date()) for release in (__version__, NEXT)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    sizes = {"download_bytes": packages[0], "daemon_bytes": architecture.daemon}
    keep(architecture.name, {name: float(path.stat().st_size) for name, path in sizes.items()})
    with tempfile.TemporaryDirectory(prefix="board", dir="/tmp") as folder:
        machine = Machine(architecture, Path(folder), packages)
        try:
            yield machine.start()
        finally:
            with suppress(AssertionError, AgentError, LookupError, OSError, ValueError):
                log = machine.agent.check("journalctl -u edged --no-pager | tail -n 2000", timeout=SLOW)
                (FOLDER / f"journal-{architecture.name}.log").write_text(log)
            machine.stop()
            if machine.console.exists():
                shutil.copy(machine.console, FOLDER / f"console-{architecture.name}.log")


@pytest.fixture
def installed(board: Machine) -> Machine:
    """The board with the package, also where a test runs alone."""
    if board.agent.run("test -e /usr/bin/edged").code:
        board.agent.check(f"apt-get install --yes /root/edged_{__version__}_*.deb", timeout=SLOW)
    return board


def kept(name: str) -> dict[str, float]:
    """What was measured on a board: seconds or bytes, as the name says."""
    path = FOLDER / f"figures-{name}.json"
    found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(name: str, figures: dict[str, float]) -> None:
    """Keep a board's figures, which outlive a run that is broken off."""
    (FOLDER / f"figures-{name}.json").write_text(json.dumps(figures, indent=2) + "\n")


def table(figures: dict[str, dict[str, float]]) -> str:
    """The figures as a Markdown table, one board a column."""
    rows = [f"| | {' | '.join(figures)} |", "|---" * (len(figures) + 1) + "|"]
    for label in dict.fromkeys(key for each in figures.values() for key in each):
        cells = [shown(label, each[label]) if label in each else "" for each in figures.values()]
        rows.append(f"| {label.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(rows)


def shown(label: str, value: float) -> str:
    """A figure for people: bytes in millions."""
    return f"{value / 1e6:.1f} MB" if label.endswith("bytes") else f"{value:g}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table at the end of the run."""
    if WANTED:
        terminalreporter.write_line(table({name: kept(name) for name in WANTED}))


@pytest.fixture
def measured(board: Machine) -> Iterator[dict[str, float]]:
    """What was measured on this board, to be added to."""
    figures = kept(board.architecture.name)
    yield figures
    keep(board.architecture.name, figures)
