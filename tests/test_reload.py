"""New models, handlers and settings take over between two batches, or are refused; nothing is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edged
from edged import Client
from edged.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.daemon import Daemon

MODEL = Path(edged.__file__).parent / "models" / "edged.tflite"
ANSWERS = "def process_batch(texts):\n    return [({label!r}, 0.5)] * len(texts)\n"


def reload(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    """Run `edgectl reload` and wait for its end."""
    daemon.command()  # writes the settings as they are now
    return subprocess.run(
        [sys.executable, "-m", "edged.cli", "reload", "--endpoint", daemon.endpoint],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def pss(pid: int) -> int:
    """Proportional set size in bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("\nPss:")[1].split()[0]) * 1024


@contextmanager
def clients(daemon: Daemon, number: int) -> Iterator[None]:
    """So many clients that classify without a break, and accept no error."""
    done = threading.Event()
    faults: list[str] = []

    def run() -> None:
        try:
            with Client(daemon.endpoint, retries=0, timeout=60) as client:
                while not done.is_set():
                    assert len(client.classify(["good wine", "bad wine"])) == 2
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
            faults.append(repr(error))

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join(90)
    assert not any(thread.is_alive() for thread in threads)
    assert faults == []


def at_rest(pid: int) -> int:
    """The least PSS in the seconds in which the daemon gives back what a burst needed, in bytes."""
    least = pss(pid)
    for _ in range(50):
        time.sleep(0.2)
        least = min(least, pss(pid))
    return least


@pytest.mark.timeout(900)
def test_200_reloads_under_32_clients_lose_nothing(daemon: Daemon) -> None:
    sizes = {}
    with Client(daemon.endpoint, timeout=60) as client:
        for first, last in ((1, 50), (51, 200)):
            with clients(daemon, 32):
                for attempt in range(first, last + 1):
                    daemon.signal(signal.SIGHUP)
                    while client.info()["reload"]["attempts"] < attempt:
                        time.sleep(0.005)
            sizes[last] = at_rest(daemon.pid)
        info = client.info()
    assert (info["generation"], info["reload"]["error"]) == (201, "")
    # tflite-runtime 2.14 never frees 5.9 KB of what it says about each interpreter's signatures (measured in
    # plain Python); that is all there may be, beside the heap's own unevenness.
    assert sizes[200] - sizes[50] < 150 * 5_900 + 2_000_000, sizes


def test_reload_takes_a_new_handler_and_new_settings(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(max_reviews=10)
    daemon.handler(ANSWERS.format(label="first"))
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        assert client.classify("x").label == "first"
        daemon.handler(ANSWERS.format(label="second"), "second.py")
        daemon.settings |= {"interpreters": 2, "log_level": "debug", "send_hwm": 99}
        outcome = reload(daemon)
        assert outcome.returncode == 0, outcome.stderr
        assert "second.py" in outcome.stdout
        assert "not taken over until a restart: send_hwm" in outcome.stdout
        deadline = time.monotonic() + 100
        while client.classify("x").label != "second":
            assert time.monotonic() < deadline
        assert client.info()["model"] == "second.py"


def test_a_change_from_handler_to_model_and_back(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        assert client.info()["inline"] is True
        path = daemon.handler(ANSWERS.format(label="mine"))
        assert reload(daemon).returncode == 0
        while client.classify("lovely wine").label != "mine":
            time.sleep(0.01)
        assert client.info()["inline"] is False
        daemon.settings["handler"] = ""
        assert reload(daemon).returncode == 0
        while client.classify("lovely wine").label == "mine":
            time.sleep(0.01)
        assert client.info()["generation"] == 3
        assert Path(path).exists()
    assert "panic" not in daemon.log


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"handler": "broken"}, "SyntaxError"),
        ({"handler": "raises"}, "ValueError: no"),
        ({"handler": "missing"}, "missing.py"),
        ({"model": "cut"}, "model"),
        ({"model": "other"}, "SHA-256"),
        ({"max_batch_size": 0}, "from 1 to 4096"),
        ({"max_batch_sise": 3}, "max_batch_size"),
    ],
)
def test_what_is_faulty_is_refused_and_the_old_goes_on(
    make_daemon: Callable[..., Daemon], change: dict[str, object], said: str
) -> None:
    daemon = make_daemon()
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        before = client.classify("lovely wine")
        prepare(daemon, change)
        outcome = reload(daemon)
        assert outcome.returncode == 78, outcome
        assert said in outcome.stderr
        assert client.classify("lovely wine") == before
        info = client.info()
        assert info["generation"] == 1
        assert said in info["reload"]["error"]
        assert '"event":"reload_failed"' in daemon.log


def prepare(daemon: Daemon, change: dict[str, object]) -> None:
    """Make the files that a faulty change names."""
    folder = daemon.folder
    daemon.settings |= change
    handler, model = change.get("handler"), change.get("model")
    if handler == "broken":
        daemon.handler("def process_batch(texts)\n")
    elif handler == "raises":
        daemon.handler("def process_batch(texts):\n    raise ValueError('no')\n")
    elif handler == "missing":
        daemon.settings["handler"] = f"{folder}/missing.py"
    elif model == "cut":
        (folder / "cut.tflite").write_bytes(MODEL.read_bytes()[:100_000])
        daemon.settings["model"] = f"{folder}/cut.tflite"
    elif model == "other":
        shutil.copy(MODEL, folder / "other.tflite")
        (folder / "other.md").write_text(f"SHA-256: {'0' * 64}\n")
        daemon.settings["model"] = f"{folder}/other.tflite"


def test_reload_from_elsewhere_says_where_to_run_it(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill(pid: int, number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr("os.kill", kill)
    assert main(["reload", "--endpoint", daemon.endpoint]) == 69
    assert "own machine" in capsys.readouterr().err
