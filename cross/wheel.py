"""Wheels that carry the daemon, for x86-64 and aarch64: ``pip install edged`` then gives all of edged.

Such a wheel is the one of pure Python with the daemon added as a script. libzmq is linked into it: of the
system it needs the C and C++ libraries alone and, at run time, libpython of the environment's Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cross import CrossError, libzmq, sysroot
from cross.architectures import ARCHITECTURES, BUILD, ROOT, Architecture
from cross.build import build, version
from cross.command import Command
from cross.deb import source_date
from cross.gate import Rules

if TYPE_CHECKING:
    import argparse

# What the platform's tag promises beside the C library (PEP 600).
ALLOWED = frozenset({"libgcc_s.so.1", "libm.so.6", "libstdc++.so.6"})


class WheelError(CrossError):
    """The wheel can't be made; the message says why."""


def daemon(architecture: Architecture, release: str) -> Path:
    """The daemon with libzmq linked in, checked by the gate."""
    sysroot.install(architecture)
    output = BUILD / "wheel" / architecture.name / "edged"
    build(architecture, output, release, libzmq.install(architecture))
    Rules(architecture, libraries=frozenset(), allowed=ALLOWED).check(output)
    return output


def licences(architecture: Architecture) -> dict[str, Path]:
    """The licences of what is linked into the daemon, by the names they get in the wheel."""
    documents = architecture.sysroot / "usr/share/doc"
    return {
        "daemon.txt": ROOT / "packaging/debian/copyright",
        "libzmq-COPYING.txt": BUILD / "libzmq" / architecture.name / "COPYING",
        "libzmq-COPYING.LESSER.txt": BUILD / "libzmq" / architecture.name / "COPYING.LESSER",
        "libsodium.txt": documents / "libsodium-dev/copyright",
    }


def wheel(architecture: Architecture, release: str, output: Path) -> Path:
    """Make the wheel for an architecture; return its path.

    Raises:
        GateError: the daemon isn't fit for other machines.
        WheelError: a tool failed.
    """
    work = BUILD / "wheel" / architecture.name
    binary = daemon(architecture, release)
    pure = work / "pure"
    shutil.rmtree(pure, ignore_errors=True)
    run("pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={pure}", str(ROOT))
    run("wheel", "unpack", f"--dest={pure}", str(next(pure.glob("*.whl"))))
    tree = next(path for path in pure.iterdir() if path.is_dir())
    scripts = tree / f"{tree.name}.data" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(binary, scripts / "edged")
    information = tree / f"{tree.name}.dist-info"
    names = []
    for name, path in licences(architecture).items():
        shutil.copy(path, information / "licenses" / name)
        names.append(f"License-File: {name}\n")
    edit(information / "METADATA", r"^License-File: LICENSE\n", f"License-File: LICENSE\n{''.join(names)}")
    edit(information / "WHEEL", r"^Root-Is-Purelib: true$", "Root-Is-Purelib: false")
    edit(information / "WHEEL", r"^Tag: .*$", f"Tag: py3-none-{architecture.wheel}")
    output.mkdir(parents=True, exist_ok=True)
    run("wheel", "pack", f"--dest-dir={output}", str(tree))
    return next(output.glob(f"edged-*-{architecture.wheel}.whl"))


def edit(path: Path, pattern: str, replacement: str) -> None:
    """Replace exactly one match in a file."""
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    if count != 1:
        raise WheelError(f"{path.name} of the pure wheel has {count} lines like {pattern}")
    path.write_text(text)


def run(module: str, *arguments: str) -> None:
    """Run a module of this Python's, with the release's time for all files."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(source_date())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WheelError(f"{module} {arguments[0]}: {done.stdout}{done.stderr}")


def main() -> int:
    """Make wheels into a folder."""
    possible = [name for name, architecture in ARCHITECTURES.items() if architecture.wheel]
    command = Command("wheel", "Make the wheels that carry the daemon.", possible)
    command.parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder (default: dist)")

    def make(architecture: Architecture, arguments: argparse.Namespace) -> str:
        made = wheel(architecture, version(), arguments.output)
        return f"{made}: {made.stat().st_size / 1e6:.2f} MB"

    return command.run(make)


if __name__ == "__main__":
    sys.exit(main())
