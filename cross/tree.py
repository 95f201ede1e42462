"""The files of the Debian package, laid out as on the board."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from cross import CrossError, manual, vendor
from cross.architectures import ARCHITECTURES, ROOT, Architecture

if TYPE_CHECKING:
    from pathlib import Path

# The board's interpreter: bytecode is of its version, and nothing of another's.
PYTHON = "/usr/bin/python3"
BYTECODE = "3.11"
# What a board has no use for: training needs TensorFlow, the sample's recipe made the sample.
LEFT_OUT = shutil.ignore_patterns("__pycache__", "training", "compose.py", "phrases.toml")
LAUNCHER = '''\
#!/usr/bin/python3
"""Talk to the edged daemon: edgectl --help."""

import sys

sys.path[:0] = ["/usr/lib/edged", "/usr/lib/edged/vendor"]

from edged.cli import main  # noqa: E402

sys.exit(main())
'''


class TreeError(CrossError):
    """A part of the package is missing; the message says what to do."""


def host() -> Architecture:
    """The architecture of this machine, whose daemon can be asked for its defaults."""
    name = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if name not in ARCHITECTURES:
        raise TreeError(f"packages are built on {', '.join(ARCHITECTURES)}, not on {name}")
    return ARCHITECTURES[name]


def stage(architecture: Architecture, tree: Path, epoch: int) -> None:
    """Lay out the package's files below ``tree``.

    Args:
        architecture: what the package is for.
        tree: the folder that stands for the board's root; must not exist.
        epoch: the time of the release, in seconds since 1970.

    Raises:
        TreeError: a part is missing.
        ManualError: a manual page can't be made.
        VendorError: tflite_runtime can't be had.
    """
    if not architecture.daemon.exists():
        raise TreeError(f"no {architecture.daemon.relative_to(ROOT)}: make cross")
    private = tree / "usr/lib/edged"
    put(architecture.daemon, tree / "usr/bin/edged", 0o755)
    write(tree / "usr/bin/edgectl", LAUNCHER, 0o755)
    shutil.copytree(ROOT / "edged", private / "edged", ignore=LEFT_OUT)
    vendor.install(architecture, private / "vendor")
    # For programs of the board's own Python: from edged import Client.
    (tree / "usr/lib/python3/dist-packages").mkdir(parents=True)
    (tree / "usr/lib/python3/dist-packages/edged").symlink_to("../../edged/edged")
    units = ROOT / "systemd"
    for unit in [*units.glob("*.service"), *units.glob("*.socket")]:
        put(unit, tree / "lib/systemd/system" / unit.name)
    put(units / "edged.service.d/tcp.conf", tree / "usr/share/doc/edged/examples/tcp.conf")
    defaults = asked(host().daemon, "--print-default-config")
    write(tree / "etc/edged/edged.toml", defaults)
    manual.install(tree, defaults, epoch)
    normalise(tree)
    compile_bytecode(tree, epoch)


def asked(daemon: Path, option: str) -> str:
    """What the daemon prints for an option."""
    done = subprocess.run([daemon, option], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TreeError(f"{daemon.relative_to(ROOT)} {option}: {done.stderr.strip()}")
    return done.stdout


def put(source: Path, target: Path, mode: int = 0o644) -> None:
    """Copy a file's content to a path in the tree."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def write(target: Path, text: str, mode: int = 0o644) -> None:
    """Write a file of the tree."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def normalise(tree: Path) -> None:
    """Give all files the modes that don't depend on who built them."""
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def compile_bytecode(tree: Path, epoch: int) -> None:
    """Compile the Python files: sources compiled at each start would cost the daemon 8 MB.

    The bytecode is never checked against the sources, whose times an unpacking may change.
    """
    version = subprocess.run(
        [PYTHON, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    if not re.match(rf"{re.escape(BYTECODE)}\.", version):
        raise TreeError(f"{PYTHON} is {version}; the boards' is {BYTECODE}: build on Debian 12")
    subprocess.run(
        [PYTHON, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "-p/", "usr/lib/edged"],
        cwd=tree,
        # References are counted into the bytecode, so the order of sets must not vary.
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(epoch)},
        check=True,
    )
