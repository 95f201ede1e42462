"""A model of several milliseconds a review: concurrency is compared then, not transport.

A handler file, for the daemon and for the baselines alike. heavy_model.py writes the model: convolutions over
the review's hashed words, with next to no weights, so that memory is the servers' own.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, CHANNELS = 256, 48
MODEL = Path(__file__).parents[2] / "build" / "bench" / "heavy.tflite"

_local: dict[str, Any] = {}


def load(options: dict[str, Any]) -> dict[str, Any]:
    """Open the model."""
    del options
    from tflite_runtime.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    _local["model"] = Interpreter(str(MODEL), num_threads=1, experimental_op_resolver_type=plain)
    _local["model"].allocate_tensors()
    return {"name": "heavy", "labels": ["negative", "positive"]}


def process_batch(texts: list[str]) -> list[tuple[str, float]]:
    """Score each text."""
    return [_score(text) for text in texts]


def _score(text: str) -> tuple[str, float]:
    model = _local["model"]
    row = np.zeros((1, 1, WIDTH, CHANNELS), np.float32)
    for at, word in enumerate(text.split()[:WIDTH]):
        row[0, 0, at, zlib.crc32(word.encode()) % CHANNELS] = 1
    model.set_tensor(model.get_input_details()[0]["index"], row)
    model.invoke()
    p = float(1 / (1 + np.exp(-model.get_tensor(model.get_output_details()[0]["index"]).mean())))
    return ("positive", p) if p >= 0.5 else ("negative", 1 - p)
