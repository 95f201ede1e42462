"""Files that the daemon serves by are removed or replaced."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import edged
from edged import Client
from tests.faults.form import PATIENCE, rounds
from tests.faults.load import Review
from tests.faults.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon
    from tests.faults.load import Load

    Loader = Callable[..., Load]

pytestmark = PATIENCE

MODEL = Path(edged.__file__).parent / "models" / "edged.tflite"


def test_socket_file_removed(echo: Daemon, under_load: Loader) -> None:
    """Who is connected stays so; whoever comes is served after the next restart."""
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for done in rounds(2, 50):
            Path(echo.endpoint.removeprefix("ipc://")).unlink()
            load.progress()
            echo.signal(signal.SIGTERM)
            supervisor.ended(done + 1)
            load.progress()
            with Client(echo.endpoint, timeout=60) as newcomer:
                assert newcomer.classify("new").label == "new"


def about_wine(request_id: str) -> Review:
    """A review on which the model is sure, good and bad ones in turn."""
    if int(request_id[-1]) % 2:
        return Review(f"Thin, sour and unpleasant. A terrible waste of money. ({request_id})", "negative")
    return Review(f"A wonderful wine: rich, elegant, with a long finish. ({request_id})", "positive")


def test_the_model_file_is_replaced_while_it_serves(
    make_daemon: Callable[..., Daemon], under_load: Loader
) -> None:
    """By one that is none and is refused, and by one that serves from then on."""
    daemon = make_daemon()
    path = daemon.folder / "model.tflite"
    shutil.copy(MODEL, path)
    daemon.settings["model"] = str(path)
    load = under_load(daemon.endpoint, review=about_wine)
    with daemon.start(), load, Client(daemon.endpoint, timeout=60) as client:
        for attempt in rounds(2, 100):
            for file, refused in ((b"not a model", True), (MODEL.read_bytes(), False)):
                fresh = path.with_suffix(".new")
                fresh.write_bytes(file)
                fresh.rename(path)  # as package tools replace files
                load.progress()
                daemon.signal(signal.SIGHUP)
                while client.info()["reload"]["attempts"] <= 2 * attempt + (not refused):
                    time.sleep(0.01)
                assert bool(client.info()["reload"]["error"]) == refused
                load.progress()
