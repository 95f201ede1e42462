"""The architectures edged is built for, from architectures.toml."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "cross"


def cache() -> Path:
    """The folder for downloads and roots that outlive ``make clean``: EDGED_CACHE, else ``.cache``."""
    return Path(os.environ.get("EDGED_CACHE") or ROOT / ".cache")


@dataclass(frozen=True)
class Architecture:
    """One kind of board."""

    name: str
    """Debian's name of it, as in the package's file name."""
    triplet: str
    """GNU's name, which prefixes the cross tools and names the library folders."""
    go: dict[str, str]
    """Go's environment variables for it."""
    interpreter: str
    """The dynamic loader that a program for it names."""
    wheel: str
    """The platform tag of Python wheels for it, empty where none is built."""
    tflite: list[str]
    """The platform tags of tflite-runtime's wheels that run on it."""
    kernel: str
    """The Debian package of the kernel that emulated boards boot."""
    qemu: list[str]
    """The emulator and its machine."""
    console: str
    """The serial console's device."""

    @property
    def compiler(self) -> str:
        """The C compiler that makes programs for it."""
        return f"{self.triplet}-gcc"

    @property
    def sysroot(self) -> Path:
        """The folder that holds its headers and libraries."""
        return BUILD / "sysroot" / self.name

    @property
    def daemon(self) -> Path:
        """The cross-built daemon."""
        return BUILD / self.name / "edged"


def load() -> dict[str, Architecture]:
    """All architectures by Debian's name."""
    table = tomllib.loads((Path(__file__).parent / "architectures.toml").read_text())
    return {name: Architecture(name=name, **{"wheel": "", **entry}) for name, entry in table.items()}


ARCHITECTURES = load()
