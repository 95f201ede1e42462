"""Texts to predictions in Python: the reference features and the same TFLite model as the daemon's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edged.embedded import handlers
from edged.embedded.model import Model
from edged.features import Extractor, Flag
from edged.modelfile import DESCRIPTION, NGRAMS, WORDS, read_metadata
from edged.protocol import Prediction

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


class Scorer:
    """One model in one thread. Raises `ModelFileError` and `FeatureError` for files that are none."""

    def __init__(self, path: str | os.PathLike[str], *, cascade: str = "auto") -> None:
        blocks = read_metadata(Path(path).read_bytes())
        self.description = json.loads(bytes(blocks[DESCRIPTION]))
        rules = self.description["features"]
        self._extract = Extractor(rules, bytes(blocks[NGRAMS]), bytes(blocks[WORDS]))
        self._model = Model(str(path), threads=1, cascade=cascade)

    def __call__(self, texts: Sequence[str]) -> list[Prediction]:
        """Predictions of `texts`, flagged by the same rules as the daemon's."""
        if not texts:
            return []
        rows = self._extract(texts)
        probabilities = self._model.predict(rows.wide_offsets, rows.wide, rows.word_offsets, rows.words)
        return [self._prediction(float(p), Flag(int(flag))) for p, flag in zip(probabilities, rows.flags)]

    def _prediction(self, p: float, flags: Flag) -> Prediction:
        negative, positive = self.description["labels"]
        doubt = self.description["uncertain"]
        uncertain = bool(flags & Flag.UNKNOWN) or doubt["low"] <= p <= doubt["high"]
        truncated = bool(flags & Flag.TRUNCATED)
        if p >= self.description["threshold"]:
            return Prediction(positive, p, uncertain, truncated)
        return Prediction(negative, 1 - p, uncertain, truncated)


class HandlerScorer:
    """A user's handler file, as the daemon would run it. Raises `HandlerError` for one that can't be used."""

    def __init__(self, path: str) -> None:
        self._module = handlers.execute(handlers.find(path), "edged_baseline_handler")
        load = getattr(self._module, "load", None)
        self.description = (load({}) if load else None) or {"name": Path(path).name}

    def __call__(self, texts: Sequence[str]) -> list[Prediction]:
        """What the file's `process_batch` says."""
        results = handlers.checked(self._module.process_batch(list(texts)), len(texts))
        return [Prediction(label, score, False, False) for label, score in results]


def open_scorer(model: str, handler: str = "") -> Scorer | HandlerScorer:
    """What scores: a handler file where one is given, else the model."""
    return HandlerScorer(handler) if handler else Scorer(model)
