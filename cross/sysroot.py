"""Sysroots: the headers and libraries of each architecture, unpacked from pinned Debian packages.

``packages.lock`` pins name, version and SHA-256 of every package. A version that the archive no longer has
is replaced by the present one with a warning, so that a clean clone goes on building after a Debian point
release; ``--locked`` makes that an error instead. ``--refresh`` writes the lock anew.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cross import CrossError
from cross.architectures import Architecture, cache
from cross.archive import Archive, ArchiveError, Package
from cross.command import Command

if TYPE_CHECKING:
    import argparse

# What the daemon is linked against; libsodium's archive is for the wheels' own libzmq.
WANTED = ["libc6-dev", "libzmq3-dev", "libsodium-dev", "libstdc++-12-dev"]
LOCK = Path(__file__).parent / "packages.lock"
REMEDY = "make sysroots REFRESH=1 pins what the archive has now"
HEADER = "# architecture package version SHA-256, written by: python -m cross.sysroot --refresh\n"


class LockError(CrossError):
    """The lock is damaged; the message says where."""


def read_lock(text: str) -> dict[str, list[Package]]:
    """The pinned packages by architecture.

    Raises:
        LockError: a line doesn't have four fields.
    """
    pinned: dict[str, list[Package]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 4:
            raise LockError(
                f"{LOCK.name}, line {number}: want architecture, package, version, SHA-256; got {line!r}"
            )
        pinned.setdefault(fields[0], []).append(Package(*fields[1:]))
    return pinned


def write_lock(pinned: dict[str, list[Package]]) -> str:
    """The lock file's text."""
    lines = [
        f"{name} {p.name} {p.version} {p.sha256}\n" for name in sorted(pinned) for p in sorted(pinned[name])
    ]
    return HEADER + "".join(lines)


def fetch(archive: Archive, pinned: list[Package], *, locked: bool) -> list[Path]:
    """The files of the pinned packages, from the cache where it has them, checked against their SHA-256."""
    store = cache() / "debs"
    store.mkdir(parents=True, exist_ok=True)
    here = [package for package in pinned if (store / f"{package.sha256}.deb").exists()]
    away = [package for package in pinned if package not in here]
    wanted = here + (settle(archive, away, locked=locked) if away else [])
    missing = [package for package in wanted if not (store / f"{package.sha256}.deb").exists()]
    if missing:
        arrivals = store / f"arriving-{archive.architecture}"
        shutil.rmtree(arrivals, ignore_errors=True)
        arrivals.mkdir()
        archive.download(missing, arrivals)
        sums = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in arrivals.iterdir()}
        for package in missing:
            if package.sha256 not in sums:
                raise ArchiveError(f"{package.name} {package.version}: its SHA-256 isn't {package.sha256}")
            sums[package.sha256].rename(store / f"{package.sha256}.deb")
        shutil.rmtree(arrivals)
    return [store / f"{p.sha256}.deb" for p in wanted]


def settle(archive: Archive, pinned: list[Package], *, locked: bool) -> list[Package]:
    """The packages to use for pinned ones: themselves, or their successors where the archive dropped them.

    Raises:
        ArchiveError: one was dropped and ``locked`` forbids a successor, or has another hash now.
    """
    there = archive.present([f"{package.name}={package.version}" for package in pinned])
    now = archive.present([package.name for package in pinned if package.name not in there])
    for package in pinned:
        if package.name not in {**there, **now}:
            raise ArchiveError(
                f"the archive has no {package.name} for {archive.architecture} any more. {REMEDY}"
            )
        if package.name in now:
            vanished = (
                f"{package.name} {package.version} ({archive.architecture}) vanished from the archive, "
                f"which has {now[package.name].version}"
            )
            if locked:
                raise ArchiveError(f"{vanished}. {REMEDY}")
            print(f"cross: {vanished}: using that. {REMEDY}.", file=sys.stderr)
        elif there[package.name].sha256 != package.sha256:
            raise ArchiveError(
                f"{package.name} {package.version} ({archive.architecture}): the archive says SHA-256 "
                f"{there[package.name].sha256}, the lock {package.sha256}"
            )
    return [{**there, **now}[package.name] for package in pinned]


def unpack(files: list[Path], sysroot: Path) -> None:
    """Make a sysroot anew from package files."""
    shutil.rmtree(sysroot, ignore_errors=True)
    # Debian 12 has merged /usr; not every package knows.
    for folder in ("bin", "lib", "sbin", *(["lib64"] if sysroot.name == "amd64" else [])):
        (sysroot / "usr" / folder).mkdir(parents=True)
        (sysroot / folder).symlink_to(f"usr/{folder}")
    for file in files:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE) as package:
            subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", sysroot],
                stdin=package.stdout,
                check=True,
            )
    for path in sysroot.rglob("*"):
        if path.is_symlink() and (target := path.readlink()).is_absolute():
            path.unlink()
            up = "../" * (len(path.relative_to(sysroot).parts) - 1)
            path.symlink_to(f"{up}{target.relative_to('/')}")


def pins(architecture: Architecture) -> list[Package]:
    """What the lock pins for an architecture.

    Raises:
        LockError: a line of the lock is damaged, or none is for this architecture.
    """
    found = read_lock(LOCK.read_text()).get(architecture.name)
    if not found:
        raise LockError(f"{LOCK.name} pins nothing for {architecture.name}. {REMEDY}")
    return found


def install(architecture: Architecture, *, locked: bool = False) -> Path:
    """Make the sysroot of an architecture, unless it is there already; return its folder.

    Args:
        architecture: whose.
        locked: refuse to replace a pinned version that the archive has dropped.

    Raises:
        ArchiveError: a package can't be had.
        LockError: the lock is damaged.
    """
    wanted = pins(architecture)
    stamp = architecture.sysroot.with_suffix(".stamp")
    if stamp.exists() and stamp.read_text() == write_lock({architecture.name: wanted}):
        return architecture.sysroot
    stamp.unlink(missing_ok=True)
    unpack(fetch(Archive(architecture.name), wanted, locked=locked), architecture.sysroot)
    stamp.write_text(write_lock({architecture.name: wanted}))
    return architecture.sysroot


def refresh(architecture: Architecture) -> None:
    """Pin what the archive has now for an architecture."""
    others = read_lock(LOCK.read_text()) if LOCK.exists() else {}
    LOCK.write_text(write_lock({**others, architecture.name: Archive(architecture.name).closure(WANTED)}))


def main() -> int:
    """Make sysroots, or pin their packages anew."""
    command = Command("cross", "Make the sysroots that cross builds use.")
    command.parser.add_argument("--refresh", action="store_true", help="pin what the archive has now")
    command.parser.add_argument("--locked", action="store_true", help="fail where a pinned version vanished")

    def make(architecture: Architecture, arguments: argparse.Namespace) -> str:
        if arguments.refresh:
            refresh(architecture)
        return f"sysroot {install(architecture, locked=arguments.locked)}"

    return command.run(make)


if __name__ == "__main__":
    sys.exit(main())
