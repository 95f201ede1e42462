"""The Debian packages: what is in them, what lintian says, and that another build gives the same bytes."""

from __future__ import annotations

import marshal
import os
import re
import shutil
import subprocess
import sys
from types import CodeType
from typing import TYPE_CHECKING

import pytest

from cross.architectures import ARCHITECTURES, ROOT, cache
from cross.gate import MACHINES, inspect
from cross.manual import keys
from cross.tree import host

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 8_000_000
"""Bytes that a board has to download, at most."""
HOST = host().name
TOOLS = ("dh", "lintian", "scdoc", *(ARCHITECTURES[name].compiler for name in ("arm64", "armhf")))

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, TOOLS)), reason="no packaging tools: make deb installs them"
    ),
    pytest.mark.timeout(900),
]


def run(*command: str | Path, cwd: Path = ROOT, **environ: str) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def built(source: Path, output: Path, *architectures: str) -> dict[str, Path]:
    """Cross-build and package a source tree; the packages by architecture."""
    wanted = dict.fromkeys([*architectures, HOST])
    run(sys.executable, "-m", "cross.build", *wanted, cwd=source, EDGED_CACHE=str(cache()))
    options = ["--output", str(output)]
    run(sys.executable, "-m", "cross.deb", *architectures, *options, cwd=source, EDGED_CACHE=str(cache()))
    return {path.stem.rpartition("_")[2]: path for path in output.glob("*.deb")}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages of this tree, by architecture."""
    return built(ROOT, tmp_path_factory.mktemp("debs"), *ARCHITECTURES)


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def package(request: pytest.FixtureRequest, packages: dict[str, Path]) -> Path:
    """Each package in turn."""
    return packages[request.param]


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package's files, unpacked."""
    folder = tmp_path_factory.mktemp(package.stem)
    run("dpkg-deb", "-x", package, folder)
    return folder


def test_lintian_has_nothing_to_say(package: Path) -> None:
    assert run("lintian", "--allow-root", "--fail-on=error,warning,info", package) == ""


def test_overrides_are_used_and_give_their_reasons(package: Path) -> None:
    assert "override" not in run("lintian", "--allow-root", "--display-info", package)
    assert (ROOT / "packaging/debian/edged.lintian-overrides").read_text().startswith("# ")


def test_the_download_is_small(package: Path) -> None:
    assert package.stat().st_size <= LARGEST


def test_it_holds_what_a_board_needs(tree: Path) -> None:
    wanted = """
        usr/bin/edged usr/bin/edgectl etc/edged/edged.toml
        usr/lib/edged/edged/models/edged.tflite usr/lib/edged/edged/embedded/entry.py
        usr/lib/edged/vendor/tflite_runtime/interpreter.py usr/lib/python3/dist-packages/edged/client.py
        lib/systemd/system/edged.service lib/systemd/system/edged.socket lib/systemd/system/edged-tcp.socket
        usr/lib/sysusers.d/edged.conf usr/lib/tmpfiles.d/edged.conf
        usr/share/man/man8/edged.8.gz usr/share/man/man1/edgectl.1.gz usr/share/man/man5/edged.toml.5.gz
        usr/share/bash-completion/completions/edgectl usr/share/doc/edged/copyright
        usr/share/doc/edged/changelog.gz
    """
    assert [path for path in wanted.split() if not (tree / path).exists()] == []
    assert not list(tree.glob("usr/lib/edged/edged/training*"))


def test_binaries_are_for_the_board(package: Path, tree: Path) -> None:
    machine = MACHINES[package.stem.rpartition("_")[2]]
    binaries = [tree / "usr/bin/edged", *tree.rglob("*.so")]
    assert len(binaries) == 2
    assert {inspect(path).machine for path in binaries} == {machine}
    assert all(inspect(path).stripped for path in binaries)


def test_it_depends_on_debians_packages(package: Path) -> None:
    depends = run("dpkg-deb", "-f", package, "Depends")
    for name in (
        "libpython3.11",
        "libzmq5",
        "python3-numpy",
        "python3-psutil",
        "python3-zmq",
        "python3-systemd",
    ):
        assert re.search(rf"(^|, ){re.escape(name)}\b", depends)
    assert "python3 (<< 3.12)" in depends


def test_the_settings_are_a_conffile_with_every_key(package: Path, tree: Path) -> None:
    assert run("dpkg-deb", "-I", package, "conffiles").split() == ["/etc/edged/edged.toml"]
    settings = (tree / "etc/edged/edged.toml").read_text()
    names = re.findall(r"^\*(\S+)\* = ", "\n".join(keys(settings)), re.MULTILINE)
    assert len(names) >= 30
    assert {"endpoints", "memory.limit", "curve.server_key"} <= set(names)


def code_names(code: CodeType) -> set[str]:
    """The files that compiled code names as its source."""
    inner = [code_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return {code.co_filename}.union(*inner)


def test_every_module_is_compiled_for_good_and_named_as_on_the_board(tree: Path) -> None:
    sources = set((tree / "usr/lib/edged").rglob("*.py"))
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        content = compiled.read_bytes()
        # Bit 0: the source's hash, not its time; bit 1: it would be checked (PEP 552).
        assert int.from_bytes(content[4:8], "little") == 0b01, compiled
        assert code_names(marshal.loads(content[16:])) == {f"/{source.relative_to(tree)}"}
    assert len(sources) > 20


def test_the_copyright_names_every_module_in_the_daemon(tree: Path) -> None:
    text = (tree / "usr/share/doc/edged/copyright").read_text()
    modules = re.findall(r"^\s+dep\s+(\S+)", run("go", "version", "-m", tree / "usr/bin/edged"), re.MULTILINE)
    assert len(modules) >= 2
    assert [module for module in modules if module not in text] == []
    used = {
        name for line in re.findall(r"^License: (.*)$", text, re.MULTILINE) for name in line.split(" and ")
    }
    assert {
        name for name in used if not re.search(rf"^License: {re.escape(name)}$", text, re.MULTILINE)
    } == set()


def test_manual_pages_have_no_faults(tree: Path) -> None:
    for page in (tree / "usr/share/man").rglob("*.gz"):
        done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) > 30


@pytest.mark.heavy
def test_daemons_and_packages_of_two_folders_are_byte_identical(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    if run("git", "status", "--porcelain"):
        pytest.skip("uncommitted changes: a clone is of the last commit")
    clone = tmp_path / "another" / "folder"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone)
    again = built(clone, tmp_path / "debs", *ARCHITECTURES)
    for name, architecture in ARCHITECTURES.items():
        daemon = clone / architecture.daemon.relative_to(ROOT)
        assert daemon.read_bytes() == architecture.daemon.read_bytes(), name
        assert again[name].read_bytes() == packages[name].read_bytes(), name
