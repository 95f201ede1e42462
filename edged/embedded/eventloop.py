"""asyncio as MetaCall's loader takes it at its start, without asyncio.

The loader starts a thread with an event loop for coroutines. edged calls none, and the loop's modules would
cost every MetaCall daemon 3 MB. So they wait for the first who asks for more than the loader does.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def iscoroutinefunction(function: object) -> bool:
    """As asyncio's, before anybody can have used what that one knows beyond inspect's."""
    inspect: Any = sys.modules["inspect"]  # the loader's first import
    return bool(inspect.iscoroutinefunction(function))


def new_event_loop() -> SleepingLoop:
    """A loop that costs nothing until it is used."""
    return SleepingLoop()


def set_event_loop(loop: object) -> None:
    """Nothing: `SleepingLoop.run_forever` sets the real one."""


class SleepingLoop:
    """An event loop that becomes a real one when anything is asked of it; until then it can only be ended."""

    def __init__(self) -> None:
        self._asleep = allocate_lock()
        self._asleep.acquire()
        self._making = allocate_lock()
        self._real: Any = None

    def run_forever(self) -> None:
        """Sleep; once woken, run the real loop, if that is why."""
        self._asleep.acquire()
        if self._real is not None:
            import asyncio

            asyncio.events.set_event_loop(self._real)
            self._real.run_forever()

    def call_soon_threadsafe(self, callback: Callable[..., Any], *arguments: Any) -> Any:
        """Call in the loop's thread. `stop` ends a loop that still sleeps."""
        if self._real is None and callback == self.stop:
            self._asleep.release()
            return None
        return self._awake().call_soon_threadsafe(callback, *arguments)

    def stop(self) -> None:
        """Stop the real loop, in its own thread."""
        self._real.stop()

    async def shutdown_asyncgens(self) -> None:
        """Close the real loop's asynchronous generators; a sleeping one has none."""
        if self._real is not None:
            await self._real.shutdown_asyncgens()

    def run_until_complete(self, coroutine: Any) -> Any:
        """Run a coroutine in the real loop. What the loader runs in one that slept has nothing to do."""
        if self._real is not None:
            return self._real.run_until_complete(coroutine)
        coroutine.close()
        return None

    def close(self) -> None:
        """Close the real loop."""
        if self._real is not None:
            self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._awake(), name)

    def _awake(self) -> Any:
        with self._making:
            if self._real is None:
                import asyncio

                self._real = asyncio.events.new_event_loop()  # this module has no `events`: asyncio runs
                self._asleep.release()
        return self._real
