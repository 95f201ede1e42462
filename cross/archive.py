"""Debian packages of any architecture, through apt with a state of its own.

The host's package lists and architectures stay untouched. Packages come from the Debian archives that the
host's own apt uses; apt checks them against the archive's signature.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cross import CrossError
from cross.architectures import cache

if TYPE_CHECKING:
    from pathlib import Path

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class ArchiveError(CrossError):
    """The archive can't give what was asked for; the message says what to do."""


@dataclass(frozen=True, order=True)
class Package:
    """One package file: its name, version and SHA-256 (hexadecimal)."""

    name: str
    version: str
    sha256: str


class Archive:
    """Debian 12's archive, seen from one architecture."""

    def __init__(self, architecture: str) -> None:
        self.architecture = architecture
        self.state = cache() / "apt" / architecture
        self._fresh = False

    def update(self) -> None:
        """Fetch the package lists, once in this object's life."""
        if self._fresh:
            return
        for folder in ("lists/partial", "archives/partial", "etc"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        (self.state / "status").touch()
        (self.state / "etc/sources.list").write_text("\n".join(sources()) + "\n")
        done = self.apt("apt-get", "update", "--quiet", "--error-on=any")
        if done.returncode:
            # A mirror's security index for one architecture may lag behind; the main one is enough.
            kept = [line for line in sources() if f"{SUITE}-security" not in line]
            (self.state / "etc/sources.list").write_text("\n".join(kept) + "\n")
            done = self.apt("apt-get", "update", "--quiet", "--error-on=any")
        if done.returncode:
            raise ArchiveError(f"apt-get update for {self.architecture} failed:\n{done.stderr.strip()}")
        self._fresh = True

    def sources(self) -> list[str]:
        """The lines of sources.list that the archive can be read with now."""
        self.update()
        return (self.state / "etc/sources.list").read_text().splitlines()

    def closure(self, names: list[str]) -> list[Package]:
        """The packages named and all they depend on, at the versions the archive has now."""
        self.update()
        done = self.apt("apt-get", "install", "--print-uris", "--quiet=2", "--no-install-recommends", *names)
        if done.returncode:
            raise ArchiveError(f"{self.architecture}: {done.stderr.strip()}")
        return sorted(self.present(re.findall(r"^'[^']+' ([^_]+)_\S+ ", done.stdout, re.MULTILINE)).values())

    def present(self, wanted: list[str]) -> dict[str, Package]:
        """What the archive has of the packages wanted ("name", or "name=version"), by name."""
        self.update()
        shown = self.apt("apt-cache", "show", "--no-all-versions", *wanted).stdout
        fields = [
            dict(re.findall(r"^(Package|Version|SHA256): (\S+)$", part, re.MULTILINE))
            for part in shown.split("\n\n")
        ]
        packages = [
            Package(part["Package"], part["Version"], part["SHA256"]) for part in fields if "SHA256" in part
        ]
        return {package.name: package for package in packages}

    def download(self, packages: list[Package], folder: Path) -> None:
        """Fetch package files into a folder."""
        self.update()
        names = [f"{package.name}={package.version}" for package in packages]
        done = self.apt("apt-get", "download", "--quiet=2", *names, folder=folder)
        if done.returncode:
            raise ArchiveError(f"{self.architecture}: download failed:\n{done.stderr.strip()}")

    def source(self, name: str, version: str, folder: Path) -> None:
        """Fetch a source package into a folder and unpack it there, patched."""
        self.update()
        binary = self.state / "etc/sources.list"
        sources = binary.read_text()
        binary.write_text(sources + sources.replace("deb [", "deb-src ["))
        self.apt("apt-get", "update", "--quiet")
        done = self.apt("apt-get", "source", "--quiet=2", f"{name}={version}", folder=folder)
        binary.write_text(sources)
        if done.returncode:
            raise ArchiveError(f"source package {name} {version}: {done.stderr.strip()}")

    def apt(self, *command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run an apt program on this state."""
        state = self.state
        options = {
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Sandbox::User": "root",
            "Dir::State": state,
            "Dir::State::Lists": state / "lists",
            "Dir::State::Status": state / "status",
            "Dir::Cache": state,
            "Dir::Cache::Archives": state / "archives",
            "Dir::Etc::SourceList": state / "etc/sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::Etc::Preferences": "-",
            "Dir::Etc::PreferencesParts": "-",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        settings = [f"-o{key}={value}" for key, value in options.items()]
        return subprocess.run(
            [command[0], *settings, *command[1:]],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )


def sources() -> list[str]:
    """Lines for sources.list: the host's own Debian 12 archives, or those below EDGED_DEBIAN_MIRROR.

    Raises:
        ArchiveError: the host's apt has no Debian 12 archive and the variable isn't set.
    """
    mirror = os.environ.get("EDGED_DEBIAN_MIRROR", "").rstrip("/")
    if mirror:
        places = [(f"{mirror}/debian", SUITE), (f"{mirror}/debian", f"{SUITE}-updates")]
        places.append((f"{mirror}/debian-security", f"{SUITE}-security"))
    else:
        shown = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = re.findall(rf"^Debian ({SUITE}\S*) main (\S+)$", shown, re.MULTILINE)
        places = sorted({(uri, codename) for codename, uri in found})
    if not places:
        raise ArchiveError(
            "this host's apt knows no Debian 12 archive. Build on Debian 12, or set EDGED_DEBIAN_MIRROR "
            "to the address whose folders debian/ and debian-security/ mirror it"
        )
    return [f"deb [signed-by={KEYRING}] {uri} {suite} main" for uri, suite in places]
