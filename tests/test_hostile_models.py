"""Damaged and hostile model files: refused with a reason, and the daemon lives on."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edged
from edged import Client
from tests.daemon import BINARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

MODEL = (Path(edged.__file__).parent / "models" / "edged.tflite").read_bytes()
TRUNCATED = [0, 1, 7, 8, 100, len(MODEL) // 2, len(MODEL) - 5000]


def attempt(daemon: Daemon, client: Client, file: bytes) -> str:
    """Have the running daemon reload a model; returns why it was refused, or nothing."""
    before = client.info()["reload"]["attempts"]
    path = daemon.folder / "hostile.tflite"
    fresh = daemon.folder / "fresh.tflite"
    fresh.write_bytes(file)
    fresh.rename(path)
    daemon.settings["model"] = str(path)
    daemon.command()
    daemon.signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while (info := client.info())["reload"]["attempts"] == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return str(info["reload"]["error"])


@pytest.mark.timeout(300)
def test_damaged_models_never_end_the_daemon(daemon: Daemon) -> None:
    chosen = random.Random(11)
    pid = daemon.pid
    with Client(daemon.endpoint, timeout=60) as client:
        for size in TRUNCATED:
            assert attempt(daemon, client, MODEL[:size]), f"{size} bytes were accepted"
        # The structure lies at both ends of the file: flips there hit offsets and shapes.
        for _ in range(24):
            damaged = bytearray(MODEL)
            for _ in range(8):
                at = chosen.choice((chosen.randrange(4096), len(MODEL) - 1 - chosen.randrange(60_000)))
                damaged[at] ^= 1 << chosen.randrange(8)
            attempt(daemon, client, bytes(damaged))
            assert client.classify("A lovely wine.").label in ("positive", "negative")
        assert attempt(daemon, client, b"\xff\xff\xff\x7fTFL3" + b"\xff" * 4096), (
            "a claim of 2 GB was accepted"
        )
        assert daemon.process is not None
        assert daemon.process.poll() is None
        assert client.info()["pid"] == pid


@pytest.mark.parametrize("size", TRUNCATED)
def test_the_daemon_does_not_start_with_a_cut_model(make_daemon: Callable[..., Daemon], size: int) -> None:
    daemon = make_daemon()
    path = daemon.folder / "cut.tflite"
    path.write_bytes(MODEL[:size])
    daemon.settings["model"] = str(path)
    daemon.start(ready=False)
    assert daemon.wait() == 69
    assert "cut.tflite" in daemon.log


def test_a_model_without_a_card_is_tried_apart_and_serves(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    path = daemon.folder / "mine.tflite"
    path.write_bytes(MODEL)
    daemon.settings["model"] = str(path)
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        assert client.info()["model_path"] == str(path)


def test_try_model_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(MODEL)
    command = [str(BINARY), "--embed", "cpython", "--try-model", str(path)]
    assert subprocess.run(command, capture_output=True, timeout=100, check=False).returncode == 0
    path.write_bytes(MODEL[:5000])
    tried = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert tried.returncode != 0
