"""Work in a process of its own, beside this one: two cores are rarely busy with one stage."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

T = TypeVar("T")


class Beside(Generic[T]):
    """`make`, started at once in a forked process, which sees all that this one has in memory."""

    def __init__(self, make: Callable[[], T]) -> None:
        context: Any = multiprocessing.get_context("fork")
        self._found, there = context.Pipe(duplex=False)
        self._process = context.Process(target=_send, args=(make, there), daemon=True)
        self._process.start()
        there.close()

    def result(self) -> T:
        """What `make` gave; waits for it.

        Raises:
            RuntimeError: It failed; what it printed says why.
        """
        try:
            found: T = self._found.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"a stage's process failed: status {self._process.exitcode}") from None
        self._process.join()
        return found


def _send(make: Callable[[], Any], connection: Connection) -> None:
    connection.send(make())
