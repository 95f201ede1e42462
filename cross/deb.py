"""Debian packages for the boards, put together by debhelper from packaging/debian.

The same commit gives the same bytes: files and changelog carry the commit's time, unless SOURCE_DATE_EPOCH
gives another.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from email.utils import formatdate
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from cross.architectures import ROOT, Architecture
from cross.build import version
from cross.command import Command
from cross.tree import TreeError, stage

if TYPE_CHECKING:
    import argparse

PACKAGING = ROOT / "packaging"
WORK = ROOT / "build" / "deb"
MAINTAINER = re.compile(r"^Maintainer: (.+)$", re.MULTILINE)


def source_date() -> int:
    """The release's time, in seconds since 1970: SOURCE_DATE_EPOCH, else the last commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    shown = ["git", "log", "-1", "--format=%ct"]
    return int(subprocess.run(shown, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def changelog(release: str, epoch: int) -> str:
    """debian/changelog, with what CHANGELOG.md says of the release."""
    whole = (ROOT / "CHANGELOG.md").read_text()
    found = re.search(rf"^## \[{re.escape(release)}\].*?\n(.*?)(?=^## |\Z)", whole, re.MULTILINE | re.DOTALL)
    items = re.findall(r"^- (.*(?:\n  .*)*)", found[1] if found else "", re.MULTILINE) or [
        "See CHANGELOG.md."
    ]
    lines = [
        fill(" ".join(item.split()), 78, initial_indent="  * ", subsequent_indent="    ") for item in items
    ]
    maintainer = MAINTAINER.findall((PACKAGING / "debian/control").read_text())[0]
    signature = f" -- {maintainer}  {formatdate(epoch)}\n"
    return "\n".join([f"edged ({release}) stable; urgency=medium\n", *lines, "", signature])


def package(architecture: Architecture, release: str, epoch: int) -> Path:
    """Build one package; return its path.

    Raises:
        TreeError: a part of the package is missing, or debhelper failed.
        VendorError: tflite_runtime can't be had.
    """
    source = WORK / f"{architecture.name}-{release}" / f"edged-{release}"
    shutil.rmtree(source.parent, ignore_errors=True)
    shutil.copytree(PACKAGING / "debian", source / "debian")
    (source / "debian/changelog").write_text(changelog(release, epoch))
    for kind in ("sysusers", "tmpfiles"):
        shutil.copy(ROOT / f"systemd/{kind}.conf", source / f"debian/edged.{kind}")
    for document in ("README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / document, source)
    stage(architecture, source / "tree", epoch)
    # debhelper makes younger files as old as the release, but leaves older ones alone.
    for path in source.rglob("*"):
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    done = subprocess.run(
        ["dpkg-architecture", f"--host-arch={architecture.name}", "--command", "debian/rules binary"],
        cwd=source,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(epoch)},
        capture_output=True,
        text=True,
        check=False,
    )
    built = source.parent / f"edged_{release}_{architecture.name}.deb"
    if done.returncode or not built.exists():
        raise TreeError(f"debhelper failed for {architecture.name}:\n{done.stdout}{done.stderr}")
    return built


def main() -> int:
    """Build packages into a folder."""
    command = Command("deb", "Build Debian packages from what make cross built.")
    command.parser.add_argument(
        "--release", default=version(), help="the package's version (default: %(default)s)"
    )
    command.parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder (default: dist)")

    def make(architecture: Architecture, arguments: argparse.Namespace) -> str:
        arguments.output.mkdir(parents=True, exist_ok=True)
        built = package(architecture, arguments.release, source_date())
        target = Path(shutil.copy(built, arguments.output))
        return f"{target}: {target.stat().st_size / 1e6:.2f} MB"

    return command.run(make)


if __name__ == "__main__":
    sys.exit(main())
