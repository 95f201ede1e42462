"""An emulated board: QEMU, Debian's kernel, systemd as PID 1, 512 MB, no network but a port of the host."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from cross.root import kernel, tarball
from tests.board.agent import Agent

if TYPE_CHECKING:
    from pathlib import Path

    from cross.architectures import Architecture

MEMORY = 512
"""MiB."""
DISK = "1200M"
# Loads what the root's disk needs, and leaves the rest to systemd.
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /new
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
for module in virtio_mmio virtio_pci virtio_blk crc32c_generic ext4; do /bin/busybox modprobe $module; done
while ! /bin/busybox mount -t ext4 /dev/vda /new 2>/dev/null; do /bin/busybox sleep 0.1; done
/bin/busybox mount --move /dev /new/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /new /sbin/init
"""
# Where the machine that emulates stands still for a minute, as shared ones may, the board's clock jumps.
# And reviews take so long that batches would be of one each, with less memory than a real board's: a second
# has room for 64.
PATIENCE = """[Service]
WatchdogSec=120s
TimeoutStartSec=300s
TimeoutStopSec=120s
Environment=EDGED_HANDLER_TIMEOUT=120s EDGED_MAX_BATCH_TIME=1s
"""
PATIENT = "etc/systemd/system/edged.service.d/board.conf"
NETWORK = "[Match]\nType=ether\n[Network]\nDHCP=yes\nLinkLocalAddressing=no\n"


class Machine:
    """One board, from power on to power off.

    Args:
        architecture: the board's.
        folder: for the disk, the console's log and the sockets; its path must be short.
        packages: files to lay into the board's /root.
    """

    def __init__(self, architecture: Architecture, folder: Path, packages: list[Path]) -> None:
        self.architecture = architecture
        self.folder = folder
        self.console = folder / "console.log"
        self.boot_seconds = 0.0
        self._packages = packages
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: Agent | None = None
        self.port = free_port()
        """The host's port that leads to port 5555 of the board."""

    @property
    def agent(self) -> Agent:
        """How to run commands in the board."""
        assert self._agent is not None, "the board is off"
        return self._agent

    def start(self, timeout: float = 300, attempts: int = 2) -> Machine:
        """Boot; another time if need be.

        Raises:
            TimeoutError: it boots in none of the attempts; the console's log tells how far it came.
        """
        for attempt in range(1, attempts + 1):
            self._power_on()
            began = time.monotonic()
            try:
                self.agent.wait(timeout)
            except TimeoutError as error:
                self.stop()
                if attempt == attempts:
                    tail = self.console.read_text(errors="replace")[-4000:]
                    raise TimeoutError(f"{error}; its console ends with:\n{tail}") from error
                continue
            self.boot_seconds = time.monotonic() - began
            break
        return self

    def stop(self) -> None:
        """Pull the plug."""
        if self._agent:
            self._agent.close()
            self._agent = None
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _power_on(self) -> None:
        kernels = kernel(self.architecture)
        disk, initrd, agent = self.folder / "disk", self.folder / "initrd", self.folder / "agent"
        make_disk(self.architecture, disk, self._packages)
        make_initrd(kernels, initrd)
        agent.unlink(missing_ok=True)
        bus = "pci" if self.architecture.name == "amd64" else "device"
        command = [*self.architecture.qemu, "-m", str(MEMORY), "-smp", "2"]
        command += ["-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{self.console}"]
        command += ["-kernel", str(kernels / "vmlinuz"), "-initrd", str(initrd)]
        command += ["-append", f"console={self.architecture.console} quiet panic=1"]
        command += ["-drive", f"file={disk},if=none,id=disk,format=raw,cache=unsafe"]
        command += ["-device", f"virtio-blk-{bus},drive=disk"]
        command += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:5555"]
        command += ["-device", f"virtio-net-{bus},netdev=net{',romfile=' if bus == 'pci' else ''}"]
        command += ["-device", f"virtio-rng-{bus}", "-device", f"virtio-serial-{bus}"]
        command += ["-chardev", f"socket,id=agent,path={agent},server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        # A run that is ended from outside takes its board along.
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command])
        while not agent.exists():
            if self._process.poll() is not None:
                raise OSError(f"qemu ended with {self._process.returncode}")
            time.sleep(0.05)
        self._agent = Agent(agent)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_disk(architecture: Architecture, disk: Path, packages: list[Path]) -> None:
    """Make the board's disk from its root's tar file, with the packages in /root."""
    tree = disk.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    subprocess.run(["tar", "-x", "--numeric-owner", "-f", tarball(architecture), "-C", tree], check=True)
    shutil.copytree(kernel(architecture) / "lib/modules", tree / "usr/lib/modules", dirs_exist_ok=True)
    for package in packages:
        shutil.copy(package, tree / "root")
    (tree / "etc/hostname").write_text(f"board-{architecture.name}\n")
    (tree / "etc/fstab").write_text("/dev/vda / ext4 rw 0 1\n")
    (tree / "etc/systemd/network/board.network").write_text(NETWORK)
    (tree / PATIENT).parent.mkdir()
    (tree / PATIENT).write_text(PATIENCE)
    # It would log every question whether a command has ended.
    quiet = tree / "etc/systemd/system/qemu-guest-agent.service.d/quiet.conf"
    quiet.parent.mkdir()
    quiet.write_text("[Service]\nLogLevelMax=warning\n")
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "systemd-networkd.service").symlink_to("/lib/systemd/system/systemd-networkd.service")
    disk.unlink(missing_ok=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, disk, DISK], check=True)
    shutil.rmtree(tree)


def make_initrd(kernels: Path, initrd: Path) -> None:
    """Make the first root, which mounts the disk."""
    tree = initrd.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "bin").mkdir(parents=True)
    shutil.copy(kernels / "busybox", tree / "bin")
    shutil.copytree(kernels / "lib", tree / "lib")
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    names = "\0".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*"))).encode()
    with initrd.open("wb") as file:
        subprocess.run(
            ["cpio", "-0o", "-H", "newc", "--quiet"], cwd=tree, input=names, stdout=file, check=True
        )
    shutil.rmtree(tree)
