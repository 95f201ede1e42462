"""The process is killed, stopped, told to end, or taken along by a handler; somebody sets the clock."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edged
from edged import Client
from tests.faults.clock import Clock
from tests.faults.form import LONG, PATIENCE, rounds
from tests.faults.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon
    from tests.faults.load import Load

    Loader = Callable[..., Load]

pytestmark = PATIENCE


def test_sigkill_with_restart(echo: Daemon, under_load: Loader) -> None:
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for done in rounds(10, 1000):
            time.sleep(random.random() / 20)  # in any phase of a call
            echo.signal(signal.SIGKILL)
            supervisor.ended(done + 1)
            load.progress()
    assert set(supervisor.codes) == {-signal.SIGKILL}


def test_sigstop_and_sigcont(echo: Daemon, under_load: Loader) -> None:
    with echo.start(), under_load(echo.endpoint) as load:
        for _ in rounds(3, 50):
            echo.signal(signal.SIGSTOP)
            time.sleep(0.5)
            echo.signal(signal.SIGCONT)
            load.progress()


def test_sigterm_drain(echo: Daemon, under_load: Loader) -> None:
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for done in rounds(5, 200):
            echo.signal(signal.SIGTERM)
            supervisor.ended(done + 1)
            echo.says('"event":"ready"', done + 2)  # one that only begins would just end
            load.progress()
    assert set(supervisor.codes) == {0}


YEAR = 366 * 86_400


def test_clock_set_back_and_forward(echo: Daemon, under_load: Loader) -> None:
    """Only the log's stamps follow the wall clock: not deadlines, uptime, watchdog or a client's patience."""
    clock = Clock(echo.folder)
    echo.env |= clock.env
    program = (
        "import itertools, edged\n"
        f"with edged.Client({echo.endpoint!r}, timeout=60) as client:\n"
        "    for n in map(str, itertools.count()):\n"
        "        assert client.classify(n, deadline_ms=60_000).label == n\n"
    )
    echo.start()
    with under_load(echo.endpoint) as load, Client(echo.endpoint, timeout=60) as observer:
        # A client whose own clock jumps too, as on a board that serves itself.
        client = subprocess.Popen([sys.executable, "-c", program], env=echo.env)
        began = time.monotonic()
        for _ in rounds(1, 100):
            # By minutes, as a time service does; back to 1970, as a board without a battery; and after 2038.
            for seconds in (90, -90, -56 * YEAR, 30 * YEAR, 0):
                clock.set(seconds)
                load.progress()
                assert observer.classify("now", deadline_ms=60_000).label == "now"
                assert observer.stats()["uptime_seconds"] < time.monotonic() - began + 60
        assert client.poll() is None, "the client whose clock jumped has ended"
        client.kill()
        client.wait()
    clock.set(-56 * YEAR)
    echo.stop()
    assert re.search(r'"time":"19[67]\d-.*"event":"stopped","exit":0', echo.log), (
        "the clock was not set at all"
    )


def test_slow_handler(echo: Daemon, under_load: Loader) -> None:
    Path(echo.settings["handler"]).write_text(
        "import random, time\n"
        "def process_batch(texts):\n"
        "    time.sleep(random.choice([0, 0, 0.3]))\n"
        "    return [(text, 0.5) for text in texts]\n"
    )
    with echo.start(), under_load(echo.endpoint) as load:
        load.progress(100 if not LONG else 2000)


@pytest.mark.parametrize("way", ["os._exit(3)", "ctypes.string_at(0)", "time.sleep(600)"])
def test_crashing_handler(echo: Daemon, way: str, under_load: Loader) -> None:
    """It ends once in a while, in each of the ways a handler can take the process along."""
    echo.settings["handler_timeout"] = "2s"
    Path(echo.settings["handler"]).write_text(
        "import ctypes, os, random, time\n"
        "born = time.monotonic()\n"
        "def process_batch(texts):\n"
        f"    if time.monotonic() - born > 0.5 and random.random() < 0.05: {way}\n"
        "    return [(text, 0.5) for text in texts]\n"
    )
    # Of a call that hangs, the daemon still says internal before it ends.
    expected = (edged.errors.InternalError,)
    with Supervisor(echo) as supervisor, under_load(echo.endpoint, expected=expected) as load:
        supervisor.ended(2 if not LONG else 100, timeout=150 if not LONG else 3000)
        load.progress()
        load.account.faults = len(supervisor.codes)
    assert 0 not in supervisor.codes
