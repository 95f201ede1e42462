"""Programs of other architectures on this machine, through qemu-user: whole trees and all their children.

Where the machine doesn't run them anyway, the emulators are registered with the kernel (binfmt_misc) inside a
user namespace that ends with the command, so that nothing of the machine changes. That takes Linux 6.7 or
newer and root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cross import CrossError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REGISTRY = Path("/proc/sys/fs/binfmt_misc")
# What Debian's qemu-user-static would register at boot.
FORMATS = {name: Path(f"/usr/lib/binfmt.d/qemu-{name}.conf") for name in ("aarch64", "arm")}
# Waits until the namespace has its users, registers, and becomes the command.
INSIDE = """
read mapped
set -e
mount -t proc proc /proc
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
for format in aarch64 arm; do
    grep '^:' /usr/lib/binfmt.d/qemu-$format.conf > /proc/sys/fs/binfmt_misc/register
done
exec "$@" < /dev/null
"""


class EmulationError(CrossError):
    """Programs of another architecture can't run here; the message says what to do."""


def registered() -> bool:
    """Say whether this machine runs programs of the other architectures anyway."""
    return all((REGISTRY / f"qemu-{name}").exists() for name in FORMATS)


def start(command: Sequence[str | Path], environ: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command in which, and below which, programs of all architectures run; `stop` ends all of them.

    Raises:
        EmulationError: this machine can't do that.
    """
    if registered():
        return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True)
    absent = [str(path) for path in FORMATS.values() if not path.exists()]
    if absent:
        raise EmulationError(f"no {absent[0]}: apt-get install qemu-user-static")
    if os.geteuid() != 0:
        raise EmulationError(
            "emulation needs root, or the emulators registered: apt-get install binfmt-support"
        )
    unshare = ["unshare", "--user", "--mount", "--pid", "--fork", "--kill-child"]
    process = subprocess.Popen(
        [*unshare, "sh", "-c", INSIDE, "sh", *command],
        stdin=subprocess.PIPE,
        env=environ,
        start_new_session=True,
    )
    outside = Path("/proc/self/ns/user").readlink()
    while Path(f"/proc/{process.pid}/ns/user").readlink() == outside and process.poll() is None:
        time.sleep(0.005)
    for table in ("uid_map", "gid_map"):
        Path(f"/proc/{process.pid}/{table}").write_text("0 0 65536\n")
    if process.stdin:
        process.stdin.write(b"mapped\n")
        process.stdin.close()
        process.stdin = None
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End such a command with all below it: the kernel forgets ``--kill-child`` where credentials change."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(command: Sequence[str | Path], environ: Mapping[str, str] | None = None) -> None:
    """Run such a command to its end.

    Raises:
        EmulationError: it failed, or this machine can't do that.
    """
    process = start(command, environ)
    try:
        process.wait()
    finally:
        stop(process)
    if process.returncode:
        raise EmulationError(f"{command[0]} failed with exit status {process.returncode}")
