"""edgectl as a whole: help, version, what it loads, stats and info, completion, doctor."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edged
from edged.cli import COMMANDS, board, exits
from tests.daemon import BINARY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

EDGECTL = [sys.executable, "-m", "edged.cli"]


def edgectl(
    *arguments: object, endpoint: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("EDGED_")
    } | variables
    if endpoint is not None:
        environment["EDGED_ENDPOINT"] = endpoint
    command = [*EDGECTL, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_version_and_help() -> None:
    assert edgectl("--version").stdout == f"edgectl {edged.__version__}\n"
    done = edgectl("--help")
    assert done.returncode == 0
    for name, summary in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert summary in done.stdout
    assert exits.TABLE in done.stdout
    assert edgectl().returncode == exits.USAGE


def test_the_installed_command_is_this_one() -> None:
    script = shutil.which("edgectl", path=Path(sys.executable).parent)
    assert script is not None
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"edgectl {edged.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_without_loading_zeromq(name: str) -> None:
    code = (
        "import sys\nfrom edged.cli import main\n"
        f"try: main([{name!r}, '--help'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "names = {'zmq', 'numpy', 'tflite_runtime', 'psutil', 'asyncio', 'systemd'}\n"
        "heavy = names.intersection(sys.modules)\n"
        "assert not heavy, heavy\n"
        "others = [module for module in sys.modules if module.startswith('edged.cli.')]\n"
        f"assert 'edged.cli.{name}' in others, others\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: edgectl {name}")


def test_a_command_loads_nothing_of_the_others(shared_daemon: Daemon) -> None:
    code = (
        "import sys\nfrom edged.cli import main\nassert main(['classify', 'good']) == 0\n"
        "print(*(module for module in sys.modules if module.startswith('edged.')), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "EDGED_ENDPOINT": shared_daemon.endpoint},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "edged.cli.classify" in loaded
    for other in set(COMMANDS) - {"classify"}:
        assert f"edged.cli.{other}" not in loaded
    assert loaded.isdisjoint({"edged.aio", "edged.features", "edged.cli.files", "edged.cli.progress"})


@pytest.mark.parametrize("name", ["stats", "info"])
def test_stats_and_info_as_table_and_as_json(name: str, shared_daemon: Daemon) -> None:
    table = edgectl(name, endpoint=shared_daemon.endpoint)
    found = json.loads(edgectl(name, "--json", endpoint=shared_daemon.endpoint).stdout)
    assert (table.returncode, table.stderr) == (0, "")
    lines = {line.split()[0] for line in table.stdout.splitlines() if line.strip()}
    if name == "info":
        assert len(table.stdout.splitlines()) >= len(found)
        assert {"version", "host", "python", "model", "labels"} <= lines & found.keys()
    else:
        assert {"reviews", "queue", "latency", "inference"} <= lines
        assert {"counters", "latency", "queue"} <= found.keys()


def completed_by_bash(script: Path, line: str) -> list[str]:
    """What bash offers at the end of `line`."""
    program = (
        f"source {script}; COMP_WORDS=({line.rstrip()}); "
        + ('COMP_WORDS+=("");' if line.endswith(" ") else "")
        + "COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _edgectl; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The completion script of the shell named as parameter."""
    path = tmp_path / f"edgectl.{request.param}"
    path.write_text(edgectl("completion", request.param).stdout)
    return path


