"""What systemd does with Restart=always, for one daemon of a test."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from tests.daemon import Daemon


class Supervisor:
    """Starts the daemon again whenever it ends, until the block does. `codes` are its exit codes."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.codes: list[int] = []

    def _run(self) -> None:
        while not self._done.is_set():
            process = self._daemon.process
            if process is not None and process.poll() is not None:
                code = self._daemon.wait()
                self._daemon.start(ready=False)
                self.codes.append(code)
            time.sleep(0.005)

    def ended(self, times: int, timeout: float = 150) -> None:
        """Wait until the daemon has ended so many times, and been started again."""
        deadline = time.monotonic() + timeout
        while len(self.codes) < times:
            assert time.monotonic() < deadline, f"ended {len(self.codes)} times, not {times}"
            time.sleep(0.005)

    def __enter__(self) -> Supervisor:  # noqa: PYI034
        if self._daemon.process is None:
            self._daemon.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
