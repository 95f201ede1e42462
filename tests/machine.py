"""A machine with a real systemd: Debian booted by systemd-nspawn, with the .deb installed.

Its root comes from mmdebstrap once and is kept under build/; each machine boots from it with changes in
memory only. Commands run in it through nsenter, and the tests' own client reaches its sockets.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "build" / "machine"
SUITE = "bookworm"
# What the package depends on, what boots, and a user that may not do what edged's group may.
PACKAGES = (
    "dbus", "libpython3.11", "libzmq5", "procps", "python3", "python3-numpy", "python3-psutil",
    "python3-systemd", "python3-zmq", "systemd", "systemd-sysv",
)  # fmt: skip
TOOLS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "nsenter": "util-linux"}
# MetaCall is where its own installer puts it, on this system and then in the machine.
METACALL = ("/usr/local/lib", "/usr/local/share/metacall")
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
BOOT_SECONDS = 180
RUN_SECONDS = 180


class MachineError(Exception):
    """A command in the machine failed, or what was waited for did not come."""


class NoMachineError(MachineError):
    """A plain Debian can't be fetched or booted here, edged or not."""


@cache
def missing() -> str | None:
    """Why no machine can run here, or None."""
    if os.geteuid() != 0:
        return "systemd-nspawn needs root"
    for tool, provider in TOOLS.items():
        if shutil.which(tool) is None:
            return f"{tool} is missing: apt-get install {provider}"
    if package() is None:
        return "no dist/edged_*_amd64.deb: make deb"
    return None


def package() -> Path | None:
    """The newest package for this machine."""
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    )
    built = (ROOT / "dist").glob(f"edged_*_{architecture.stdout.strip()}.deb")
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


def base() -> Path:
    """Debian's files with the package's dependencies: made once, a minute, from Debian's archive."""
    tree = CACHE / SUITE
    done = CACHE / f"{SUITE}.packages"
    wanted = " ".join(PACKAGES)
    if done.exists() and done.read_text() == wanted:
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(PACKAGES)}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]
    try:
        made = subprocess.run(
            [*command, SUITE, str(tree)], capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NoMachineError(f"mmdebstrap did not end within {error.timeout:g} s") from None
    if made.returncode:
        raise NoMachineError(f"mmdebstrap failed: {made.stderr.strip()[-2000:]}")
    done.write_text(wanted)
    return tree


class Machine:
    """One boot.

    machine = Machine().open()
    machine.run("systemctl restart edged")
    machine.close()
    """

    def __init__(self) -> None:
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.pid = 0  # of its systemd, as this system sees it
        self.console = CACHE / f"console-{os.getpid()}"

    def open(self) -> Self:
        """Boot it and install the package. Raises `NoMachineError` where that is not edged's fault."""
        tree, deb = base(), package()
        if deb is None:
            raise MachineError("no package: make deb")
        command = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={tree}",
            "--volatile=overlay",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            f"--bind-ro={deb}:/edged.deb",
            *(f"--bind-ro={path}" for path in METACALL if Path(path).exists()),
            "systemd.mask=systemd-networkd.service",
        ]
        with self.console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )
        try:
            self._await_boot()
            self.run("dpkg --install /edged.deb")
        except BaseException:
            self.close()
            raise
        return self

    def _await_boot(self) -> None:
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            if self._nspawn.poll() is not None:
                break
            self.pid = int((children.read_text().split() or ["0"])[-1])
            if self.pid and self.run("systemctl is-system-running", check=False).strip() in {
                "running",
                "degraded",
            }:
                return
            time.sleep(0.1)
        raise NoMachineError(
            f"systemd did not come up in systemd-nspawn:\n{self.console.read_text(errors='replace')}"
        )

    def close(self) -> None:
        """Shut it down; nothing of it stays."""
        if self._nspawn is not None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        self.console.unlink(missing_ok=True)

    def run(
        self, command: str, *, check: bool = True, timeout: float = RUN_SECONDS, user: str | None = None
    ) -> str:
        """Run a shell command as root, or as another user, and give what it wrote to stdout and stderr."""
        switch = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        done = subprocess.run(
            ["nsenter", f"--target={self.pid}", *NAMESPACES, *switch, "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise MachineError(f"{command!r} gave {done.returncode}:\n{done.stdout}")
        return done.stdout

    @property
    def socket(self) -> str:
        """The daemon's unix socket, seen from here, as a ZeroMQ endpoint."""
        return f"ipc://{self.path('/run/edged/edged.sock')}"

    def path(self, path: str) -> Path:
        """A file of the machine, seen from here."""
        return Path(f"/proc/{self.pid}/root{path}")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the machine."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def remove(self, path: str) -> None:
        """Remove a file of the machine, if it is there."""
        self.path(path).unlink(missing_ok=True)

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, as systemctl shows them."""
        shown = self.run(f"systemctl show {unit} --property={','.join(names)}")
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Entries of the journal that match, oldest first: EDGED_EVENT=ready, _PID=..., -u edged."""
        lines = self.run(
            f"journalctl --sync; journalctl --quiet --output=json --all {' '.join(matches)}"
        ).splitlines()
        return [json.loads(line) for line in lines]

    def wait(self, what: str, condition: Callable[[], T], seconds: float = 180) -> T:
        """Wait until a condition gives something true, and give that; what it is for goes into the error."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                log = self.run("journalctl --no-pager -n 60 -u edged", check=False)
                raise MachineError(f"never: {what}\n{log}")
            time.sleep(0.1)
        return value


NEEDS_MACHINE = [
    pytest.mark.skipif(missing() is not None, reason=f"no real systemd here: {missing()}; make service-test"),
    pytest.mark.timeout(1200),  # the first run fetches the machine's Debian
]
"""Marks of a file whose tests run in a machine."""


@contextmanager
def opened() -> Iterator[Machine]:
    """A machine for tests, which are skipped where it is not edged's fault that there is none."""
    try:
        machine = Machine().open()
    except NoMachineError as error:
        pytest.skip(f"no real systemd here: {error}")
    with closing(machine):
        yield machine
