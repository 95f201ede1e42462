"""The daemon of another architecture, run on this machine through qemu-user in a root of its own."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from cross import emulation
from cross.root import tarball

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from cross.architectures import Architecture


class Root:
    """Debian's files for an architecture, with a daemon that is started in them.

    Args:
        architecture: the daemon's.
        folder: for the root; its path must be short, for the daemon's socket lies below it.
    """

    def __init__(self, architecture: Architecture, folder: Path) -> None:
        self.architecture = architecture
        self.folder = folder
        self.socket = folder / "s"
        self.endpoint = f"ipc://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        unpacked = tarball(architecture, configured=False)
        subprocess.run(["tar", "-x", "--no-same-owner", "-f", unpacked, "-C", folder], check=True)

    def start(self, command: str, timeout: float = 600, **environ: str) -> None:
        """Start a daemon that binds /s, and wait until it has.

        Raises:
            TimeoutError: it doesn't within ``timeout`` seconds.
        """
        # Unpacked packages have no alternatives: Debian's numpy finds its BLAS through them.
        libraries = f"/usr/lib/{self.architecture.triplet}"
        inside = {
            "PATH": "/usr/bin:/bin",
            "LD_LIBRARY_PATH": f"{libraries}/blas:{libraries}/lapack",
            **environ,
        }
        # Without a shell: unpacked packages have those that they depend on, not what is essential.
        self._process = emulation.start(["/usr/sbin/chroot", self.folder, *shlex.split(command)], inside)
        deadline = time.monotonic() + timeout
        while not self.socket.exists():
            if self._process.poll() is not None:
                raise OSError(f"{command!r} ended with {self._process.returncode}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{command!r} didn't bind {self.socket} within {timeout:.0f} s")
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            emulation.stop(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)


def reason() -> str:
    """Why nothing can be emulated here; empty where it can."""
    if os.geteuid() != 0:
        return "emulation takes root"
    release = platform.release()
    if not emulation.registered() and tuple(map(int, re.findall(r"\d+", release)[:2])) < (6, 7):
        return f"emulation takes Linux 6.7, not {release}, or the emulators registered with it"
    missing = [tool for tool in ("mmdebstrap", "qemu-arm-static") if shutil.which(tool) is None]
    return f"no {' and '.join(missing)}: make board installs them" if missing else ""
