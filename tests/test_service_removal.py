"""The package leaves a system as it came: removed while clients ask, under a real systemd, then purged."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from edged import Client, errors
from tests.machine import NEEDS_MACHINE, Machine, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = NEEDS_MACHINE

UNITS = "edged.service edged.socket edged-tcp.socket edged-metrics.socket"


@pytest.fixture
def machine() -> Iterator[Machine]:
    with opened() as machine:
        yield machine


def test_removal_stops_all_and_purge_leaves_nothing(machine: Machine) -> None:
    # A socket can't be added to a service that runs.
    machine.run("systemctl stop edged.service && systemctl enable edged-tcp.socket edged-metrics.socket")
    machine.run(f"systemctl start {UNITS}")
    machine.run("useradd --groups edged till")
    machine.write("/etc/edged/handlers/mine.py", "def process_batch(texts): ...\n")
    stop, answers = threading.Event(), []

    def ask() -> None:
        with Client(machine.socket, timeout=1, retries=0) as client:
            while not stop.is_set():
                with suppress(errors.EdgedError):
                    answers.append(client.classify("Bright cherry, long finish."))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        machine.wait("an answer", lambda: answers)
        machine.run("dpkg --remove edged")
        assert machine.run(f"systemctl is-active {UNITS}", check=False).split() == ["inactive"] * 4
    finally:
        stop.set()
        asking.join()
    assert machine.path("/etc/edged/handlers/mine.py").exists()
    machine.run("dpkg --purge edged")
    found = (
        "find / -xdev -iname '*edged*' -not -path '/edged.deb' -not -path '/var/log/*' -not -path '/proc/*'"
    )
    assert machine.run(found) == ""
    assert machine.run("getent passwd edged; getent group edged", check=False) == ""
    assert machine.run("systemctl --failed --no-legend") == ""
