"""Who may import whom: each rule of the design's rooms fails here when it is broken."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
GO_CORE = ROOT / "go_core"

STRANGERS = ("batcher", "gateway", "memory", "python")  # they meet in main only
PURE = ("batcher", "config", "counters", "features", "memory", "model", "protocol")
CGO = {"edged/gateway", "edged/python"}  # libzmq where the binding falls short; the interpreter
ZEROMQ = "github.com/pebbe/zmq4"
INFERENCE = ("numpy", "tflite_runtime", "ai_edge_litert", "tensorflow")


def go(*arguments: str, **environment: str) -> str:
    run = subprocess.run(
        ["go", *arguments],
        cwd=GO_CORE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@cache
def go_packages() -> dict[str, dict[str, Any]]:
    """Every package of the daemon, by its import path."""
    listing = go("list", "-json=ImportPath,Imports,Deps,CgoFiles", "./...")
    packages = json.loads("[" + listing.replace("}\n{", "},{") + "]")
    return {package["ImportPath"]: package for package in packages}


@pytest.mark.parametrize("room", STRANGERS)
def test_rooms_that_meet_in_main_only(room: str) -> None:
    others = {f"edged/{other}" for other in STRANGERS if other != room}
    assert others.intersection(go_packages()[f"edged/{room}"].get("Deps", [])) == set()


def test_c_in_two_rooms_only() -> None:
    assert {path for path, package in go_packages().items() if package.get("CgoFiles")} == CGO


def test_the_interpreter_s_c_in_its_own_room_only() -> None:
    sources = [path for path in GO_CORE.rglob("*.[gch]*") if path.suffix in {".go", ".c", ".h"}]
    embedding = {path.parent.name for path in sources if "Py_Initialize" in path.read_text("utf-8")}
    assert embedding == {"python"}


def test_zeromq_in_the_gateway_only() -> None:
    users = {path for path, package in go_packages().items() if ZEROMQ in package.get("Imports", [])}
    assert users == {"edged/gateway"}


@pytest.mark.parametrize("room", PURE)
def test_builds_without_cgo(room: str) -> None:
    go("build", f"./{room}", CGO_ENABLED="0")


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after the statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import edged",
        "from edged import Client, AsyncClient",
        "import edged.client, edged.aio",
    ],
)
def test_clients_load_no_inference(statement: str) -> None:
    assert find_spec("numpy"), "nothing is shown where numpy could not be loaded anyway"
    assert loaded_by(statement).intersection(INFERENCE) == set()


def test_what_the_daemon_embeds_loads_no_zeromq() -> None:
    modules = [
        "edged.embedded." + path.stem
        for path in (ROOT / "edged/embedded").glob("*.py")
        if path.stem != "__init__"
    ]
    assert "edged.embedded.entry" in modules
    assert find_spec("zmq"), "nothing is shown where pyzmq could not be loaded anyway"
    assert "zmq" not in loaded_by(f"import {', '.join(modules)}")


@pytest.mark.parametrize("module", ["protocol", "errors"])
def test_standard_library_alone(module: str) -> None:
    assert imports_of(ROOT / f"edged/{module}.py") - sys.stdlib_module_names <= {
        "edged.errors",
        "edged.protocol",
    }


def imports_of(path: Path) -> set[str]:
    """What a module imports anywhere in it: top-level names, but edged's own modules in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name if name.startswith("edged") else name.partition(".")[0] for name in found}


def test_the_client_s_requirements_bring_no_inference() -> None:
    """`pip install edged` must give client and edgectl on any machine, TFLite or not."""
    tomllib = pytest.importorskip("tomllib", reason="reading pyproject.toml needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {requirement.replace("_", "-").lower() for requirement in project["dependencies"]}
    assert names
    assert not [name for name in names if name.startswith(("numpy", "tflite", "ai-edge", "tensorflow"))]
