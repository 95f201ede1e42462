"""Manual pages and shell completions, from what the daemon and the command line say of themselves.

The pages' frames are ``packaging/man/*.scd`` in scdoc's language (see scdoc(5)); ``@NAME@`` in them stands
for a part that is made here.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from cross import CrossError
from cross.architectures import ROOT
from edged import cli
from edged.cli import exits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANUAL = ROOT / "packaging" / "man"
# Where the shells look for the completions that packages bring.
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/edgectl",
    "zsh": "usr/share/zsh/vendor-completions/_edgectl",
    "fish": "usr/share/fish/vendor_completions.d/edgectl.fish",
}


class ManualError(CrossError):
    """A page can't be made; the message says what to do."""


def install(tree: Path, defaults: str, epoch: int) -> None:
    """Put manual pages and completions into a package's tree.

    Args:
        tree: the folder that stands for the board's root.
        defaults: what ``edged --print-default-config`` prints.
        epoch: the date of the pages, in seconds since 1970.

    Raises:
        ManualError: scdoc is missing or refuses a page.
    """
    parts = {
        "KEYS": "\n".join(keys(defaults)),
        "COMMANDS": "\n".join(commands()),
        "EXITS": "\n".join(statuses()),
    }
    for frame in sorted(MANUAL.glob("*.scd")):
        text = re.sub("@([A-Z]+)@", lambda place: parts[place[1]], frame.read_text())
        page = tree / f"usr/share/man/man{frame.stem[-1]}" / frame.stem
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(rendered(text, epoch))
    for shell, place in COMPLETIONS.items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "edged.cli", "completion", shell]
        script = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        (tree / place).write_text(script)


def rendered(text: str, epoch: int) -> str:
    """A page in the manual's own language."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    try:
        done = subprocess.run(["scdoc"], input=text, env=environ, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ManualError("scdoc is missing: apt-get install scdoc") from error
    if done.returncode:
        raise ManualError(f"{text.splitlines()[0]}: {done.stderr.strip()}")
    return done.stdout


def keys(defaults: str) -> Iterator[str]:
    """The keys of a commented configuration file, as scdoc."""
    table = ""
    for block in defaults.split("\n\n"):
        if heading := re.search(r"^\[(\w+)\]$", block, re.MULTILINE):
            table = f"{heading[1]}."
        found = re.search(
            r"^# (?P<doc>.*)\n# (?P<allowed>Allowed: .*)\n#(?P<name>\w+) = (?P<value>.*)$",
            block,
            re.MULTILINE,
        )
        if found:
            yield f"*{table}{found['name']}* = {escaped(found['value'])}"
            yield f"\t{escaped(found['doc'])} {escaped(found['allowed'])}"
            yield ""


def commands() -> Iterator[str]:
    """The commands of edgectl with their arguments, as scdoc."""
    for parser, summary in parsers(cli.parser(*cli.COMMANDS)):
        yield f"## {escaped(parser.prog)}\n"
        yield f"{escaped(parser.description or summary.capitalize() + '.')}\n"
        for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
            if action.help and action.help != argparse.SUPPRESS and "-h" not in action.option_strings:
                yield from argument(parser, action)


def parsers(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """The parsers of a parser's commands, and of theirs, each with its summary."""
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                yield command, summaries.get(name, "")
                yield from parsers(command)


def argument(parser: argparse.ArgumentParser, action: argparse.Action) -> Iterator[str]:
    """One argument of a command, as scdoc."""
    formatter = argparse.HelpFormatter(parser.prog, width=10_000)
    names = ", ".join(f"*{escaped(name)}*" for name in action.option_strings)
    value = "" if action.nargs == 0 else f"_{escaped(str(action.metavar or action.dest.upper()))}_"
    yield " ".join(filter(None, [names, value]))
    yield f"\t{escaped(formatter._expand_help(action))}\n"  # noqa: SLF001


def statuses() -> Iterator[str]:
    """The exit codes of edgectl, as scdoc."""
    for code, meaning in re.findall(r"^ +(\d+)  (.*)$", exits.TABLE, re.MULTILINE):
        yield f"*{code}*\n\t{escaped(meaning)}\n"


def escaped(text: str) -> str:
    """Text that scdoc takes for nothing but text."""
    return re.sub(r"([\\*_`#<>~+])", r"\\\1", " ".join(text.split()))
