"""Text to n-gram ids: the reference for ``go_core/features``, byte for byte.

Tokens come from `edged.tokens`. From there:

1. *Keys.* A token is its 64-bit FNV-1a hash; an n-gram of one to three tokens
   a polynomial of those, mixed. N-grams never cross punctuation or emoji. The
   words shortly after a negation have unigrams of their own.
2. *Ids.* The rank of the key in a sorted table of the n-grams worth keeping,
   plus one (0 is padding); others are dropped. Ids are unique within a review,
   in order of first occurrence. A second table gives the word sequence that the
   deep part of the model reads: rank plus two, 1 being an unknown token.

A table is one block of bytes, little-endian, read in place by Go: ``u32 count,
u32 bits, u32 first[2**bits + 1], u16 rest[count]``. The top `bits` of a key
name a bucket, ``first`` its slice of ``rest``, and ``rest`` holds the next 16
bits of each kept key, ascending. A rank is a position in ``rest``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edged.tokens import Tokenizer, Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

U64 = npt.NDArray[np.uint64]

ORDER = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd: the polynomial's base
NEGATED = 0xD6E8FEB86659FD93  # any odd constant apart from ORDER
REST_BITS = 16


class FeatureError(ValueError):
    """The rules or tables of a model file cannot be used."""


class Flag(IntFlag):
    """What a caller should know about one review."""

    TRUNCATED = 1  # more than `max_tokens` tokens: the rest was not read
    UNKNOWN = 2  # hardly a word in it is known: another language, or noise


def mix(value: U64) -> U64:
    """MurmurHash3's 64-bit finalizer, elementwise."""
    value = value ^ (value >> np.uint64(33))
    value = value * np.uint64(0xFF51AFD7ED558CCD)
    value = value ^ (value >> np.uint64(33))
    value = value * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@dataclass
class Keys:
    """N-gram keys of many texts, flat, in order of emission."""

    keys: U64
    texts: npt.NDArray[np.intp]  # the text that each key belongs to


def ngram_keys(tokens: Tokens, negation_span: int) -> Keys:
    """Keys of the one- to three-grams of `tokens`, with each key's text."""
    count = len(tokens.hashes)
    text = np.repeat(np.arange(len(tokens.offsets) - 1), np.diff(tokens.offsets))
    word = ~tokens.breaks
    hashes = tokens.hashes
    one, two = _shifted(hashes, 1), _shifted(hashes, 2)
    joins = word & _shifted(word, 1) & (text == _shifted(text, 1, -1))
    joins3 = joins & _shifted(joins, 1)
    base = np.uint64(ORDER)
    grid = np.empty((count, 3), np.uint64)
    grid[:, 0] = mix(
        np.where(_negated(tokens.negations, joins, negation_span), hashes ^ np.uint64(NEGATED), hashes)
    )
    grid[:, 1] = mix(one * base + hashes)
    grid[:, 2] = mix((two * base + one) * base + hashes)
    valid = np.stack([np.ones(count, bool), joins, joins3], axis=1)
    return Keys(grid[valid], np.broadcast_to(text[:, None], (count, 3))[valid])


def _shifted(values: npt.NDArray[Any], by: int, fill: Any = 0) -> npt.NDArray[Any]:
    out = np.full_like(values, fill)
    out[by:] = values[:-by] if len(values) > by else values[:0]
    return out


def _negated(
    negations: npt.NDArray[np.bool_], joins: npt.NDArray[np.bool_], span: int
) -> npt.NDArray[np.bool_]:
    """Words at most `span` words after a negation, with nothing between that stops an n-gram."""
    inside = np.zeros(len(negations), bool)
    reach = negations
    for _ in range(span):
        reach = _shifted(reach, 1) & joins
        inside |= reach
    return inside


class Table:
    """A sorted table of keys, as stored in the model file (see the module's text).

    Raises `FeatureError` naming the first thing that is wrong with `data`.
    """

    def __init__(self, data: bytes, name: str) -> None:
        if len(data) < 8:
            raise FeatureError(f"{name}: {len(data)} bytes, too short for a table's header of 8")
        count, bits = (int(value) for value in np.frombuffer(data, "<u4", 2))
        if not 1 <= bits <= 24:
            raise FeatureError(f"{name}: {bits} bucket bits, expected 1 to 24")
        size = 8 + 4 * ((1 << bits) + 1) + 2 * count
        if len(data) != size:
            raise FeatureError(
                f"{name}: {len(data)} bytes, but {count} keys in 2**{bits} buckets take {size}"
            )
        first = np.frombuffer(data, "<u4", (1 << bits) + 1, 8).astype(np.intp)
        rest = np.frombuffer(data, "<u2", count, 8 + 4 * len(first))
        if first[0] != 0 or first[-1] != count or (np.diff(first) < 0).any():
            raise FeatureError(f"{name}: the bucket directory does not run from 0 to {count}")
        bucket = np.repeat(np.arange(1 << bits, dtype=np.uint64), np.diff(first))
        self.bits, self.count = bits, count
        self._prints: U64 = (bucket << np.uint64(REST_BITS)) | rest
        if (np.diff(self._prints.astype(np.int64)) <= 0).any():
            raise FeatureError(f"{name}: keys are not in ascending order")

    def ranks(self, keys: U64) -> npt.NDArray[np.intp]:
        """Rank of each key, -1 where it is not in the table."""
        prints = keys >> np.uint64(64 - self.bits - REST_BITS)
        found = np.searchsorted(self._prints, prints)
        found[found == self.count] = 0
        hit = self._prints[found] == prints if self.count else np.zeros(len(keys), bool)
        return np.where(hit, found, -1)


