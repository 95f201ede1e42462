"""The page on handlers shows one that works."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import pytest
import tflite

from edged import Client
from edged.sample import WINE
from tests.tflite_file import Operator, Tensor, model

if TYPE_CHECKING:
    from tests.daemon import Daemon

SAMPLE = [json.loads(line) for line in gzip.decompress(WINE.read_bytes()).splitlines()]
DOCS = Path(__file__).parents[1] / "docs"


def shown(page: str, language: str, which: int = 0) -> str:
    """A block of code on a page."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return str(found[which])


@pytest.mark.parametrize("page", ["handlers.md", "metacall.md"])
def test_the_handler_shown_answers(page: str, make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    daemon.handler(shown(page, "python"))
    daemon.start()
    with Client(daemon.endpoint, timeout=60) as client:
        results = client.classify(["STOP IT", "as you like"])
    assert [result.label for result in results] == ["loud", "calm"]


def test_its_options_reach_it(make_daemon: Callable[..., Daemon]) -> None:
    assert "threshold = 0.6" in shown("handlers.md", "toml")
    daemon = make_daemon(handler_options={"threshold": 0.99})
    daemon.handler(shown("handlers.md", "python"))
    daemon.start()
    with Client(daemon.endpoint, timeout=60) as client:
        assert client.classify("STOP it").label == "calm"
        info = client.info()
    assert (info["model"], info["labels"]) == ("loudness", ["calm", "loud"])


LENGTH = 64


def tone_of_words() -> dict[str, float]:
    """Each word of the sample's even reviews, and by how much it speaks for a good one (naive Bayes)."""
    counts = [Counter[str](), Counter[str]()]
    for review in SAMPLE[::2]:
        counts[review["tone"] == "positive"].update(words(review["text"]))
    totals = [sum(count.values()) for count in counts]
    known = sorted(word for word in counts[0] | counts[1] if counts[0][word] + counts[1][word] > 1)
    return {
        word: log((counts[1][word] + 1) / totals[1]) - log((counts[0][word] + 1) / totals[0])
        for word in known
    }


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def words_model(tones: dict[str, float]) -> bytes:
    """Adds up the tones of a row of word ids: a lookup, a mean, a dense layer and a softmax."""
    embedding = np.array([[0], [0], *([tone] for tone in tones.values())], "<f4")
    tensors = [
        Tensor((1, LENGTH), kind="int32"),
        Tensor(embedding.shape, embedding),
        Tensor((1, LENGTH, 1)),
        Tensor((1,), np.array([1], "<i4")),
        Tensor((1, 1)),
        Tensor((2, 1), np.array([[-LENGTH / 2], [LENGTH / 2]], "<f4")),
        Tensor((1, 2)),
        Tensor((1, 2)),
    ]
    code, kind = tflite.BuiltinOperator, tflite.BuiltinOptions
    steps = [
        Operator(code.GATHER, [1, 0], [2], kind.GatherOptions, plain("Gather")),
        Operator(code.MEAN, [2, 3], [4], kind.ReducerOptions, plain("Reducer")),
        Operator(code.FULLY_CONNECTED, [4, 5, -1], [6], kind.FullyConnectedOptions, plain("FullyConnected")),
        Operator(code.SOFTMAX, [6], [7], kind.SoftmaxOptions, softmax),
    ]
    return model(tensors, steps, [0], [7])


def plain(name: str) -> Callable[[Any], int]:
    """An operator's options as the schema has them by default."""

    def write(b: Any) -> int:
        getattr(tflite, f"{name}OptionsStart")(b)
        return int(getattr(tflite, f"{name}OptionsEnd")(b))

    return write


def softmax(b: Any) -> int:
    tflite.SoftmaxOptionsStart(b)
    tflite.SoftmaxOptionsAddBeta(b, 1)
    return int(tflite.SoftmaxOptionsEnd(b))


def test_the_model_with_its_own_vocabulary_answers(make_daemon: Callable[..., Daemon]) -> None:
    tones = tone_of_words()
    daemon = make_daemon(interpreters=2)
    daemon.handler(shown("handlers.md", "python", 1))
    assert "interpreters = 2" in shown("handlers.md", "toml", 1)
    (daemon.folder / "words.txt").write_text("\n".join(["<pad>", "<unknown>", *tones]))
    (daemon.folder / "words.tflite").write_bytes(words_model(tones))
    daemon.settings["handler_options"] = {
        "model": f"{daemon.folder}/words.tflite",
        "vocabulary": f"{daemon.folder}/words.txt",
        "labels": ["negative", "positive"],
    }
    reviews = [review for review in SAMPLE[1::2] if review["tone"] in ("negative", "positive")]
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        results = client.classify([review["text"] for review in reviews])
        assert client.info()["labels"] == ["negative", "positive"]
        assert client.classify("").score == 0.5
    for review, result in zip(reviews, results):
        logit = sum(tones.get(word, 0) for word in words(review["text"])[:LENGTH])
        assert result.label == ("positive" if logit > 0 else "negative")
        assert result.score == pytest.approx(1 / (1 + exp(-abs(logit))), abs=2e-4)
    right = sum(result.label == review["tone"] for review, result in zip(reviews, results))
    assert right / len(reviews) > 0.8
