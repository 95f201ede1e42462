"""What a model costs: microseconds a review, as ratios to its wide part, since machines differ.

`python -m edged.training.cost [MODEL.tflite] FOLDER` prints the table, on the folder's wine reviews.
Without the features, which the daemon works out in Go.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edged.embedded.model import Model
from edged.features import Extractor
from edged.modelfile import NGRAMS, WORDS, read_metadata
from edged.training.data import read_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.training.data import Reviews

BATCH = 64
ROUNDS = 7  # each way in turn, so that a busy moment meets all of them
REVIEWS = 1024


@dataclass(frozen=True)
class Cost:
    """Microseconds a review: the lowest of the rounds, since everything else on a machine only adds."""

    wide: float  # one review a call
    both: float  # one review a call, read by both parts
    wide_batched: float  # in batches of `BATCH`
    cascade: float  # in batches of `BATCH`, the deep part where the wide part is unsure
    share: float  # of these reviews that the deep part reads

    @property
    def deep(self) -> float:
        """Of the deep part alone."""
        return self.both - self.wide


def measured(path: Path, texts: Sequence[str]) -> Cost:
    """Costs of the model at `path` on `texts`, on one thread."""
    blocks = read_metadata(path.read_bytes())
    models = {cascade: Model(path, cascade=cascade) for cascade in ("off", "auto", "full")}
    extract = Extractor(models["off"].description["features"], bytes(blocks[NGRAMS]), bytes(blocks[WORDS]))
    ways: dict[str, Callable[[], Any]] = {}
    for cascade, size in (("off", 1), ("full", 1), ("off", BATCH), ("auto", BATCH)):
        batches = [extract(texts[at : at + size]) for at in range(0, len(texts) - size + 1, size)]
        arguments = [(rows.wide_offsets, rows.wide, rows.word_offsets, rows.words) for rows in batches]
        predict = models[cascade].predict
        ways[f"{cascade} {size}"] = lambda predict=predict, arguments=arguments: [  # type: ignore[misc]
            predict(*batch) for batch in arguments
        ]
    lowest = dict.fromkeys(ways, np.inf)
    for _ in range(ROUNDS):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            lowest[name] = min(lowest[name], (time.perf_counter() - start) / len(texts) * 1e6)
    wide, both, wide_batched, auto = lowest.values()
    return Cost(wide, both, wide_batched, auto, _share(models["auto"], extract(texts)))


def _share(model: Model, rows: Any) -> float:
    logits = model.parts.wide_logits(rows.wide_offsets, rows.wide)
    return len(model.unsure(logits, rows.word_offsets, rows.words)) / len(logits)


def table(cost: Cost) -> str:
    """Markdown."""
    rows = [
        ("wide part, one review", cost.wide, cost.wide),
        ("both parts, one review", cost.both, cost.wide),
        (f"wide part, batches of {BATCH}", cost.wide_batched, cost.wide_batched),
        (f"the cascade, batches of {BATCH}", cost.cascade, cost.wide_batched),
    ]
    lines = ["| | us a review | ratio to the wide part |", "|---|---|---|"]
    lines += [f"| {name} | {value:.1f} | {value / unit:.1f} |" for name, value, unit in rows]
    return "\n".join(lines)


def sample(reviews: Reviews) -> list[str]:
    """Texts to measure with: of the domain "wine", if there is one, a whole number of batches."""
    wine = [text for text, domain in zip(reviews.texts, reviews.domains) if domain == "wine"]
    texts = (wine or reviews.texts)[:REVIEWS]
    return texts[: len(texts) // BATCH * BATCH or None]


def main() -> None:
    """Print the table."""
    shipped = Path(__file__).parents[1] / "models/edged.tflite"
    *models, folder = map(Path, sys.argv[1:])
    print(table(measured(models[0] if models else shipped, sample(read_folder(folder, "val")))))


if __name__ == "__main__":
    main()
