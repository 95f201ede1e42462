"""Cross builds of the daemon with Debian's cross compilers and the sysroots.

The result depends on the sources, the pinned packages and the two compilers, not on the folder or the time.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from cross.architectures import ARCHITECTURES, ROOT, Architecture
from cross.archive import ArchiveError
from cross.gate import Rules, inspect
from cross.sysroot import LOCK, install, read_lock

if TYPE_CHECKING:
    from pathlib import Path


class ToolError(Exception):
    """A compiler is missing or failed; the message says what to do."""


def version() -> str:
    """The version of edged, which the Python package holds."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "edged/__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise ToolError("edged/__init__.py: no __version__")
    return found[1]


def environment(architecture: Architecture, pkgconfig: Path | None = None) -> dict[str, str]:
    """The variables that make ``go build`` build for an architecture.

    Args:
        architecture: what to build for.
        pkgconfig: the folder of ``libzmq.pc``; by default Debian's shared libzmq in the sysroot.

    Raises:
        ToolError: the cross compiler isn't installed.
    """
    if shutil.which(architecture.compiler) is None:
        package = f"gcc-{architecture.triplet.replace('_', '-')}"
        raise ToolError(f"{architecture.compiler} is missing: apt-get install {package}")
    sysroot = architecture.sysroot
    # cgo's objects must name neither the sysroot's folder nor that of the sources.
    flags = f"--sysroot={sysroot} -O2 -g0 -ffile-prefix-map={sysroot}= -ffile-prefix-map={ROOT}=edged"
    if pkgconfig:
        # Go's build cache doesn't see what pkg-config says, so the flags tell the two libzmqs apart.
        flags += " -DZMQ_STATIC=1"
    own = {
        **architecture.go,
        "GOOS": "linux",
        "CGO_ENABLED": "1",
        "CC": architecture.compiler,
        "CXX": architecture.compiler.replace("gcc", "g++"),
        "CGO_CFLAGS": flags,
        "CGO_CXXFLAGS": flags,
        "CGO_LDFLAGS": f"--sysroot={sysroot} -Wl,-z,relro,-z,now",
        "PKG_CONFIG_SYSROOT_DIR": "" if pkgconfig else str(sysroot),
        "PKG_CONFIG_LIBDIR": str(pkgconfig or sysroot / "usr/lib" / architecture.triplet / "pkgconfig"),
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        # The toolchain on PATH, whatever go.mod's next version may be.
        "GOTOOLCHAIN": "local",
    }
    return {**os.environ, **own}


def build(architecture: Architecture, output: Path, release: str, pkgconfig: Path | None = None) -> None:
    """Build the daemon, stripped, position independent.

    Raises:
        ToolError: a compiler is missing or found an error.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    linking = f"-s -w -buildid= -linkmode=external -X main.version={release} -extldflags=-Wl,--build-id=none"
    done = subprocess.run(
        ["go", "build", "-buildmode=pie", f"-ldflags={linking}", "-o", output, "."],
        cwd=ROOT / "go_core",
        env=environment(architecture, pkgconfig),
        check=False,
    )
    if done.returncode:
        raise ToolError(f"the build for {architecture.name} failed")


def main() -> int:
    """Build for the architectures named and pass each binary through the gate."""
    parser = argparse.ArgumentParser(description="Build the daemon for boards, and check what came out.")
    parser.add_argument("architecture", nargs="*", help=f"of {', '.join(ARCHITECTURES)}; default: all")
    parser.add_argument("--locked", action="store_true", help="fail where a pinned package vanished")
    parser.add_argument(
        "--release", default=version(), help="the version the daemon reports (default: %(default)s)"
    )
    arguments = parser.parse_args()
    faults = []
    try:
        pinned = read_lock(LOCK.read_text())
        for name in arguments.architecture or ARCHITECTURES:
            architecture = ARCHITECTURES[name]
            install(architecture, pinned.get(name, []), locked=arguments.locked)
            build(architecture, architecture.daemon, arguments.release)
            found = inspect(architecture.daemon)
            print(f"cross: {architecture.daemon.relative_to(ROOT)}: {found}")
            faults += [f"{architecture.daemon}: {fault}" for fault in Rules(architecture).faults(found)]
    except (ArchiveError, ToolError, ValueError) as error:
        print(f"cross: {error}", file=sys.stderr)
        return 1
    for fault in faults:
        print(f"cross: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
