"""edgectl completion: a script that completes edgectl's words in bash, zsh or fish.

The script is made from the argument parsers, so it knows what they know; nothing of edgectl runs at a TAB.
"""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, NamedTuple

from edged.cli import COMMANDS, exits
from edged.cli import parser as edgectl_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL = """install it with one of:
  edgectl completion bash > /etc/bash_completion.d/edgectl
  edgectl completion zsh > "${fpath[1]}/_edgectl"
  edgectl completion fish > ~/.config/fish/completions/edgectl.fish
"""


class Option(NamedTuple):
    """An option: its spellings, what it is for, and what may follow it (None: nothing)."""

    words: list[str]
    help: str
    choices: list[str] | None  # an empty list: a value of any kind, maybe a file

    @property
    def takes_value(self) -> bool:
        """Whether the next word belongs to it."""
        return self.choices is not None


class Command(NamedTuple):
    """A command, "keys allow" say; "" is edgectl itself."""

    path: str
    help: str
    options: list[Option]
    subcommands: dict[str, str]  # with their help
    words: list[str]  # that its arguments may be


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl completion`."""
    parser.epilog = INSTALL
    parser.add_argument("shell", choices=list(SCRIPTS))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    commands = list(_commands("", "", edgectl_parser(*COMMANDS), COMMANDS))
    print(SCRIPTS[args.shell](commands))
    return exits.OK


def _commands(
    path: str, help_text: str, parser: argparse.ArgumentParser, summaries: dict[str, str]
) -> Iterator[Command]:
    """The command of `parser`, then those below it."""
    options, words, below = [], [], {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to look at a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {pseudo.dest: pseudo.help or "" for pseudo in action._choices_actions}  # noqa: SLF001
            below = {
                name: (child, summaries.get(name) or helps.get(name, ""))
                for name, child in action.choices.items()
            }
        elif action.option_strings:
            choices = None if action.nargs == 0 else [str(choice) for choice in action.choices or ()]
            options.append(Option(list(action.option_strings), _one_line(action), choices))
        else:
            words += [str(choice) for choice in action.choices or ()]
    subcommands = {name: text for name, (_, text) in below.items()}
    yield Command(path, help_text, options, subcommands, words)
    for name, (child, text) in below.items():
        yield from _commands(f"{path} {name}".strip(), text, child, {})


def _one_line(action: argparse.Action) -> str:
    text = action.help if action.help and action.help != argparse.SUPPRESS else ""
    return (text % {"default": action.default, "prog": "edgectl"}).replace("\n", " ")


def _bash(commands: list[Command]) -> str:
    paths = "\n".join(
        f"            {shlex.quote(f'{command.path}/{name}')})"
        f" path={shlex.quote(f'{command.path} {name}'.strip())} ;;"
        for command in commands
        for name in command.subcommands
    )
    values = "\n".join(
        f"        {'|'.join(shlex.quote(f'{command.path}/{word}') for word in option.words)})"
        f" words={shlex.quote(' '.join(option.choices or ()))} ;;"
        for command in commands
        for option in command.options
        if option.takes_value
    )
    words = "\n".join(_bash_words(command) for command in commands)
    return f"""# bash completion for edgectl
_edgectl() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} path= words= options= word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$path/$word" in
{paths}
        esac
    done
    case "$path/$prev" in
{values}
        *) case "$path" in
{words}
        esac ;;
    esac
    [[ $cur == -* ]] && words=$options
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
# Where no word fits, file names do.
complete -o default -F _edgectl edgectl"""


def _bash_words(command: Command) -> str:
    words = shlex.quote(" ".join([*command.subcommands, *command.words]))
    options = shlex.quote(" ".join(word for option in command.options for word in option.words))
    return f"        {shlex.quote(command.path)}) words={words} options={options} ;;"


def _fish(commands: list[Command]) -> str:
    lines = ["# fish completion for edgectl"]
    for command in commands:
        condition = _fish_condition(command)
        start = f"complete -c edgectl -n {shlex.quote(condition)}"
        lines += [
            f"{start} -f -a {name} -d {_fish_quote(text)}" for name, text in command.subcommands.items()
        ]
        lines += [f"{start} -f -a {word}" for word in command.words]
        lines += [_fish_option(start, option) for option in command.options]
    return "\n".join(lines)


def _fish_condition(command: Command) -> str:
    seen = [f"__fish_seen_subcommand_from {name}" for name in command.path.split()]
    if command.subcommands:
        seen.append(f"not __fish_seen_subcommand_from {' '.join(command.subcommands)}")
    return "; and ".join(seen) or "true"


def _fish_option(start: str, option: Option) -> str:
    for word in option.words:
        start += f" -l {word[2:]}" if word.startswith("--") else f" -s {word[1:]}"
    if option.choices:
        start += f" -xa {shlex.quote(' '.join(option.choices))}"
    elif option.takes_value:
        start += " -r"
    return f"{start} -d {_fish_quote(option.help)}"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _zsh(commands: list[Command]) -> str:
    functions = "\n".join(_zsh_function(command) for command in commands)
    return f'#compdef edgectl\n{functions}\n_edgectl "$@"'


def _zsh_name(path: str) -> str:
    return "_".join(["_edgectl", *path.split()])


def _zsh_function(command: Command) -> str:
    specs = [spec for option in command.options for spec in _zsh_option(option)]
    lines = [f"{_zsh_name(command.path)}() {{"]
    if command.subcommands:
        names = " ".join(_zsh_quote(f"{name}:{text}") for name, text in command.subcommands.items())
        cases = " ".join(f"{name}) {_zsh_name(f'{command.path} {name}')} ;;" for name in command.subcommands)
        lines += [
            "    local context state state_descr line",
            "    typeset -A opt_args",
            f"    _arguments -C {' '.join(specs)} '1: :->command' '*:: :->rest'",
            "    case $state in",
            f"        command) local -a names=({names}); _describe -t commands 'edgectl command' names ;;",
            f"        rest) case $line[1] in {cases} esac ;;",
            "    esac",
        ]
    else:
        rest = f"*: :({' '.join(command.words)})" if command.words else "*: :_files"
        lines.append(f"    _arguments {' '.join([*specs, _zsh_quote(rest)])}")
    return "\n".join([*lines, "}"])


def _zsh_option(option: Option) -> Iterator[str]:
    value = (
        ""
        if not option.takes_value
        else f": :({' '.join(option.choices)})"
        if option.choices
        else ": :_files"
    )
    text = option.help.replace("[", "(").replace("]", ")").replace(":", " -")
    for word in option.words:
        yield _zsh_quote(f"{word}[{text}]{value}")


def _zsh_quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
