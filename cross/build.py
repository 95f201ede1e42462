"""Cross builds of the daemon with Debian's cross compilers and the sysroots.

The result depends on the sources, the pinned packages and the two compilers, not on the folder or the time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from cross import CrossError, sysroot
from cross.architectures import ROOT, Architecture
from cross.command import Command
from cross.gate import Rules

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


class ToolError(CrossError):
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
    root = architecture.sysroot
    # cgo's objects must name neither the sysroot's folder nor that of the sources.
    flags = f"--sysroot={root} -O2 -g0 -ffile-prefix-map={root}= -ffile-prefix-map={ROOT}=edged"
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
        "CGO_LDFLAGS": f"--sysroot={root} -Wl,-z,relro,-z,now",
        "PKG_CONFIG_SYSROOT_DIR": "" if pkgconfig else str(root),
        "PKG_CONFIG_LIBDIR": str(pkgconfig or root / "usr/lib" / architecture.triplet / "pkgconfig"),
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
    command = Command("cross", "Build the daemon for boards, and check what came out.")
    command.parser.add_argument("--locked", action="store_true", help="fail where a pinned package vanished")
    command.parser.add_argument(
        "--release", default=version(), help="the version the daemon reports (default: %(default)s)"
    )

    def make(architecture: Architecture, arguments: argparse.Namespace) -> str:
        sysroot.install(architecture, locked=arguments.locked)
        build(architecture, architecture.daemon, arguments.release)
        return f"{architecture.daemon.relative_to(ROOT)}: {Rules(architecture).check(architecture.daemon)}"

    return command.run(make)


if __name__ == "__main__":
    sys.exit(main())
