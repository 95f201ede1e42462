"""The asyncio client: the same calls, awaited, and as many at once as you like."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, Union, overload

import zmq.asyncio

from edged import bulk, connection
from edged.calls import Call, Calls
from edged.errors import ClosedError, EdgedError, ReplyNotUnderstood

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from edged.protocol import Prediction, Reply

    Texts = Union[Iterable[str], AsyncIterable[str]]


class AsyncClient:
    """Scores reviews with an edged daemon, from asyncio.

        async with AsyncClient() as client:
            print(await client.classify("Bright cherry, long finish."))

    Any number of tasks of one event loop may share a client. Cancelling a call gives it up; the others go on.
    Arguments and errors are those of `edged.Client`.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        timeout: float = 10.0,
        retries: int = 3,
        server_key: str | os.PathLike[str] | None = None,
        client_key: connection.ClientKey | None = None,
        context: zmq.asyncio.Context | None = None,
    ) -> None:
        self._connection = connection.Connection(endpoint, server_key, client_key)
        self._calls = Calls(timeout, retries, self._connection.no_answer)
        self._context = context or zmq.asyncio.Context.instance()
        self._closed = False
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def endpoint(self) -> str:
        """Where the daemon listens."""
        return self._connection.endpoint

    @overload  # a str is a Sequence[str] too; the first that fits decides
    async def classify(  # type: ignore[overload-overlap]
        self, texts: str, *, deadline_ms: int | None = None
    ) -> Prediction: ...
    @overload
    async def classify(self, texts: Sequence[str], *, deadline_ms: int | None = None) -> list[Prediction]: ...
    async def classify(
        self, texts: str | Sequence[str], *, deadline_ms: int | None = None
    ) -> Prediction | list[Prediction]:
        """Score one review, or a list of them in one request; see `Client.classify`."""
        count = 1 if isinstance(texts, str) else len(texts)
        results = bulk.predictions(await self._wait(self._begin(texts, deadline_ms=deadline_ms)), count)
        return results[0] if isinstance(texts, str) else results

    @overload
    def classify_many(
        self,
        texts: Texts,
        *,
        batch: int = ...,
        window: int = ...,
        deadline_ms: int | None = ...,
        return_errors: Literal[False] = ...,
    ) -> AsyncIterator[Prediction]: ...
    @overload
    def classify_many(
        self,
        texts: Texts,
        *,
        batch: int = ...,
        window: int = ...,
        deadline_ms: int | None = ...,
        return_errors: Literal[True],
    ) -> AsyncIterator[bulk.Outcome]: ...
    def classify_many(
        self,
        texts: Texts,
        *,
        batch: int = bulk.BATCH,
        window: int = bulk.WINDOW,
        deadline_ms: int | None = None,
        return_errors: bool = False,
    ) -> AsyncIterator[bulk.Outcome]:
        """Score any number of reviews, in order and in constant memory; see `Client.classify_many`.

        `texts` may be an iterable or an async iterable.
        """
        bulk.check(texts, batch, window)
        return self._classify_many(texts, batch, window, deadline_ms, return_errors)

    async def _classify_many(
        self, texts: Texts, batch: int, window: int, deadline_ms: int | None, return_errors: bool
    ) -> AsyncIterator[bulk.Outcome]:
        pending: deque[asyncio.Task[Sequence[bulk.Outcome]]] = deque()
        try:
            async for group in _batches(texts, batch):
                call = self._begin(group, deadline_ms=deadline_ms, patient=True)
                pending.append(asyncio.create_task(self._outcomes(call, group, deadline_ms, return_errors)))
                if len(pending) == window:
                    for outcome in await pending.popleft():
                        yield outcome
            while pending:
                for outcome in await pending.popleft():
                    yield outcome
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _outcomes(
        self, call: Call, texts: list[str], deadline_ms: int | None, return_errors: bool
    ) -> Sequence[bulk.Outcome]:
        try:
            return bulk.predictions(await self._wait(call), len(texts))
        except bulk.SPOILERS as error:
            if not return_errors:
                raise
            if len(texts) == 1:
                return [error]
        outcomes: list[bulk.Outcome] = []
        middle = len(texts) // 2
        for half in (texts[:middle], texts[middle:]):
            outcomes += await self._outcomes(
                self._begin(half, deadline_ms=deadline_ms, patient=True), half, deadline_ms, True
            )
        return outcomes

    async def stats(self) -> dict[str, Any]:
        """The daemon's counters, latencies and memory, as it reports them."""
        return await self._payload("stats")

    async def info(self) -> dict[str, Any]:
        """What runs: versions, model, labels, limits."""
        return await self._payload("info")

    async def health(self) -> dict[str, Any]:
        """Whether the daemon can serve."""
        return await self._payload("health")

    async def _payload(self, op: str) -> dict[str, Any]:
        return (await self._wait(self._begin(op=op))).payload or {}

    async def close(self) -> None:
        """Close the socket; calls in flight raise `ClosedError`."""
        if self._closed:
            return
        self._closed = True
        self._end_all(ClosedError("this client was closed while the call was in flight"))
        await self._disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _begin(self, texts: str | Sequence[str] | None = None, **options: Any) -> Call:
        if self._closed:
            raise ClosedError("this client is closed")
        if not self._tasks:
            self._connect()
        call = self._calls.begin(monotonic(), texts, **options)
        self._something_due.set()
        return call

    async def _wait(self, call: Call) -> Reply:
        if not call.done:
            self._waiters[call.id] = asyncio.get_running_loop().create_future()
        try:
            if not call.done:
                await self._waiters[call.id]
        finally:
            self._waiters.pop(call.id, None)
            self._calls.forget(call)
        return call.reply()

    def _connect(self) -> None:
        self._socket, self._monitor = self._connection.open(self._context)
        self._something_due = asyncio.Event()  # made here: before Python 3.10 it belongs to the running loop
        self._tasks = [
            asyncio.create_task(self._guard(work)) for work in (self._send(), self._receive(), self._watch())
        ]

    async def _disconnect(self) -> None:
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        socket, monitor = self._socket, self._monitor
        others = [task for task in tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        connection.close(socket, monitor)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """A task of the client that fails takes all calls with it: none is left waiting for ever."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it was, the callers must hear of it
            self._end_all(
                error if isinstance(error, EdgedError) else EdgedError(f"the client failed: {error!r}")
            )
            await self._disconnect()

    async def _send(self) -> None:
        while True:
            self._end(self._calls.tick(monotonic()))
            call = self._calls.next_unsent()
            wait = min(self._calls.wait(monotonic()), 3600)
            if call is None:
                self._something_due.clear()
                # Not wait_for: until Python 3.12 it swallows a cancellation that comes just after the event.
                timer = asyncio.get_running_loop().call_later(wait, self._something_due.set)
                try:
                    await self._something_due.wait()
                finally:
                    timer.cancel()
                continue
            try:
                await self._socket.send(call.body, zmq.DONTWAIT)
                self._calls.sent(call, monotonic())
            except zmq.Again:
                await self._socket.poll(int(1000 * wait) + 1, zmq.POLLOUT)

    async def _receive(self) -> None:
        while True:
            frames = await self._socket.recv_multipart()
            try:
                call = self._calls.receive(frames[-1], monotonic())
            except ReplyNotUnderstood as error:
                self._end_all(error)
            else:
                self._end([call] if call else [])
                if call is None:
                    self._something_due.set()  # a refused call may be due before what `_send` waits for

    async def _watch(self) -> None:
        while True:
            if self._connection.saw(await self._monitor.recv_multipart()):
                self._end(self._calls.reconnected())
                self._something_due.set()
            if self._connection.failure is not None:
                raise self._connection.failure

    def _end_all(self, error: EdgedError) -> None:
        self._end(self._calls.fail_all(error))

    def _end(self, calls: Iterable[Call]) -> None:
        for call in calls:
            waiter = self._waiters.get(call.id)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)


async def _batches(texts: Texts, limit: int) -> AsyncIterator[list[str]]:
    if isinstance(texts, AsyncIterable):
        async for batch in bulk.async_batches(texts, limit):
            yield batch
    else:
        for batch in bulk.batches(texts, limit):
            yield batch
