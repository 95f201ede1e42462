"""The commands and examples of README and of the clients' page do what is shown there."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.daemon import Daemon

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "docs" / "clients.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPTS = Path(sys.executable).parent  # edgectl
RECURSIVE = {"make test"}  # it is what runs this test


class Command(NamedTuple):
    """A command that README shows, and what it shows as its output."""

    line: str
    output: str


def blocks(language: str) -> list[str]:
    return [
        body for page in PAGES for found, body in BLOCK.findall(page.read_text("utf-8")) if found == language
    ]


def commands() -> list[Command]:
    return [
        Command(*entry.partition("\n")[::2])
        for body in blocks("console")
        for entry in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    ]


def shape(output: str) -> str:
    """The output with its figures, and the widths and quotations that follow from them, made alike."""
    output = re.sub(r"[\d,.]*\d", "0", output)
    output = re.sub(r"0 {2,}\S.*…$", "0  …", output, flags=re.MULTILINE)
    output = re.sub(r"ipc://\S+", "ipc://…", output)
    return re.sub(r"[ \t]+", " ", output).strip()


def test_readme_shows_commands_and_python() -> None:
    shown = [command.line for command in commands()]
    assert {"make run", "make test"} <= set(shown)
    assert blocks("python")


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.line)
def test_commands_print_what_readme_shows(command: Command, daemon: Daemon) -> None:
    assert command.output.strip(), "README must show what this prints"
    if command.line in RECURSIVE:
        plan = subprocess.run(
            ["make", "-n", command.line.split()[1]], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert "-m pytest" in plan.stdout
        return
    run = subprocess.run(
        command.line,
        shell=True,
        cwd=ROOT,
        env={**os.environ, "EDGED_ENDPOINT": daemon.endpoint, "PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert shape(run.stdout) == shape(command.output)


@pytest.mark.parametrize("body", blocks("python"), ids=lambda body: body.strip().splitlines()[0])
def test_python_does_what_readme_shows(body: str, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGED_ENDPOINT", daemon.endpoint)
    example = doctest.DocTestParser().get_doctest(body, {}, "README.md", "README.md", 0)
    assert example.examples
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert results.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", BLOCK.sub("", page.read_text("utf-8")))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("name", ["client.c", "client.go", "client.js", "client.sh"])
def test_readme_shows_the_clients_that_are_tested(name: str) -> None:
    assert (ROOT / "tests" / "clients" / name).read_text("utf-8") in README.read_text("utf-8")


def test_every_event_and_exit_code_is_explained() -> None:
    sources = [path for path in (ROOT / "go_core").rglob("*.go") if not path.name.endswith("_test.go")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    logged = re.sub(r'^//.*|.*"cgroup_memory_events_total".*', "", text, flags=re.MULTILINE)
    events = set(re.findall(r'"event", "(\w+)"', logged))
    codes = re.findall(r"^\tExit\w+ += (\d+)", text, re.MULTILINE)
    assert len(events) > 20
    assert len(codes) > 5
    readme = README.read_text("utf-8")
    assert {event for event in events if f"`{event}`" not in readme} == set()
    assert [code for code in codes if f"| {code} |" not in readme] == []
    explained = re.findall(
        r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \| (?:info|warn|error|debug)", readme, re.MULTILINE))
    )
    assert set(explained) - events == set()
