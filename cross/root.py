"""Roots of emulated boards: Debian 12 with what the package depends on, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from cross import emulation
from cross.architectures import Architecture, cache
from cross.archive import SUITE, Archive, ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

# What a board has before edged arrives. The guest agent is how tests run commands in it.
PACKAGES = [
    "iproute2",
    "kmod",
    "libpython3.11",
    "libzmq5",
    "python3",
    "python3-numpy",
    "python3-psutil",
    "python3-systemd",
    "python3-zmq",
    "qemu-guest-agent",
    "systemd-sysv",
    "udev",
]
UNWANTED = ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*"]
# What a board under QEMU needs of its kernel's modules; a board's own kernel has far more.
MODULES = ["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "ext4"]
MODULES += ["autofs4", "binfmt_misc", "crc32c_generic"]  # ext4 asks for the last one by another name


def tarball(architecture: Architecture, *, configured: bool = True) -> Path:
    """The root as a tar file.

    Args:
        architecture: the board's.
        configured: install the packages, under emulation; False unpacks them only, which takes seconds.

    Raises:
        EmulationError: mmdebstrap failed, or this machine can't emulate.
    """
    kind = "configured" if configured else "unpacked"
    contents = hashlib.sha256(repr((PACKAGES, UNWANTED)).encode()).hexdigest()[:8]
    target = cache() / "roots" / f"{architecture.name}-{kind}-{contents}.tar"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    arriving = target.with_suffix(".arriving")
    archive = Archive(architecture.name)
    command = ["mmdebstrap", "--mode=root", "--format=tar", f"--architectures={architecture.name}"]
    command += ["--skip=check/qemu", f"--variant={'apt' if configured else 'extract'}", "--quiet"]
    command += ["--aptopt=APT::Install-Recommends false", f"--include={','.join(PACKAGES)}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    emulation.run([*command, SUITE, arriving, *archive.sources()])
    return arriving.rename(target)


def kernel(architecture: Architecture) -> Path:
    """A folder with ``vmlinuz`` and the modules below ``lib/modules`` that a board under QEMU needs."""
    target = cache() / "kernels" / architecture.name
    if (target / "vmlinuz").exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    (target / "whole").mkdir(parents=True)
    archive = Archive(architecture.name)
    archive.update()
    shown = archive.apt("apt-cache", "depends", "--important", architecture.kernel).stdout
    found = re.search(r"Depends: (linux-image-\S+)", shown)
    if found is None:
        raise ArchiveError(f"{architecture.kernel} depends on no kernel")
    archive.download([*archive.present([found[1], "busybox-static"]).values()], target)
    for package in target.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, target / "whole"], check=True)
        package.unlink()
    release = next((target / "whole/lib/modules").iterdir()).name
    subprocess.run(["depmod", "-b", target / "whole", release], check=True)
    keep(target / "whole", target, release)
    shutil.copy(target / "whole/bin/busybox", target / "busybox")
    shutil.copy(next((target / "whole/boot").glob("vmlinuz-*")), target / "arriving")
    shutil.rmtree(target / "whole")
    (target / "arriving").rename(target / "vmlinuz")
    return target


def keep(whole: Path, target: Path, release: str) -> None:
    """Copy the modules wanted, and those they need, from a whole kernel package."""
    folder = whole / "lib/modules" / release
    needs = dict(line.split(":", 1) for line in (folder / "modules.dep").read_text().splitlines())
    paths = {path.rpartition("/")[2].partition(".")[0].replace("-", "_"): path for path in needs}
    # Those that are built into the kernel have no file.
    wanted = [paths[name] for name in MODULES if name in paths]
    for path in {*wanted, *(need for name in wanted for need in needs[name].split())}:
        destination = target / "lib/modules" / release / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / path, destination)
    for listing in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        if (folder / listing).exists():
            shutil.copy(folder / listing, target / "lib/modules" / release)
    subprocess.run(["depmod", "-b", target, release], check=True)
