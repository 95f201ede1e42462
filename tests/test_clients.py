"""Clients in C, Go, Node and shell against the real daemon: a screenful each, the wire format is enough."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edged import Client

if TYPE_CHECKING:
    from tests.daemon import Daemon

HERE = Path(__file__).parent / "clients"
pytestmark = pytest.mark.timeout(600)  # the first time, Go compiles the binding, and npm fetches it
BUILD = Path(__file__).parents[1] / "build" / "clients"
NODE_ZEROMQ = "zeromq@6.8.0"
TEXTS = [
    "Bright cherry, long finish.",
    "Thin and sour, a waste of money.",
    'quotes " and \\ and\nline ends\tand \x01',
    "żółć 🍷 שלום",
    "",
]


def run(*command: str | Path, cwd: Path = HERE, **variables: str) -> str:
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def expected(shared_daemon: Daemon) -> list[tuple[str, float]]:
    with Client(shared_daemon.endpoint, timeout=60) as client:
        return [(prediction.label, prediction.score) for prediction in client.classify(TEXTS)]


def as_json(output: str) -> list[tuple[str, float]]:
    return [(reply["label"], reply["score"]) for reply in map(json.loads, output.splitlines())]


def as_columns(output: str) -> list[tuple[str, float]]:
    return [(label, float(score)) for label, score in (line.split("\t") for line in output.splitlines())]


def test_c(shared_daemon: Daemon, expected: list[tuple[str, float]], tmp_path: Path) -> None:
    options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-g"]
    run("cc", *options, "client.c", "-lzmq", "-o", tmp_path / "client")
    # libzmq's own memory at the end is not what is looked at here.
    output = run(tmp_path / "client", shared_daemon.endpoint, *TEXTS, ASAN_OPTIONS="detect_leaks=0")
    assert as_json(output) == expected


def test_go(shared_daemon: Daemon, expected: list[tuple[str, float]], tmp_path: Path) -> None:
    # Within the daemon's module, which has the binding already.
    module = HERE.parents[1] / "go_core"
    run("go", "build", "-o", tmp_path / "client", HERE / "client.go", cwd=module)
    run("go", "vet", HERE / "client.go", cwd=module)
    assert run("gofmt", "-l", HERE / "client.go") == ""
    assert as_columns(run(tmp_path / "client", shared_daemon.endpoint, *TEXTS)) == expected


def test_node(shared_daemon: Daemon, expected: list[tuple[str, float]]) -> None:
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not installed: its client was not tried (apt install nodejs npm)")
    if not (BUILD / "node_modules" / "zeromq").exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        try:
            run("npm", "install", "--no-package-lock", "--no-save", "--no-audit", NODE_ZEROMQ, cwd=BUILD)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"npm can't install {NODE_ZEROMQ}: Node's client was not tried: {error}")
    output = run("node", "client.js", shared_daemon.endpoint, *TEXTS, NODE_PATH=str(BUILD / "node_modules"))
    assert as_columns(output) == expected


def test_shell(shared_daemon: Daemon, expected: list[tuple[str, float]]) -> None:
    if subprocess.run(["/usr/bin/python3", "-c", "import zmq"], capture_output=True, check=False).returncode:
        pytest.skip("python3-zmq is not installed: the shell client was not tried (apt install python3-zmq)")
    output = "".join(run("sh", "client.sh", shared_daemon.endpoint, text) for text in TEXTS)
    assert as_json(output) == expected


@pytest.mark.parametrize("name", ["client.c", "client.go", "client.js", "client.sh"])
def test_each_fits_a_screen(name: str) -> None:
    assert len((HERE / name).read_text().splitlines()) <= 60
