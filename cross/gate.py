"""The gate: what a daemon's ELF file must look like before it goes into a package."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from cross import CrossError

if TYPE_CHECKING:
    from pathlib import Path

    from cross.architectures import Architecture

MACHINES = {"amd64": "EM_X86_64", "arm64": "EM_AARCH64", "armhf": "EM_ARM"}
# EF_ARM_ABI_FLOAT_HARD of the ARM ELF specification: floating point arguments travel in registers.
HARD_FLOAT = 0x400
# DF_TEXTREL, DF_BIND_NOW and DF_1_NOW of the ELF specification.
TEXTREL, BIND_NOW, NOW_1 = 0x4, 0x8, 0x1
NEWEST_GLIBC = (2, 34)
# The C++ library of systems with that C library (manylinux_2_34).
NEWEST_GLIBCXX = (3, 4, 29)
LARGEST = 8 * 1000 * 1000


class GateError(CrossError):
    """A binary isn't fit for the board; the message says why."""


@dataclass(frozen=True)
class Binary:
    """What the gate reads of an ELF file. Sizes are bytes."""

    machine: str
    hard_float: bool
    interpreter: str
    needed: list[str]
    glibc: tuple[int, ...]
    """The newest GLIBC symbol version it asks for."""
    glibcxx: tuple[int, ...]
    """The newest GLIBCXX symbol version, of the C++ library; (0,) where it needs none."""
    pie: bool
    relro: bool
    """The dynamic section and the GOT are read-only after start (RELRO with BIND_NOW)."""
    text_relocations: bool
    executable_stack: bool
    stripped: bool
    size: int
    run_paths: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        glibc = ".".join(map(str, self.glibc))
        return f"{self.size / 1e6:.2f} MB, GLIBC {glibc}, needs {' '.join(self.needed)}"


def inspect(path: Path) -> Binary:
    """Read an ELF file."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        dynamic = elf.get_section_by_name(".dynamic")
        tags = list(dynamic.iter_tags()) if isinstance(dynamic, DynamicSection) else []
        segments = {segment["p_type"]: segment for segment in elf.iter_segments()}
        flags = {tag.entry.d_tag: tag.entry.d_val for tag in tags}
        stack = segments.get("PT_GNU_STACK")
        interpreter = segments.get("PT_INTERP")
        bound = (
            flags.get("DT_FLAGS", 0) & BIND_NOW
            or flags.get("DT_FLAGS_1", 0) & NOW_1
            or "DT_BIND_NOW" in flags
        )
        return Binary(
            machine=elf["e_machine"],
            hard_float=bool(elf["e_flags"] & HARD_FLOAT),
            interpreter=interpreter.get_interp_name() if interpreter else "",
            needed=sorted(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
            glibc=newest(elf, "GLIBC"),
            glibcxx=newest(elf, "GLIBCXX"),
            pie=elf["e_type"] == "ET_DYN" and interpreter is not None,
            relro="PT_GNU_RELRO" in segments and bool(bound),
            text_relocations="DT_TEXTREL" in flags or bool(flags.get("DT_FLAGS", 0) & TEXTREL),
            executable_stack=stack is None or bool(stack["p_flags"] & 1),
            stripped=elf.get_section_by_name(".symtab") is None
            and elf.get_section_by_name(".debug_info") is None,
            size=path.stat().st_size,
            run_paths=[
                str(getattr(tag, "runpath", getattr(tag, "rpath", "")))
                for tag in tags
                if tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}
            ],
        )


def newest(elf: ELFFile, library: str) -> tuple[int, ...]:
    """The newest LIBRARY_x.y among the versions of symbols needed; (0,) where there is none."""
    section = elf.get_section_by_name(".gnu.version_r")
    versions: list[tuple[int, ...]] = [(0,)]
    if isinstance(section, GNUVerNeedSection):
        names = [auxiliary.name for _, group in section.iter_versions() for auxiliary in group]
        found = [re.fullmatch(rf"{library}_([0-9.]+)", name) for name in names]
        versions += [tuple(map(int, match[1].split("."))) for match in found if match]
    return max(versions)


@dataclass(frozen=True)
class Rules:
    """What is asked of the daemon for one architecture."""

    architecture: Architecture
    libraries: frozenset[str] = frozenset({"libzmq.so.5"})
    """The shared libraries it needs beside the C library's own."""
    allowed: frozenset[str] = frozenset()
    """Those it may need as well."""

    def faults(self, found: Binary) -> list[str]:
        """What is wrong with a binary, one sentence each; empty where nothing is."""
        architecture = self.architecture
        allowed = self.libraries | self.allowed | {"libc.so.6", architecture.interpreter.rpartition("/")[2]}
        strange = sorted(set(found.needed) - allowed)
        missing = sorted(self.libraries - set(found.needed))
        checks = [
            (found.machine == MACHINES[architecture.name], f"is for {found.machine}"),
            (found.hard_float or architecture.name != "armhf", "isn't built for hardware floating point"),
            (
                found.interpreter == architecture.interpreter,
                f"names the loader {found.interpreter or '(none)'}",
            ),
            (not strange, f"needs {' '.join(strange)}, which the package doesn't depend on"),
            (not missing, f"isn't linked to {' '.join(missing)}"),
            (found.glibc <= NEWEST_GLIBC, f"needs GLIBC {'.'.join(map(str, found.glibc))}, newer than 2.34"),
            (
                found.glibcxx <= NEWEST_GLIBCXX,
                f"needs GLIBCXX {'.'.join(map(str, found.glibcxx))}, newer than 3.4.29",
            ),
            (found.pie, "isn't position independent"),
            (found.relro, "isn't fully RELRO"),
            (not found.text_relocations, "has text relocations"),
            (not found.executable_stack, "asks for an executable stack"),
            (found.stripped, "isn't stripped"),
            (not found.run_paths, f"has a run path: {' '.join(found.run_paths)}"),
            (found.size <= LARGEST, f"is {found.size:,} bytes, more than {LARGEST:,}"),
        ]
        return [fault for passed, fault in checks if not passed]

    def check(self, path: Path) -> Binary:
        """Read a binary that must be faultless.

        Raises:
            GateError: something is wrong with it.
        """
        found = inspect(path)
        if faults := self.faults(found):
            raise GateError(f"{path}: {'; '.join(faults)}")
        return found
