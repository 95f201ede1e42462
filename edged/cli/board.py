"""The daemon's side of `edgectl doctor`: config, interpreter, MetaCall, TFLite, model, a short start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import edged
from edged.cli.findings import NOTE, OK, WRONG, Finding
from edged.modelfile import DESCRIPTION, ModelFileError, read_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METACALL_FOLDERS = ("/usr/local/lib", "/gnu/lib")
# A slow board takes 20 s to start an interpreter with all its packages, a busy one longer.
PATIENCE_S = 120
PROBE = """
import json, os, sys, sysconfig
found = {"version": sys.version.split()[0], "errors": {}}
folder, name = sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or ""
triplet = sysconfig.get_config_var("MULTIARCH") or ""
places = [os.path.join(folder, name), os.path.join(folder, triplet, name)]
found["libpython"] = next((place for place in places if ".so" in name and os.path.isfile(place)), None)
for module in ("numpy", "tflite_runtime.interpreter", "ai_edge_litert.interpreter", "edged.embedded.entry"):
    try:
        __import__(module)
        found[module] = getattr(sys.modules[module.split(".")[0]], "__version__", "")
    except BaseException as error:
        found["errors"][module] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(found))
"""


def findings(binary: str, config_path: str | None, *, dry_run: bool) -> Iterator[Finding]:
    """What is found around the daemon `binary`; `dry_run` starts it, on a socket of its own."""
    version = _run([binary, "--version"])
    if version is None or version.returncode:
        yield Finding(WRONG, "edged", f"{binary} does not run", "is it built for this machine?")
        return
    yield Finding(OK, "edged", f"{version.stdout.strip()} ({binary})")
    options = ["--config", config_path] if config_path else []
    checked = _run([binary, *options, "--check-config"])
    if checked is None or checked.returncode:
        yield _failure("config", checked)
        return
    config = _settings(checked.stdout)
    yield Finding(OK, "config", config_path or _default_config())
    yield _metacall(config)
    yield from _interpreter(binary, config)
    yield _model(config)
    if dry_run:
        yield _start(binary, options)


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(  # noqa: S603 - the daemon and its interpreter
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _failure(name: str, done: subprocess.CompletedProcess[str] | None) -> Finding:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] if done else []
    message = lines[0].removeprefix("edged: ") if lines else "no answer in time"
    remedy = " ".join(line.removeprefix("remedy: ") for line in lines[1:])
    return Finding(WRONG, name, message, remedy or "see `edged --help`")


def _settings(text: str) -> dict[str, Any]:
    """What `edged --check-config` printed, as `table.key`; its scalars and lists are JSON too."""
    settings: dict[str, Any] = {}
    table = ""
    for line in text.splitlines():
        key, equals, value = line.partition(" = ")
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif equals and not line.startswith("#"):
            try:
                settings[table + key] = json.loads(value)
            except ValueError:
                settings[table + key] = value
    return settings


def _default_config() -> str:
    path = Path("/etc/edged/edged.toml")
    return str(path) if path.exists() else "the defaults (there is no /etc/edged/edged.toml)"


def _metacall(config: Mapping[str, Any]) -> Finding:
    named = config.get("metacall_lib") or os.environ.get("EDGED_METACALL_LIB")
    folders = [*filter(None, os.environ.get("LOADER_LIBRARY_PATH", "").split(":")), *METACALL_FOLDERS]
    places = [Path(named)] if named else [Path(folder) / "libmetacall.so" for folder in folders]
    found = next((place for place in places if place.exists()), None)
    if found:
        return Finding(OK, "libmetacall", str(found))
    needed = config.get("embed") == "metacall"
    return Finding(
        WRONG if needed else NOTE,
        "libmetacall",
        "not in " + ", ".join(str(place.parent) for place in places),
        'install MetaCall (https://github.com/metacall/install), or set embed = "cpython"'
        if needed
        else "not needed: the daemon then embeds CPython itself",
    )


def _interpreter(binary: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    beside = Path(binary).resolve().parents[1]
    python = config.get("python") or next(
        (str(path) for path in _candidates(beside) if path.exists()), "/usr/bin/python3"
    )
    folders = [beside / "lib" / "edged", beside / "lib" / "edged" / "vendor", beside]
    path = os.pathsep.join([*config.get("python_path", ()), *map(str, folders)])
    done = _run(["env", f"PYTHONPATH={path}", python, "-c", PROBE])
    if done is None:
        slow = f"{python} did not end within {PATIENCE_S} s"
        yield Finding(WRONG, "python", slow, "the machine is busy or its storage slow: try again")
        return
    if done.returncode:
        yield Finding(WRONG, "python", f"{python} does not run", "apt install python3, or set `python`")
        return
    found = json.loads(done.stdout)
    yield Finding(OK, "python", f"{found['version']} ({python})")
    yield _libpython(found["libpython"], config)
    yield from _packages(found)


def _candidates(beside: Path) -> Iterator[Path]:
    """Where the daemon looks before the system's: its project's environment, beside itself, the active's."""
    yield beside / ".venv" / "bin" / "python3"
    yield beside / "bin" / "python3"
    packaged = (beside / "lib" / "edged" / "edged" / "embedded" / "entry.py").exists()
    if "VIRTUAL_ENV" in os.environ and not packaged:
        yield Path(os.environ["VIRTUAL_ENV"]) / "bin" / "python3"


