"""Load from real clients with retry, and the account of what each caller saw."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from edged import Client

if TYPE_CHECKING:
    from types import TracebackType

    from edged.errors import EdgedError

# The handler that the faults run against answers a text with itself: whoever gets another's answer notices.
ECHO = """
def process_batch(texts):
    return [(text[:60], 0.5) for text in texts]
"""


class Load:
    """Threads that classify without a break, each review its own; afterwards, what went wrong.

    The handler must answer each text with the text as its label. A call that raises what is not `expected`
    counts as lost, one that returns another's answer, or the wrong number of them, as doubled or swapped.
    """

    def __init__(
        self,
        endpoint: str,
        clients: int = 8,
        timeout: float = 60.0,
        expected: tuple[type[EdgedError], ...] = (),
        **options: Any,
    ) -> None:
        self._expected = expected
        self._endpoint = endpoint
        self._options: dict[str, Any] = {"timeout": timeout, "retries": 100} | options
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        self.calls = 0
        self.faults: list[str] = []

    def _run(self, number: int) -> None:
        made = 0
        try:
            with Client(self._endpoint, **self._options) as client:
                while not self._done.is_set():
                    texts = [f"{number}.{made}.{i}" for i in range(1 + made % 4)]
                    try:
                        answers = [prediction.label for prediction in client.classify(texts)]
                    except self._expected:  # a final result too: the error that the daemon answered with
                        answers = texts
                    made += 1
                    with self._lock:
                        self.calls += 1
                        if answers != texts:
                            self.faults.append(f"asked {texts}, got {answers}")
        except Exception as error:  # noqa: BLE001 - whatever ends a caller is a lost request
            with self._lock:
                self.faults.append(f"client {number}, call {made}: {error!r}")

    def progress(self, calls: int = 20, timeout: float = 60) -> None:
        """Wait until so many more calls have come back: the service is there again."""
        goal, deadline = self.calls + calls, time.monotonic() + timeout
        while self.calls < goal:
            if self.faults or time.monotonic() > deadline:
                raise AssertionError(f"no progress; faults: {self.faults[:3]}")
            time.sleep(0.002)

    def __enter__(self) -> Load:  # noqa: PYI034
        for thread in self._threads:
            thread.start()
        self.progress()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(90)
        alive = sum(thread.is_alive() for thread in self._threads)
        if kind is None:
            assert not alive, f"{alive} callers still wait"
            assert self.faults == []
