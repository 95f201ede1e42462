"""The shipped sample: enough reviews, each its own, composed here and copied from nowhere."""

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.sample import WINE

NGRAM = 8  # words in a row that two authors don't write by chance


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def ngrams(text: str) -> Iterator[tuple[str, ...]]:
    of_text = words(text)
    return (tuple(of_text[i : i + NGRAM]) for i in range(len(of_text) - NGRAM + 1))


def test_a_thousand_distinct_reviews_of_a_tasting_note_s_length() -> None:
    reviews = read(WINE)
    assert len(reviews) >= 1000
    assert len({" ".join(words(review["text"])) for review in reviews}) == len(reviews)
    assert all(20 <= len(review["text"].split()) <= 60 for review in reviews)


def test_all_tones_are_well_represented() -> None:
    tones = Counter(review["tone"] for review in read(WINE))
    assert set(tones) == {"positive", "middling", "negative"}
    assert min(tones.values()) >= 250


def test_sentences_are_whole() -> None:
    for review in read(WINE):
        assert not re.search(r"[{}\[\]|]|\s\s|\ba [aeiou](?!ne |nique|sed|seful)", review["text"]), review[
            "text"
        ]
        assert re.fullmatch(r"[A-ZÀ-Þ].*[.]", review["text"]), review["text"]


def test_the_file_is_small() -> None:
    assert WINE.stat().st_size < 150_000


def test_composing_again_gives_the_same_reviews() -> None:
    compose = pytest.importorskip(
        "edged.sample.compose", reason="composing needs tomllib: Python 3.11", exc_type=ImportError
    )
    assert list(compose.compose()) == read(WINE)


@pytest.mark.data
def test_no_review_repeats_a_data_set() -> None:
    folder = os.environ.get("EDGED_DATA")
    if not folder:
        pytest.skip("EDGED_DATA is unset: the sample was not compared with the data sets")
    published = sorted(Path(folder).glob("wine-*.jsonl.gz"))
    assert published
    known = {ngram for path in published for row in read(path) for ngram in ngrams(row["text"])}
    assert [review["text"] for review in read(WINE) if known.intersection(ngrams(review["text"]))] == []
