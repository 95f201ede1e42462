"""Logits of .tflite models that are not finished yet, by the device's own runner."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edged.embedded import model as embedded

if TYPE_CHECKING:
    from edged.features import Rows

Floats = npt.NDArray[np.float32]


class Reader:
    """A file's signatures, run as the daemon runs them."""

    def __init__(self, file: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            path.write_bytes(file)
            self._parts: Any = embedded.Parts(embedded.interpreter(str(path), 1))

    def wide(self, rows: Rows) -> Floats:
        """Logits of the wide part, float32[n]."""
        logits: Floats = self._parts.wide_logits(rows.wide_offsets, rows.wide)
        return logits

    def deep(self, rows: Rows) -> Floats:
        """Logits of the deep part on all reviews, float32[n]."""
        ends = rows.word_offsets
        found = [self._parts.deep_logit(rows.words[ends[i] : ends[i + 1]]) for i in range(len(ends) - 1)]
        return np.array(found, np.float32)
