"""The daemon's command line: what it prints, and the exit code of every way to fail at the start."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import edged
from edged import Client
from tests.daemon import BINARY, Daemon

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the binary to its end."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("EDGED_")}
    return subprocess.run(
        [str(BINARY), *arguments], env=clean | env, capture_output=True, text=True, timeout=100, check=False
    )


def test_version() -> None:
    assert run("--version").stdout == f"edged {edged.__version__}\n"


def test_help_lists_every_flag_with_its_range() -> None:
    listed = run("--help")
    assert listed.returncode == 0
    assert "-max-batch-size" in listed.stderr
    assert "from 1 to 4096" in listed.stderr


def test_the_printed_default_file_is_a_valid_configuration(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text(run("--print-default-config").stdout)
    checked = run("--config", str(path), "--check-config")
    assert checked.returncode == 0
    assert "max_message_bytes" in checked.stdout
    assert checked.stdout == run("--check-config", EDGED_CONFIG=str(path)).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--no-such-flag"], 64, "no-such-flag"),
        (["start"], 64, "everything is a flag"),
        (["--config", "/nonexistent.toml"], 78, "--config"),
        (["--max-batch-size", "0"], 78, "from 1 to 4096"),
        (["--endpoints", "udp://x:1"], 78, "remedy"),
        (["--endpoints", "ipc:///nonexistent/s"], 73, "the folder must exist"),
        (["--model", "/nonexistent.tflite"], 69, "/nonexistent.tflite"),
        (["--handler", "/nonexistent.py"], 69, "/nonexistent.py"),
        (["--python", "/nonexistent/python3"], 69, "/nonexistent/python3"),
        (["--libpython", "/nonexistent/libpython3.11.so"], 69, "/nonexistent/libpython3.11.so"),
        (["--embed", "metacall", "--metacall-lib", "/nonexistent.so"], 69, "/nonexistent.so"),
    ],
)
def test_what_cannot_start_says_why(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    defaults = ["--embed", "cpython", "--endpoints", f"ipc://{tmp_path}/s"]
    ended = run(*([] if code == 64 else defaults), *arguments, EDGED_PYTHON=sys.executable)
    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr


def test_a_typo_in_the_file_names_key_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text('max_batch_sise = 3\nqueue_bytes = "lots"\n')
    ended = run("--config", str(path))
    assert ended.returncode == 78
    for said in ("max_batch_sise", 'did you mean "max_batch_size"?', "queue_bytes", "lots", "MiB"):
        assert said in ended.stderr


def test_a_second_daemon_on_the_same_socket_is_refused(daemon: Daemon) -> None:
    ended = run("--endpoints", daemon.endpoint, EDGED_PYTHON=sys.executable)
    assert ended.returncode == 73
    assert "another process serves there" in ended.stderr
    with Client(daemon.endpoint, timeout=60) as client:
        assert client.classify("still here").label in ("positive", "negative")


def test_a_handler_with_a_syntax_error_is_refused_with_its_line() -> None:
    daemon = Daemon()
    daemon.handler("def process_batch(texts)\n    return []\n")
    daemon.start(ready=False)
    assert daemon.wait() == 69
    assert "SyntaxError" in daemon.log
    assert "line 1" in daemon.log
    daemon.close()