def pack_table(keys: U64, bits: int) -> tuple[bytes, npt.NDArray[np.intp]]:
    """Bytes of the table of `keys`, and for each of its ranks the index of a key.

    Keys that share bucket and rest are one entry: the first of them is named.
    """
    prints, index = np.unique(keys >> np.uint64(64 - bits - REST_BITS), return_index=True)
    first = np.searchsorted(prints >> np.uint64(REST_BITS), np.arange((1 << bits) + 1, dtype=np.uint64))
    header = np.array([len(prints), bits], "<u4").tobytes()
    rest = (prints & np.uint64((1 << REST_BITS) - 1)).astype("<u2").tobytes()
    return header + first.astype("<u4").tobytes() + rest, index


@dataclass
class Rows:
    """Ids of n reviews, ragged: row i of `wide` is ``wide[wide_offsets[i]:wide_offsets[i + 1]]``."""

    wide_offsets: npt.NDArray[np.uint32]  # n + 1
    wide: npt.NDArray[np.int32]
    word_offsets: npt.NDArray[np.uint32]  # n + 1
    words: npt.NDArray[np.int32]
    flags: npt.NDArray[np.uint8]  # n, bits of `Flag`


RULE_RANGES = {
    "max_tokens": (1, 1 << 20),
    "negation_span": (0, 8),
    "words_head": (0, 1 << 16),
    "words_tail": (0, 1 << 16),
    "unknown_percent": (0, 100),
}


class Extractor:
    """Texts to ids, by the rules and tables of one model. Not thread-safe: one per thread.

    `rules` is the object ``features`` of the model's description: ``version``
    1, and the whole numbers named in `RULE_RANGES`. Raises `FeatureError`.
    """

    def __init__(self, rules: Mapping[str, Any], ngrams: bytes, words: bytes) -> None:
        if rules.get("version") != 1:
            raise FeatureError(f"features.version is {rules.get('version')!r}, this build reads version 1")
        for key, (low, high) in RULE_RANGES.items():
            value = rules.get(key)
            if type(value) is not int or not low <= value <= high:
                raise FeatureError(
                    f"features.{key} is {value!r}, expected a whole number from {low} to {high}"
                )
        self.rules = dict(rules)
        self.ngrams, self.words = Table(ngrams, "edged.ngrams"), Table(words, "edged.words")
        self._tokenizer = Tokenizer(self.rules["max_tokens"])

    def __call__(self, texts: Sequence[bytes | str]) -> Rows:
        """Ids and flags of `texts`."""
        tokens = self._tokenizer(texts)
        wide_offsets, wide = self._wide(tokens)
        ranks = self.words.ranks(mix(tokens.hashes))
        word_offsets, kept = self._window(tokens.offsets)
        flags = np.where(tokens.truncated, Flag.TRUNCATED, 0).astype(np.uint8)
        flags[self._unknown(tokens, ranks) | (np.diff(wide_offsets) == 0)] |= np.uint8(Flag.UNKNOWN)
        return Rows(wide_offsets, wide, word_offsets, (ranks[kept] + 2).astype(np.int32), flags)

    def _wide(self, tokens: Tokens) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
        found = ngram_keys(tokens, self.rules["negation_span"])
        ranks = self.ngrams.ranks(found.keys)
        hit = np.flatnonzero(ranks >= 0)
        pairs = found.texts[hit].astype(np.int64) * self.ngrams.count + ranks[hit]
        hit = hit[np.sort(np.unique(pairs, return_index=True)[1])]
        sizes = np.bincount(found.texts[hit], minlength=len(tokens.offsets) - 1)
        return _offsets(sizes), (ranks[hit] + 1).astype(np.int32)

    def _window(self, offsets: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
        """The words that the deep part reads: all, or the first and the last of a long review."""
        head, tail = self.rules["words_head"], self.rules["words_tail"]
        if self.words.count == 0 or head + tail == 0:
            return np.zeros(len(offsets), np.uint32), np.zeros(0, np.intp)
        sizes = np.diff(offsets)
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        size = np.repeat(sizes, sizes)
        kept = np.flatnonzero((size <= head + tail) | (place < head) | (place >= size - tail))
        return _offsets(np.minimum(sizes, head + tail)), kept

    def _unknown(self, tokens: Tokens, ranks: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        texts = len(tokens.offsets) - 1
        if self.words.count == 0:
            return np.zeros(texts, bool)
        text = np.repeat(np.arange(texts), np.diff(tokens.offsets))[~tokens.breaks]
        known = np.bincount(text, ranks[~tokens.breaks] >= 0, minlength=texts)
        unknown = known * 100 < np.bincount(text, minlength=texts) * self.rules["unknown_percent"]
        return np.asarray(unknown)


def _offsets(sizes: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    offsets = np.zeros(len(sizes) + 1, np.uint32)
    np.cumsum(sizes, out=offsets[1:])
    return offsets