LINES = [
    ("edgectl cl", {"classify"}),
    ("edgectl classify --to ", {"plain", "jsonl", "csv"}),
    ("edgectl classify --res", {"--resume"}),
    ("edgectl completion ", {"bash", "zsh", "fish"}),
    ("edgectl keys rev", {"revoke"}),
]


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash_completes_commands_options_and_values(script: Path) -> None:
    for line, expected in LINES:
        assert set(completed_by_bash(script, line)) == expected, line
    assert set(completed_by_bash(script, "edgectl ")) == set(COMMANDS)
    assert completed_by_bash(script, "edgectl classify --out ") == []  # file names then


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish_completes_commands_options_and_values(script: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed: its completion was not tried (apt install fish)")
    for line, expected in LINES:
        program = f"source {script}; complete -C {line!r}"
        done = subprocess.run(
            ["fish", "--no-config", "-c", program], capture_output=True, text=True, check=True
        )
        assert {entry.split("\t")[0] for entry in done.stdout.splitlines()} == expected, line


ZSH = """
zmodload zsh/zpty
zpty -b shell zsh -f -i
read_until() {{  # what the shell prints until a word is in it, or for forty seconds
    shown=
    for try in {{1..400}}; do
        while zpty -r -t shell output; do shown+=$output; done
        [[ $shown == *$1* ]] && break
        sleep 0.1
    done
}}
zpty -w shell 'PS1="> "; fpath=({folder} $fpath); autoload -U compinit; compinit -D -u'
zpty -w shell 'zstyle ":completion:*" list-prompt ""; LISTMAX=10000; COLUMNS=200'
zpty -w shell 'print is "ready"'
read_until 'is ready'
zpty -w -n shell $'{line}\\t'
read_until '{word}'
sleep 0.2; while zpty -r -t shell output; do shown+=$output; done
print -r -- $shown
"""


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_completes_commands_options_and_values(script: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed: its completion was not tried (apt install zsh)")
    subprocess.run(["zsh", "-n", str(script)], check=True)
    script.rename(script.with_name("_edgectl"))
    for line, word, shown in [
        ("edgectl comp", "completion", "edgectl completion "),
        ("edgectl classify --to ", "jsonl", "jsonl"),
    ]:
        program = ZSH.format(folder=script.parent, line=line, word=word)
        done = subprocess.run(["zsh", "-f", "-c", program], capture_output=True, text=True, check=False)
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout)
        assert shown in plain, (line, plain, done.stderr)


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    assert "Traceback" not in done.stderr, done.stderr
    return {finding["name"]: finding for finding in map(json.loads, done.stdout.splitlines())}


def test_doctor_finds_everything_well(shared_daemon: Daemon) -> None:
    config = shared_daemon.folder / "edged.toml"
    options = ["--json", "--daemon", BINARY, "--config", config]
    done = edgectl("doctor", *options, endpoint=shared_daemon.endpoint)
    found = findings(done)
    assert done.returncode == 0, done.stdout
    assert {finding["state"] for finding in found.values()} <= {"ok", "note"}
    names = {
        "libzmq",
        "socket",
        "daemon",
        "review",
        "config",
        "libmetacall",
        "python",
        "libpython",
        "tflite",
        "model",
    }
    assert names <= found.keys()
    assert "start" not in found  # one that answers need not be started
    text = edgectl("doctor", *options[1:], endpoint=shared_daemon.endpoint).stdout
    assert "ok     daemon       ok; version " in text.replace("ok    ", "ok     ")


def test_doctor_without_a_daemon_tries_a_start(tmp_path: Path) -> None:
    config = tmp_path / "edged.toml"
    config.write_text(f'python = "{sys.executable}"\n')
    done = edgectl("doctor", "--json", "--daemon", BINARY, "--config", config, endpoint="ipc:///tmp/no/such")
    found = findings(done)
    assert done.returncode == exits.UNAVAILABLE
    assert found["socket"]["state"] == "wrong"
    assert "systemctl start edged" in found["socket"]["remedy"]
    assert found["start"]["state"] == "ok", found


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        ("max_batch_sise = 1", "config", "max_batch_sise"),
        ('model = "/no/such.tflite"', "model", "No such file"),
        ('model = "/etc/hostname"', "model", "not a TensorFlow Lite model"),
        ('python = "/no/python"', "python", "does not run"),
        ('libpython = "/no/libpython.so"', "libpython", "/no/libpython.so is not there"),
        ('embed = "metacall"\nmetacall_lib = "/no/libmetacall.so"', "libmetacall", "not in /no"),
        ('handler = "/no/handler.py"', "handler", "/no/handler.py"),
        ('model = "/etc/hostname"', "start", "hostname"),
    ],
)
def test_doctor_names_what_is_wrong(tmp_path: Path, settings: str, name: str, said: str) -> None:
    config = tmp_path / "edged.toml"
    config.write_text(settings + "\n")
    done = edgectl("doctor", "--json", "--daemon", BINARY, "--config", config, endpoint="ipc:///tmp/no/such")
    found = findings(done)
    assert done.returncode == exits.UNAVAILABLE
    assert found[name]["state"] == "wrong", found
    assert said in found[name]["text"]
    assert found[name]["remedy"]


def test_doctor_on_sockets_that_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = edgectl("doctor", "--json", "--daemon", "/bin/false", endpoint=f"ipc://{tmp_path}/file")
    found = findings(done)
    assert "is no socket" in found["socket"]["text"]
    assert "does not run" in found["edged"]["text"]
    done = edgectl("doctor", "--json", "--daemon", "/bin/false", endpoint="nonsense")
    assert "nonsense" in findings(done)["daemon"]["text"]


def test_doctor_tells_a_slow_interpreter_from_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 10\n")
    python.chmod(0o755)
    monkeypatch.setattr(board, "PATIENCE_S", 0.2)
    [found] = board._interpreter(str(BINARY), {"python": str(python)})
    assert (found.state, found.text) == ("wrong", f"{python} did not end within 0.2 s")
    assert "busy" in found.remedy


def test_doctor_as_a_user_who_may_not(make_daemon: Callable[..., Daemon]) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user: permissions were not tried")
    daemon = make_daemon().start()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if subprocess.run([*nobody, *EDGECTL, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("other users cannot read this clone: permissions were not tried")
    for path, mode in ((daemon.folder / "s", 0o600), (daemon.folder, 0o700)):
        daemon.folder.chmod(0o755)
        path.chmod(mode)
        done = subprocess.run(
            [*nobody, *EDGECTL, "doctor", "--json", "--daemon", "/bin/false", "--endpoint", daemon.endpoint],
            capture_output=True,
            text=True,
            check=False,
        )
        socket = findings(done)["socket"]
        assert socket["state"] == "wrong"
        assert "no permission" in socket["text"]
        assert "usermod -aG root" in socket["remedy"]
