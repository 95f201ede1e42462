"""Bulk classification: what goes into one request, and what to do when one review spoils it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from edged.errors import ModelError, ReplyError, ReplyNotUnderstood, TooLarge
from edged.protocol import Prediction, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

BATCH = 64
WINDOW = 4
# Well below the daemon's smallest max_message_bytes, quotes and line ends escaped.
BATCH_BYTES = 64 * 1024
# One review can bring these upon its whole request, which is then halved until that review stands alone.
SPOILERS = (TooLarge, ModelError)

Outcome = Union[Prediction, ReplyError]


class Batches:
    """Cuts texts into requests: at most `limit` each, and about `BATCH_BYTES` unless one alone is longer."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts: list[str] = []
        self._size = 0

    def add(self, text: str) -> Iterator[list[str]]:
        """Take a text; gives the batches that this completes."""
        size = len(text) if text.isascii() else len(text.encode(errors="replace"))
        if self._size + size > BATCH_BYTES:
            yield from self.rest()
        self._texts.append(text)
        self._size += size
        if len(self._texts) == self._limit:
            yield from self.rest()

    def rest(self) -> Iterator[list[str]]:
        """What is left, if anything."""
        texts, self._texts, self._size = self._texts, [], 0
        if texts:
            yield texts


def batches(texts: Iterable[str], limit: int) -> Iterator[list[str]]:
    """`texts` cut into batches."""
    cut = Batches(limit)
    for text in texts:
        yield from cut.add(text)
    yield from cut.rest()


async def async_batches(texts: AsyncIterable[str], limit: int) -> AsyncIterator[list[str]]:
    """`texts` cut into batches."""
    cut = Batches(limit)
    async for text in texts:
        for batch in cut.add(text):
            yield batch
    for batch in cut.rest():
        yield batch


def check(texts: object, batch: int, window: int) -> None:
    """Raises TypeError or ValueError for arguments that make no sense."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("classify_many wants an iterable of texts; for one text call classify")
    if batch < 1 or window < 1:
        raise ValueError("batch and window must be at least 1")


def predictions(reply: Reply, count: int) -> list[Prediction]:
    """The results of a reply to `count` texts. Raises `ReplyNotUnderstood` when there are more or fewer."""
    results = reply.results
    if results is None or len(results) != count:
        found = "none" if results is None else len(results)
        raise ReplyNotUnderstood(f"{count} reviews were sent, and {found} results came back")
    return results
