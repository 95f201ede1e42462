"""Scores of other machines beside this one's: arithmetic differs in the last digits, results must not."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from edged import Client
from edged.sample import WINE
from tests.daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged import Prediction

CLOSE = 0.001
"""How far a score may be from this machine's; labels may differ only that close to the threshold of 0.5."""


def reviews() -> list[str]:
    """The thousand wine reviews that ship with edged."""
    with gzip.open(WINE, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def here(texts: Sequence[str]) -> list[Prediction]:
    """What the daemon makes of texts on this machine."""
    daemon = Daemon()
    try:
        with Client(daemon.start().endpoint, timeout=60) as client:
            return [*client.classify_many(texts)]
    finally:
        daemon.close()


def positive(prediction: Prediction) -> float:
    """The probability of "positive"."""
    return prediction.score if prediction.label == "positive" else 1 - prediction.score


def compare(got: Sequence[Prediction], expected: Sequence[Prediction]) -> float:
    """Check results against this machine's; return the largest difference of scores."""
    assert len(got) == len(expected)
    differences = [abs(positive(a) - positive(b)) for a, b in zip(got, expected)]
    assert max(differences) <= CLOSE
    apart = [(a, b) for a, b in zip(got, expected) if a.label != b.label]
    assert all(abs(positive(b) - 0.5) <= CLOSE for _, b in apart)
    return max(differences)
