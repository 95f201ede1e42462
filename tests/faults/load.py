"""Load from real clients with retry, and the account of what each caller saw."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import zmq.asyncio

from edged import AsyncClient, Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from edged.errors import EdgedError

# The handler that the faults run against answers a text with itself: whoever gets another's answer notices.
ECHO = """
def process_batch(texts):
    return [(text[:60], 0.5) for text in texts]
"""
AT_ONCE = 8


class Review(NamedTuple):
    """A text that no other request holds, and the label that it must get."""

    text: str
    label: str


def echoed(request_id: str) -> Review:
    """What the echoing handler is asked."""
    return Review(request_id, request_id)


@dataclass
class Account:
    """What became of the reviews that were asked; `wrong` says of each mishap whose it was."""

    asked: int = 0
    answered: int = 0
    refused: int = 0  # ended by an error that the daemon answered with: a final result too
    wrong: list[str] = field(default_factory=list)
    faults: int = 0

    @property
    def lost(self) -> int:
        """Reviews without a final result."""
        return self.asked - self.answered - self.refused

    def __add__(self, other: Account) -> Account:
        return Account(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class Load:
    """Threads that classify without a break until the block ends; then each review has its one final result.

    A fourth of them hand over many requests at once from asyncio, a fourth keep a stream of requests
    outstanding, the rest ask one after the other. An error that is not `expected` counts as a loss.
    """

    def __init__(
        self,
        endpoint: str,
        clients: int = 8,
        timeout: float = 120.0,
        expected: tuple[type[EdgedError], ...] = (),
        review: Callable[[str], Review] = echoed,
        **options: Any,
    ) -> None:
        self.account = Account()
        self._expected = expected
        self._review = review
        self._endpoint = endpoint
        self._options: dict[str, Any] = {"timeout": timeout, "retries": 100} | options
        self._done = threading.Event()
        self._lock = threading.Lock()
        ways = itertools.cycle((self._one_by_one, self._one_by_one, self._stream, self._at_once))
        self._threads = [
            threading.Thread(target=self._run, args=(way, number))
            for number, way in zip(range(clients), ways)
        ]

    def progress(self, answers: int = 60, timeout: float = 150) -> None:
        """After a fault: wait until so many more reviews have their results."""
        self.account.faults += 1
        self._await(answers, timeout)

    def _await(self, answers: int, timeout: float) -> None:
        account = self.account
        goal, deadline = account.answered + answers, time.monotonic() + timeout
        while account.answered < goal:
            if account.wrong or time.monotonic() > deadline:
                raise AssertionError(f"no progress; wrong: {account.wrong[:3]}")
            time.sleep(0.002)

    def __enter__(self) -> Load:  # noqa: PYI034
        for thread in self._threads:
            thread.start()
        self._await(answers=60, timeout=150)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(150)
        alive = sum(thread.is_alive() for thread in self._threads)
        if kind is None:
            assert not alive, f"{alive} callers still wait"
            assert self.account.wrong == []
            assert self.account.lost == 0

    def _run(self, way: Callable[[int], None], number: int) -> None:
        try:
            way(number)
        except Exception as error:  # noqa: BLE001 - whatever ends a caller is a lost request
            with self._lock:
                self.account.wrong.append(f"client {number}: {error!r}")

    def _requests(self, name: str) -> Iterator[list[Review]]:
        """Requests of one to four reviews until the load ends."""
        for made in itertools.count():
            if self._done.is_set():
                return
            yield [self._review(f"{name}.{made}.{i}") for i in range(1 + made % 4)]

    def _ask(self, reviews: list[Review]) -> list[str]:
        """Count reviews as asked, and give their texts."""
        with self._lock:
            self.account.asked += len(reviews)
        return [review.text for review in reviews]

    def _settle(self, reviews: Iterable[Review], labels: Iterable[str | None]) -> None:
        """Note the final results of some reviews; None is an expected error."""
        for review, label in itertools.zip_longest(reviews, labels, fillvalue=""):
            with self._lock:
                if label is None:
                    self.account.refused += 1
                elif review and label == review[1]:
                    self.account.answered += 1
                else:
                    self.account.wrong.append(f"asked {review or 'nothing more'}, got {label or 'nothing'}")

    def _one_by_one(self, number: int) -> None:
        with Client(self._endpoint, **self._options) as client:

            def labels(reviews: list[Review]) -> list[str | None]:
                try:
                    return [result.label for result in client.classify(self._ask(reviews))]
                except self._expected:
                    return [None] * len(reviews)

            for reviews in self._requests(str(number)):
                self._settle(reviews, labels(reviews))

    def _stream(self, number: int) -> None:
        """`classify_many`, whose results must be as many as its reviews, and in their order."""
        with Client(self._endpoint, **self._options) as client:
            while not self._done.is_set():
                asked: list[Review] = []

                def texts(asked: list[Review] = asked) -> Iterator[str]:
                    for reviews in itertools.islice(self._requests(f"{number}s"), 50):
                        for review in reviews:
                            asked.append(review)
                            yield from self._ask([review])

                settled = 0
                try:
                    for result in client.classify_many(texts(), batch=4, window=4):
                        self._settle(asked[settled : settled + 1], [result.label])
                        settled += 1
                except self._expected:  # it ends all that was outstanding
                    self._settle(asked[settled:], [None] * (len(asked) - settled))
                else:
                    self._settle(asked[settled:], [])

    def _at_once(self, number: int) -> None:
        async def labels(client: AsyncClient, reviews: list[Review]) -> list[str | None]:
            try:
                return [result.label for result in await client.classify(self._ask(reviews))]
            except self._expected:
                return [None] * len(reviews)

        async def caller(client: AsyncClient, name: str) -> None:
            for reviews in self._requests(name):
                self._settle(reviews, await labels(client, reviews))

        async def callers() -> None:
            with zmq.asyncio.Context() as context:
                async with AsyncClient(self._endpoint, context=context, **self._options) as client:
                    await asyncio.gather(*(caller(client, f"{number}.{i}") for i in range(AT_ONCE)))

        asyncio.run(callers())
