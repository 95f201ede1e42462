"""Cross builds: the lock of pinned packages, the gate, and that a build depends on nothing but its inputs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cross.architectures import ARCHITECTURES, ROOT, Architecture
from cross.archive import Archive, ArchiveError, Package
from cross.command import Command
from cross.gate import GateError, Rules, inspect
from cross.sysroot import LOCK, LockError, read_lock, settle, write_lock

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

HOST = subprocess.run(
    ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
).stdout.strip()
GOOD = ["-fPIE", "-pie", "-Wl,-z,relro,-z,now", "-s"]
# Writes an absolute address into the text section, as hand-written assembly without PIC does.
TEXT_RELOCATION = '__asm__(".text\\n.quad main\\n");\nint main(void) { return 0; }\n'


def compiled(folder: Path, *flags: str, source: str = "int main(void) { return 0; }\n") -> list[str]:
    """What the gate says of a program built for this machine with these flags."""
    (folder / "program.c").write_text(source)
    program = folder / "program"
    subprocess.run(["gcc", "program.c", *flags, "-o", program], cwd=folder, check=True)
    return Rules(ARCHITECTURES[HOST], frozenset()).faults(inspect(program))


def test_the_gate_lets_a_good_program_pass(tmp_path: Path) -> None:
    assert compiled(tmp_path, *GOOD) == []


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["-no-pie", "-Wl,-z,relro,-z,now", "-s"], "isn't position independent"),
        (["-fPIE", "-pie", "-Wl,-z,norelro", "-s"], "isn't fully RELRO"),
        (["-fPIE", "-pie", "-Wl,-z,relro,-z,lazy", "-s"], "isn't fully RELRO"),
        ([*GOOD, "-Wl,-z,execstack"], "asks for an executable stack"),
        (GOOD[:-1], "isn't stripped"),
        ([*GOOD, "-Wl,-rpath,/opt/lib"], "has a run path: /opt/lib"),
        ([*GOOD, "-Wl,--no-as-needed", "-lm"], "needs libm.so.6, which the package doesn't depend on"),
    ],
)
def test_the_gate_names_what_is_wrong(tmp_path: Path, flags: list[str], fault: str) -> None:
    assert compiled(tmp_path, *flags) == [fault]


def test_the_gate_finds_text_relocations(tmp_path: Path) -> None:
    assert "has text relocations" in compiled(tmp_path, *GOOD, "-Wl,-z,notext", source=TEXT_RELOCATION)


def test_the_gate_finds_a_newer_c_library(tmp_path: Path) -> None:
    # arc4random came with glibc 2.36.
    source = "unsigned arc4random(void);\nint main(void) { return (int)arc4random(); }\n"
    assert compiled(tmp_path, *GOOD, source=source) == ["needs GLIBC 2.36, newer than 2.34"]


def test_the_gate_finds_a_program_for_another_machine(tmp_path: Path) -> None:
    compiled(tmp_path, *GOOD)
    other = next(name for name in ARCHITECTURES if name != HOST)
    faults = Rules(ARCHITECTURES[other], frozenset({"libzmq.so.5"})).faults(inspect(tmp_path / "program"))
    assert faults[0].startswith("is for EM_")
    assert "isn't linked to libzmq.so.5" in faults


def test_a_program_with_faults_is_an_error_that_names_them_all(tmp_path: Path) -> None:
    compiled(tmp_path, *GOOD[:-1], "-Wl,-rpath,/opt/lib")
    with pytest.raises(GateError, match=r"program: isn't stripped; has a run path: /opt/lib$"):
        Rules(ARCHITECTURES[HOST], frozenset()).check(tmp_path / "program")


@pytest.mark.parametrize("module", ["build", "deb", "sysroot", "wheel"])
def test_an_unknown_architecture_is_refused_by_name(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"cross.{module}", "riscv64"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "'riscv64' is none of amd64, arm64" in done.stderr


def test_all_architectures_are_made_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cross"])
    assert Command("cross", "Test it.").run(lambda architecture, _: architecture.name) == 0
    assert capsys.readouterr().out.split() == ["cross:", "amd64", "cross:", "arm64", "cross:", "armhf"]


def test_what_goes_wrong_is_one_line_and_an_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(architecture: Architecture, _: argparse.Namespace) -> str:
        if architecture.name == "armhf":
            raise GateError("armhf/edged: isn't stripped")
        return f"{architecture.name}/edged"

    monkeypatch.setattr(sys, "argv", ["cross", "arm64", "armhf", "amd64"])
    assert Command("cross", "Test it.").run(make) == 1
    assert capsys.readouterr() == ("cross: arm64/edged\n", "cross: armhf/edged: isn't stripped\n")


def test_the_lock_pins_every_architecture_and_reads_as_it_writes() -> None:
    pinned = read_lock(LOCK.read_text())
    assert set(pinned) == set(ARCHITECTURES)
    assert all({"libc6-dev", "libzmq3-dev"} <= {package.name for package in pinned[name]} for name in pinned)
    assert write_lock(pinned) == LOCK.read_text()


def test_a_damaged_lock_is_named_by_line() -> None:
    with pytest.raises(LockError, match="line 2: want architecture, package, version, SHA-256"):
        read_lock("# comment\narm64 libc6 2.36\n")


class Mirror(Archive):
    """An archive that has one package, in one version."""

    def __init__(self, has: Package) -> None:
        super().__init__("arm64")
        self.has = has

    def present(self, wanted: list[str]) -> dict[str, Package]:
        matches = {self.has.name, f"{self.has.name}={self.has.version}"} & set(wanted)
        return {self.has.name: self.has} if matches else {}


def test_a_vanished_version_is_replaced_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    mirror = Mirror(Package("libzmq5", "4.3.5-1", "b" * 64))
    assert settle(mirror, [Package("libzmq5", "4.3.4-6", "a" * 64)], locked=False) == [mirror.has]
    assert "libzmq5 4.3.4-6 (arm64) vanished from the archive, which has 4.3.5-1" in capsys.readouterr().err


def test_a_vanished_version_is_an_error_when_locked() -> None:
    mirror = Mirror(Package("libzmq5", "4.3.5-1", "b" * 64))
    with pytest.raises(ArchiveError, match=r"vanished.*make sysroots REFRESH=1"):
        settle(mirror, [Package("libzmq5", "4.3.4-6", "a" * 64)], locked=True)


def test_a_package_with_another_hash_is_refused() -> None:
    mirror = Mirror(Package("libzmq5", "4.3.4-6", "b" * 64))
    with pytest.raises(ArchiveError, match=f"the archive says SHA-256 {'b' * 64}, the lock {'a' * 64}"):
        settle(mirror, [Package("libzmq5", "4.3.4-6", "a" * 64)], locked=False)
