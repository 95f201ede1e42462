"""The synchronous client."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, overload

import zmq

from edged import bulk, connection
from edged.calls import Call, Calls
from edged.errors import ClosedError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from edged.protocol import Prediction, Reply


class Client:
    """Scores reviews with an edged daemon.

        with Client() as client:
            print(client.classify("Bright cherry, long finish."))

    A client belongs to one thread at a time, like the socket in it. Making one does not wait for the daemon.

    Args:
        endpoint: Where the daemon listens; by default EDGED_ENDPOINT, else ipc:///run/edged/edged.sock.
        timeout: Seconds a call may take in all, retries included.
        retries: How often an unanswered request is sent again, with the same id, within `timeout`. 0 also
            turns off resending after `busy`, `draining`, `unavailable` and a lost connection.
        server_key: The daemon's public CURVE key (40 characters, or a file that holds it).
        client_key: This client's CURVE keys, (public, secret) or the path of a file that only its owner may
            read. Without one, and with a server key, fresh keys are made up.
        context: A ZeroMQ context to share; by default the process's own.

    Raises:
        EndpointError: The endpoint or a key cannot be used as written.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        timeout: float = 10.0,
        retries: int = 3,
        server_key: str | os.PathLike[str] | None = None,
        client_key: connection.ClientKey | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self._connection = connection.Connection(endpoint, server_key, client_key)
        self._calls = Calls(timeout, retries, self._connection.no_answer)
        self._context = context or zmq.Context.instance()
        self._closed = False
        self._open()

    @property
    def endpoint(self) -> str:
        """Where the daemon listens."""
        return self._connection.endpoint

    @overload  # a str is a Sequence[str] too; the first that fits decides
    def classify(  # type: ignore[overload-overlap]
        self, texts: str, *, deadline_ms: int | None = None
    ) -> Prediction: ...
    @overload
    def classify(self, texts: Sequence[str], *, deadline_ms: int | None = None) -> list[Prediction]: ...
    def classify(
        self, texts: str | Sequence[str], *, deadline_ms: int | None = None
    ) -> Prediction | list[Prediction]:
        """Score one review, or a list of them in one request.

        Args:
            texts: The review(s).
            deadline_ms: What waited longer than this, in milliseconds, is answered `deadline` unclassified.

        Raises:
            ReplyError: The daemon refused; the subclass says why.
            NoAnswer: Nothing came back within the timeout.
            HandshakeError: The keys do not fit.
        """
        count = 1 if isinstance(texts, str) else len(texts)
        reply = self._wait(self._begin(texts, deadline_ms=deadline_ms))
        results = bulk.predictions(reply, count)
        return results[0] if isinstance(texts, str) else results

    @overload
    def classify_many(
        self,
        texts: Iterable[str],
        *,
        batch: int = ...,
        window: int = ...,
        deadline_ms: int | None = ...,
        return_errors: Literal[False] = ...,
    ) -> Iterator[Prediction]: ...
    @overload
    def classify_many(
        self,
        texts: Iterable[str],
        *,
        batch: int = ...,
        window: int = ...,
        deadline_ms: int | None = ...,
        return_errors: Literal[True],
    ) -> Iterator[bulk.Outcome]: ...
    def classify_many(
        self,
        texts: Iterable[str],
        *,
        batch: int = bulk.BATCH,
        window: int = bulk.WINDOW,
        deadline_ms: int | None = None,
        return_errors: bool = False,
    ) -> Iterator[bulk.Outcome]:
        """Score any number of reviews, in order and in constant memory.

        The client's timeout here bounds how long nothing is answered, not how long a request waits its turn.

        Args:
            texts: Read as results are taken, at most `batch * window` ahead.
            batch: Reviews per request.
            window: Requests outstanding at once.
            deadline_ms: As for `classify`, for each request.
            return_errors: Give the `ReplyError` in place of a review that is too large for the daemon or on
                which its model fails, and go on; otherwise such an error is raised.

        Raises:
            EdgedError: As for `classify`.
        """
        bulk.check(texts, batch, window)
        return self._classify_many(texts, batch, window, deadline_ms, return_errors)

    def _classify_many(
        self, texts: Iterable[str], batch: int, window: int, deadline_ms: int | None, return_errors: bool
    ) -> Iterator[bulk.Outcome]:
        pending: deque[tuple[Call, list[str]]] = deque()
        try:
            for group in bulk.batches(texts, batch):
                pending.append((self._begin(group, deadline_ms=deadline_ms, patient=True), group))
                self._send()
                if len(pending) == window:
                    yield from self._outcomes(*pending[0], deadline_ms, return_errors)
                    pending.popleft()
            while pending:
                yield from self._outcomes(*pending[0], deadline_ms, return_errors)
                pending.popleft()
        finally:
            for call, _ in pending:
                self._calls.forget(call)

    def _outcomes(
        self, call: Call, texts: list[str], deadline_ms: int | None, return_errors: bool
    ) -> Sequence[bulk.Outcome]:
        try:
            return bulk.predictions(self._wait(call), len(texts))
        except bulk.SPOILERS as error:
            if not return_errors:
                raise
            if len(texts) == 1:
                return [error]
        outcomes: list[bulk.Outcome] = []
        middle = len(texts) // 2
        for half in (texts[:middle], texts[middle:]):
            outcomes += self._outcomes(
                self._begin(half, deadline_ms=deadline_ms, patient=True), half, deadline_ms, True
            )
        return outcomes

    def stats(self) -> dict[str, Any]:
        """The daemon's counters, latencies and memory, as it reports them. Raises as `classify`."""
        return self._payload("stats")

    def info(self) -> dict[str, Any]:
        """What runs: versions, model, labels, limits. Raises as `classify`."""
        return self._payload("info")

    def health(self) -> dict[str, Any]:
        """Whether the daemon can serve. Raises as `classify`."""
        return self._payload("health")

    def _payload(self, op: str) -> dict[str, Any]:
        return self._wait(self._begin(op=op)).payload or {}

    def close(self) -> None:
        """Close the socket; calls that a `classify_many` left outstanding are given up."""
        if not self._closed:
            self._closed = True
            connection.close(self._socket, self._monitor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._socket, self._monitor = self._connection.open(self._context)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def _begin(self, texts: str | Sequence[str] | None = None, **options: Any) -> Call:
        if self._closed:
            raise ClosedError("this client is closed")
        return self._calls.begin(monotonic(), texts, **options)

    def _wait(self, call: Call) -> Reply:
        """Drive all calls until `call` is done."""
        try:
            while not call.done:
                self._step()
        finally:
            self._calls.forget(call)
        return call.reply()

    def _step(self) -> None:
        wants_to_send = self._send()
        self._poller.modify(self._socket, zmq.POLLIN | (zmq.POLLOUT if wants_to_send else 0))
        ready = dict(self._poller.poll(int(1000 * self._calls.wait(monotonic())) + 1))
        if ready.get(self._socket, 0) & zmq.POLLIN:
            # A connection that is lost right now takes along the reply that was just announced.
            with suppress(zmq.Again):
                self._calls.receive(self._socket.recv_multipart(zmq.DONTWAIT)[-1], monotonic())
        if self._monitor in ready:
            self._watch()
        self._calls.tick(monotonic())

    def _send(self) -> bool:
        """Send what is due; True when some of it could not be sent yet."""
        while (call := self._calls.next_unsent()) is not None:
            try:
                self._socket.send(call.body, zmq.DONTWAIT)
            except zmq.Again:
                return True
            self._calls.sent(call, monotonic())
        return False

    def _watch(self) -> None:
        while self._monitor.poll(0):
            if self._connection.saw(self._monitor.recv_multipart()):
                self._calls.reconnected()
        if self._connection.failure is not None:
            self._calls.fail_all(self._connection.failure)
            # libzmq gives up after a refused key; the next call starts afresh.
            connection.close(self._socket, self._monitor)
            self._open()
