"""What is measured: each a server on an ipc socket in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.bench import MODEL, load, memory
from tests.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType


class Server:
    """A process that answers request bodies. A context manager; `launch` alone does not wait for it."""

    def __init__(self, arguments: Sequence[str], *, cpus: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edged")
        self.folder = Path(self._folder.name)
        self.endpoint = f"ipc://{self.folder}/s"
        self.command = [*pin(cpus), *(word.format(endpoint=self.endpoint) for word in arguments)]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id, of the parent where there are several."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the process."""
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            self.command, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def __enter__(self) -> Server:  # noqa: PYI034 - Self is not in Python 3.9's typing
        self.launch()
        one = load.write_bodies(self.folder / "first", ["Is anybody there?"])
        load.run(load.command(self.endpoint, one, warmup=0, messages=1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            with suppress(ProcessLookupError):  # some servers leave their workers behind
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._log is not None:
            self._log.close()
        self._folder.cleanup()


class Edged(Server):
    """The daemon. Settings are configuration keys; what is not given is as shipped."""

    def __init__(self, *, host: str = "auto", cpus: str = "", **settings: Any) -> None:
        self._daemon = Daemon(host=host, **{"model": str(MODEL), **settings})
        super().__init__([], cpus=cpus)
        self.endpoint = self._daemon.endpoint
        line = self._daemon.command()
        self._daemon.command = lambda: [*pin(cpus), *line]  # type: ignore[method-assign]

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self._daemon.pid

    def launch(self) -> None:
        """Start the process and wait until it is ready: before, it answers that it is not."""
        self._daemon.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._daemon.stop()
        self._daemon.close()
        self._folder.cleanup()


def pin(cpus: str) -> list[str]:
    """The command that keeps a process on the given cores."""
    return ["taskset", "-c", cpus] if cpus else []


def c_echo(cpus: str = "") -> Server:
    """The bare libzmq echo."""
    return Server([str(load.BUILT / "echo"), "{endpoint}"], cpus=cpus)


def go_echo(cpus: str = "") -> Server:
    """The echo in Go."""
    return Server([str(load.BUILT / "goecho"), "{endpoint}"], cpus=cpus)


def python_single(*extra: str) -> Server:
    """The experiment's first baseline."""
    return Server([sys.executable, "-m", "edged.baselines", "single", "--endpoint", "{endpoint}", *extra])


def python_multiprocessing(workers: int, *extra: str) -> Server:
    """The experiment's second baseline."""
    kind = ["multiprocessing", "--workers", str(workers)]
    return Server([sys.executable, "-m", "edged.baselines", *kind, "--endpoint", "{endpoint}", *extra])


def held(server: Server, bodies: Path, **options: Any) -> dict[str, float]:
    """One run of the generator, and the PSS a moment after it with its clients still connected.

    The next run comes within the two seconds after which a quiet daemon gives memory back: what that takes
    and another run brings back is no growth.
    """
    line = load.command(server.endpoint, bodies, seconds=3600, warmup=0, **options)
    with subprocess.Popen([*line, "--hold=1"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = load.parse(process.stdout.readline())
        time.sleep(0.8)
        pss = memory.read(server.pid).pss
    return {"seconds": run.seconds, "per_second": run.per_second, "pss": pss}
