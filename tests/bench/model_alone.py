"""The model without a daemon around it: prepared tensors through the graph in a tight loop, on one core.

`python -m tests.bench.model_alone BATCH SECONDS` prints microseconds per review.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from edged.embedded.model import Model
from edged.features import Extractor
from edged.modelfile import NGRAMS, WORDS, read_metadata
from tests.bench import MODEL
from tests.bench.load import wine


def batches(model: Model, size: int) -> list[tuple[Any, ...]]:
    """Arguments of `Model.predict` for the sample in batches of `size`."""
    blocks = read_metadata(MODEL.read_bytes())
    extract = Extractor(model.description["features"], bytes(blocks[NGRAMS]), bytes(blocks[WORDS]))
    texts = wine()
    made: list[tuple[Any, ...]] = []
    for start in range(0, len(texts) - size + 1, size):
        rows = extract(texts[start : start + size])
        made.append((rows.wide_offsets, rows.wide, rows.word_offsets, rows.words))
    return made


def main() -> None:
    """Measure."""
    size, seconds = int(sys.argv[1]), float(sys.argv[2])
    model = Model(str(MODEL), threads=1)
    prepared = batches(model, size)
    for arguments in prepared[:50]:
        model.predict(*arguments)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.predict(*prepared[count % len(prepared)])
        count += 1
    print((time.perf_counter() - start) / count / size * 1e6)


if __name__ == "__main__":
    main()
