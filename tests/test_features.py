"""The reference features: vectors shared with Go, and what must hold for any text."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.features import Extractor, FeatureError, Flag, Table, pack_table
from edged.tokens import fold, tokenize

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/features.json").read_text("ascii"))
NGRAMS, WORDS = base64.b64decode(VECTORS["ngrams"]), base64.b64decode(VECTORS["words"])


@pytest.fixture(scope="module")
def extract() -> Extractor:
    """The extractor of the vectors."""
    return Extractor(VECTORS["rules"], NGRAMS, WORDS)


def ids(extract: Extractor, text: bytes | str) -> tuple[list[int], list[int], int]:
    rows = extract([text])
    return rows.wide.tolist(), rows.words.tolist(), int(rows.flags[0])


def test_vectors_were_found() -> None:
    assert len(VECTORS["cases"]) >= 40


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_vector(extract: Extractor, case: dict[str, Any]) -> None:
    assert ids(extract, base64.b64decode(case["text"])) == (case["wide"], case["words"], case["flags"])


def test_a_batch_gives_what_each_text_gives(extract: Extractor) -> None:
    texts = [base64.b64decode(case["text"]) for case in VECTORS["cases"]]
    rows = extract(texts)
    for i, case in enumerate(VECTORS["cases"]):
        assert rows.wide[rows.wide_offsets[i] : rows.wide_offsets[i + 1]].tolist() == case["wide"]
        assert rows.words[rows.word_offsets[i] : rows.word_offsets[i + 1]].tolist() == case["words"]
        assert rows.flags[i] == case["flags"]


def test_an_empty_batch(extract: Extractor) -> None:
    rows = extract([])
    assert rows.wide_offsets.tolist() == rows.word_offsets.tolist() == [0]
    assert len(rows.wide) == len(rows.words) == len(rows.flags) == 0


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_bytes_have_ids(extract: Extractor, text: bytes | str) -> None:
    wide, words, flags = ids(extract, text)
    assert len(set(wide)) == len(wide)
    assert all(1 <= i <= extract.ngrams.count for i in wide)
    assert all(1 <= i <= extract.words.count + 1 for i in words)
    assert flags & ~(Flag.TRUNCATED | Flag.UNKNOWN) == 0


@given(st.binary(max_size=100))
def test_folding_never_lengthens(text: bytes) -> None:
    assert len(fold(text)) <= len(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I don't like it", "i do n't like it"),
        ("I don’t like it", "I dont like it"),
        ("Café", "Cafe\u0301"),
        ("sooooo good", "soooooooooo good"),
        ("good&nbsp;&amp;&nbsp;cheap", "good & cheap"),
        ("👍🏽", "👍"),
    ],
)
def test_the_same_for_the_reader_is_the_same_here(one: str, other: str) -> None:
    assert tokenize(one) == tokenize(other)


def test_known_tokens() -> None:
    text = "I can't say @you LOVED it!!! 10/10 :-) <br> see www.x.y"
    assert [token.text.decode() for token in tokenize(text)] == (
        ["i", "can", "not", "say", "@", "loved", "it", "!!", "10/10", ":)", ".", "see", "http"]
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "features.version is None, this build reads version 1"),
        ({"version": 1}, "features.max_tokens is None, expected a whole number from 1 to 1048576"),
        (VECTORS["rules"] | {"words_tail": True}, "features.words_tail is True, expected a whole number"),
    ],
)
def test_rules_that_cannot_be_used(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(FeatureError, match=message.replace("*", r"\*")):
        Extractor(rules, NGRAMS, WORDS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes, too short"),
        (NGRAMS[:-1], "keys in 2"),
        (NGRAMS[:4] + b"\x28\0\0\0" + NGRAMS[8:], "40 bucket bits"),
        (NGRAMS[:8] + b"\x01" + NGRAMS[9:], "the bucket directory does not run from 0"),
        (NGRAMS[:-400] + bytes(400), "keys are not in ascending order"),
    ],
)
def test_tables_that_cannot_be_used(data: bytes, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        Table(data, "edged.ngrams")


def test_a_packed_table_finds_its_keys_and_no_other() -> None:
    keys = np.unique(np.random.default_rng(1).integers(0, 1 << 64, 5000, np.uint64))
    data, index = pack_table(keys[::2], 16)
    table = Table(data, "test")
    ranks = table.ranks(keys)
    assert (keys[::2][index][ranks[::2]] == keys[::2]).all()
    assert (ranks[1::2] == -1).all()
