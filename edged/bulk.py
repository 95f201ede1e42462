"""Bulk classification: what goes into one request, and what to do when one review spoils it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from edged.errors import ModelError, ReplyError, ReplyNotUnderstood, TooLarge
from edged.protocol import Prediction, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BATCH = 64
WINDOW = 4
BATCH_BYTES = 256 * 1024
# One review can bring these upon its whole request, which is then halved until that review stands alone.
SPOILERS = (TooLarge, ModelError)

Outcome = Union[Prediction, ReplyError]


class Batch(list[str]):
    """Reviews for one request, at most `limit` of them and about `BATCH_BYTES`."""

    def __init__(self, limit: int = BATCH) -> None:
        super().__init__()
        self._limit = limit
        self._size = 0

    def add(self, text: str) -> None:
        """Append a review."""
        self.append(text)
        self._size += len(text)

    @property
    def full(self) -> bool:
        """Whether it should be sent before the next review is added."""
        return len(self) >= self._limit or self._size >= BATCH_BYTES


def batches(texts: Iterable[str], limit: int) -> Iterator[list[str]]:
    """`texts` cut into batches."""
    batch = Batch(limit)
    for text in texts:
        batch.add(text)
        if batch.full:
            yield batch
            batch = Batch(limit)
    if batch:
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
