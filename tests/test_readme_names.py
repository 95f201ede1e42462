"""What README and the pages under docs name exists: targets, commands, flags, and how the daemon starts."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from edged import Client

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
# A command ends where its line, its code span, its table cell or its comment does, or where another begins.
END = r"[^`|\n#;&]*"


def named(pattern: str) -> list[str]:
    return sorted({found.strip() for found in re.findall(pattern, TEXT)})


@cache
def words_of(*command: str) -> str:
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr


TARGETS = named(r"(?m)(?:^\$ |`)make ([a-z][a-z-]*)")
COMMANDS = named(rf"(?m)(?:^|`|\$ |/)edgectl [a-z]+{END}")


def test_something_was_found() -> None:
    assert len(TARGETS) >= 5
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("target", TARGETS)
def test_targets_exist(target: str) -> None:
    subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_edgectl_knows_its_commands_and_flags(command: str) -> None:
    subcommand, *words = command.partition("edgectl ")[2].split()
    if subcommand == "keys" and words:
        subcommand, words = f"keys {words[0]}", words[1:]
    usage = words_of(sys.executable, "-m", "edged.cli", *subcommand.split(), "--help")
    assert usage.startswith(f"usage: edgectl {subcommand}")
    flags = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][\w=-]*", word)}
    assert {flag for flag in flags if not re.search(rf"{flag}\b", usage)} == set()


def test_edged_knows_its_flags() -> None:
    usage = words_of(str(ROOT / "build/edged"), "--help")
    flags = set(re.findall(r" --?([a-z][a-z-]+)", "\n".join(named(rf"(?m)(?:^|`|/)edged --?[a-z]{END}"))))
    flags.discard("help")
    assert flags
    assert {flag for flag in flags if not re.search(rf"^ +-{flag}\b", usage, re.MULTILINE)} == set()


def test_the_daemon_starts_as_readme_says() -> None:
    (line,) = named(r"(?m)^build/edged .*")
    with tempfile.TemporaryDirectory(prefix="edged") as folder:
        endpoint = f"ipc://{folder}/s"
        command = re.sub(r"ipc://\S+", endpoint, line).split()
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as daemon:
            try:
                with Client(endpoint, timeout=100) as client:
                    assert client.classify("Simply delicious.").label == "positive"
            finally:
                daemon.send_signal(signal.SIGTERM)
                _, log = daemon.communicate(timeout=100)
    assert daemon.returncode == 0, log