def _libpython(found: str | None, config: Mapping[str, Any]) -> Finding:
    configured = config.get("libpython")
    library = configured or found
    if library and Path(library).exists():
        return Finding(OK, "libpython", library)
    where = f"{configured} is not there" if configured else "the interpreter brings no shared library"
    return Finding(WRONG, "libpython", where, "apt install libpython3.11, or set `libpython` in the config")


def _packages(found: Mapping[str, Any]) -> Iterator[Finding]:
    runtimes = ("tflite_runtime.interpreter", "ai_edge_litert.interpreter")
    runtime = next((name for name in runtimes if name in found), None)
    if runtime:
        yield Finding(OK, "tflite", f"{runtime.split('.')[0]} {found[runtime]}".strip())
    else:
        remedy = "pip install 'edged[daemon]' into that interpreter's environment"
        yield Finding(WRONG, "tflite", found["errors"][runtimes[0]], remedy)
    for module, remedy in (
        ("numpy", "pip install 'numpy<2' into that interpreter's environment"),
        ("edged.embedded.entry", "install the edged package for that interpreter, or set python_path"),
    ):
        if module in found["errors"]:
            yield Finding(WRONG, module.split(".")[0], found["errors"][module], remedy)


def _model(config: Mapping[str, Any]) -> Finding:
    if config.get("handler"):
        path = Path(config["handler"])
        state = OK if os.access(path, os.R_OK) else WRONG
        return Finding(state, "handler", str(path), "" if state == OK else "check path and permissions")
    path = Path(config.get("model") or Path(edged.__file__).parent / "models" / "edged.tflite")
    try:
        described = json.loads(bytes(read_metadata(path.read_bytes())[DESCRIPTION]))
    except (OSError, ModelFileError, KeyError, ValueError) as error:
        return Finding(WRONG, "model", f"{path}: {error}", "install edged again, or set `model`")
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    return Finding(OK, "model", f"{described.get('name')} {described.get('version')}, {size} ({path})")


def _start(binary: str, options: list[str]) -> Finding:
    """Start the daemon with its real config on a socket of its own, until it is ready or has said why not."""
    with tempfile.TemporaryDirectory(prefix="edged") as folder:
        log = Path(folder) / "log"
        command = [binary, *options, "--endpoints", f"ipc://{folder}/s", "--stats-endpoint", ""]
        command += ["--metrics-listen", "", "--log-format", "json"]
        with (
            log.open("wb") as file,
            subprocess.Popen(  # noqa: S603
                command, stdout=file, stderr=file
            ) as process,
        ):
            try:
                return _watch(process, log)
            finally:
                process.send_signal(signal.SIGTERM)


def _watch(process: subprocess.Popen[bytes], log: Path) -> Finding:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        for line in log.read_text(errors="replace").splitlines():
            event = _event(line)
            if event.get("event") == "ready":
                return Finding(OK, "start", "starts and gets ready with this config", "systemctl start edged")
            if event.get("event") == "start_failed":
                message, _, remedy = str(event.get("error")).partition("\n")
                return Finding(WRONG, "start", message, " ".join(remedy.split()) or "see above")
        if ended:
            said = log.read_text(errors="replace").strip().splitlines()
            last = said[-1] if said else "nothing was said"
            return Finding(WRONG, "start", f"ended with {process.returncode}: {last}", "see above")
        time.sleep(0.05)
    return Finding(WRONG, "start", f"not ready after {PATIENCE_S} s", "see the daemon's log")


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
