"""tflite_runtime for a board: Debian has no package of it, so ours carries what its wheel holds."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from cross import CrossError
from cross.architectures import ROOT, Architecture, cache

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENT = ROOT / "packaging" / "tflite-runtime.txt"


class VendorError(CrossError):
    """The wheel can't be had; the message says what to do."""


def wheel(architecture: Architecture) -> Path:
    """The wheel's path, downloaded once and checked against the hashes that ``tflite-runtime.txt`` pins."""
    folder = cache() / "wheels" / architecture.name
    found = list(folder.glob("tflite_runtime-*.whl"))
    if found:
        return found[0]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
    command += [f"--platform={tag}" for tag in architecture.tflite]
    command += [f"--dest={folder}", f"--requirement={REQUIREMENT}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VendorError(f"tflite-runtime for {architecture.name}: {done.stderr.strip()}")
    return next(folder.glob("tflite_runtime-*.whl"))


def install(architecture: Architecture, folder: Path) -> None:
    """Unpack tflite_runtime into a folder, its shared object stripped."""
    with zipfile.ZipFile(wheel(architecture)) as archive:
        archive.extractall(
            folder, [name for name in archive.namelist() if name.startswith("tflite_runtime/")]
        )
    strip = f"{architecture.triplet}-strip"
    if shutil.which(strip) is None:
        package = f"binutils-{architecture.triplet.replace('_', '-')}"
        raise VendorError(f"{strip} is missing: apt-get install {package}")
    for library in folder.rglob("*.so"):
        subprocess.run([strip, "--strip-unneeded", library], check=True)
        library.chmod(0o644)
