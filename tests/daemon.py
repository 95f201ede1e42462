"""The real daemon, started and stopped by tests."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

ROOT = Path(__file__).parents[1]
BINARY = Path(os.environ.get("EDGED_TEST_BINARY", ROOT / "build" / "edged"))
METACALL = [Path(folder) / "libmetacall.so" for folder in ("/usr/local/lib", "/gnu/lib")]
NO_METACALL = (
    "MetaCall is not installed: this half of the suite is skipped. "
    "Its own installer puts libmetacall.so under /usr/local/lib (https://github.com/metacall/install)"
)


def has_metacall() -> bool:
    """Say whether libmetacall is where its installers put it, or where EDGED_METACALL_LIB says."""
    named = os.environ.get("EDGED_METACALL_LIB")
    return Path(named).exists() if named else any(path.exists() for path in METACALL)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses, nor gets from the kernel until it is used here.

    The kernel's own choice, for any listener or connection on the machine, is from the range that is avoided.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    avoiding = random.sample(range(10_000, first), 100) if first > 10_100 else []
    for port in [*avoiding, 0]:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port")


class Daemon:
    """One run of build/edged on an ipc socket in a short folder of its own.

    Settings are configuration keys; the daemon reads them from a file, as it would on a board.
    """

    def __init__(self, *, host: str = "auto", env: Mapping[str, str] | None = None, **settings: Any) -> None:
        if not BINARY.exists():
            raise FileNotFoundError(f"{BINARY} is missing; make build builds it")
        self._folder = tempfile.TemporaryDirectory(prefix="edged")  # ipc paths are at most 107 bytes
        self.folder = Path(self._folder.name)
        self.endpoint = f"ipc://{self.folder}/s"
        self.settings: dict[str, Any] = {"endpoints": [self.endpoint], "embed": host, "log_format": "json"}
        self.settings |= settings
        kept = {"EDGED_METACALL_LIB"}  # as `has_metacall` heeds it
        self.env = {
            key: value for key, value in os.environ.items() if not key.startswith("EDGED_") or key in kept
        }
        self.env |= {"EDGED_PYTHON": sys.executable} | dict(env or {})
        self.prefix: list[str] = []  # a program that runs it, with arguments
        self.log_path = self.folder / "log"
        self._log: IO[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """What the daemon has written to stderr, over all its runs."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def handler(self, source: str, name: str = "handler.py") -> str:
        """Write a handler file that only this user may change, and serve with it."""
        path = self.folder / name
        path.write_text(source)
        path.chmod(0o600)
        self.settings["handler"] = str(path)
        return str(path)

    def command(self) -> list[str]:
        """Write the configuration file and give the command line that uses it."""
        config = self.folder / "edged.toml"
        config.write_text("".join(f"{key} = {toml(value)}\n" for key, value in self.settings.items()))
        return [*self.prefix, str(BINARY), "--config", str(config)]

    def start(self, *, ready: bool = True) -> Daemon:
        """Start it, and wait until a review has gone through the whole path."""
        seen = self.log.count('"event":"ready"')
        self._log = self.log_path.open("ab")
        self.process = subprocess.Popen(self.command(), stderr=self._log, stdout=self._log, env=self.env)
        if ready:
            self.says('"event":"ready"', seen + 1)
        return self

    def says(self, text: str, times: int = 1, timeout: float = 100) -> None:
        """Wait until the log holds a text so many times.

        A busy machine may take long: only a daemon that has ended without a word of it fails at once.
        """
        assert self.process is not None
        deadline = time.monotonic() + timeout
        while self.log.count(text) < times:
            code = self.process.poll()
            if code is not None and self.log.count(text) < times:
                raise RuntimeError(f"edged ended with {code} and did not say {text}:\n{self.log}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"edged did not say {text} within {timeout} s:\n{self.log}")
            time.sleep(0.005)

    @contextmanager
    def socket(self, kind: int = zmq.DEALER, **options: Any) -> Iterator[zmq.Socket[bytes]]:
        """Connect a bare ZeroMQ socket, as any language has; `options` are set before."""
        plain: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
        try:
            for name, value in {"linger": 0, "rcvtimeo": 30_000, **options}.items():
                setattr(plain, name, value)
            plain.connect(self.endpoint)
            yield plain
        finally:
            plain.close()

    def wait(self, timeout: float = 100) -> int:
        """Wait for its end and give the exit code."""
        assert self.process is not None
        code = self.process.wait(timeout)
        if self._log is not None:
            self._log.close()
            self._log = None
        return code

    def stop(self, timeout: float = 100) -> int:
        """Drain it with SIGTERM and give the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> int:
        """End it with SIGKILL."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def __enter__(self) -> Self:
        if self.process is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, if it still runs, and remove its folder."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None
        self._folder.cleanup()


def toml(value: Any) -> str:
    """Write a setting as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (int, float)):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
