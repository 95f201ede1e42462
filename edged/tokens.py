"""Text to tokens, on bytes, so that every input has an answer, valid UTF-8 or not.

1. *Fold.* ASCII lower-casing; curly quotes, dashes, spaces and ellipses of
   Unicode to ASCII; Latin-1 accents dropped (``é`` to ``e``, precomposed or
   combining); zero-width characters, variation selectors and skin tones
   removed; the usual HTML entities decoded.
2. *Tokens.* Words, numbers, clitics, emoticons, emoji, ``@user``, links, and
   punctuation. ``don't``, ``do n't``, ``dont`` and ``do not`` agree. Other
   characters separate words and leave no trace.

``go_core/features`` gives the same tokens for any bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

MASK = (1 << 64) - 1
FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bits
BREAK, NEGATION = 1, 2  # marks of tokens

_ACCENTS = b"aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty"


_GENERAL_PUNCTUATION = (
    (b"\x8b\x8c\x8d\x8e\x8f\xaa\xab\xac\xad\xae", b""),  # zero width, direction marks
    (b"\x90\x91\x92\x93\x94\x95", b"-"),
    (b"\x98\x99\x9a\x9b", b"'"),
    (b"\x9c\x9d\x9e\x9f", b'"'),
)


def _folds() -> dict[bytes, bytes]:
    table = {
        b"&amp;": b"&",
        b"&lt;": b"<",
        b"&gt;": b">",
        b"&quot;": b'"',
        b"&#34;": b'"',
        b"&apos;": b"'",
        b"&#39;": b"'",
        b"&nbsp;": b" ",
        b"\xe3\x80\x80": b" ",
    }
    for low in range(0x40):
        tail = bytes([0x80 + low])
        table[b"\xc2" + tail] = b" "  # Latin-1 symbols and C1 controls
        table[b"\xc3" + tail] = _ACCENTS[low : low + 1]
        table[b"\xcc" + tail] = b""  # combining marks, U+0300 to U+036F
        if low < 0x30:
            table[b"\xcd" + tail] = b""
        if low < 0x10:
            table[b"\xef\xb8" + tail] = b""  # variation selectors
        if low >= 0x3B:
            table[b"\xf0\x9f\x8f" + tail] = b""  # skin tones
        table[b"\xe2\x80" + tail] = b" "  # general punctuation, refined below
    for seconds, folded in _GENERAL_PUNCTUATION:
        for second in seconds:
            table[b"\xe2\x80" + bytes([second])] = folded
    table[b"\xe2\x80\xa6"] = b"..."
    table[b"\xc2\xad"] = b""
    table[b"\xc2\xb4"] = b"'"
    table[b"\xc2\xab"] = table[b"\xc2\xbb"] = b'"'
    return table


_FOLDS = _folds()
_FOLD = re.compile(
    rb"[\xc2\xc3\xcc][\x80-\xbf]|\xcd[\x80-\xaf]|\xe2\x80[\x80-\xbf]|\xe3\x80\x80|\xef\xb8[\x80-\x8f]"
    rb"|\xf0\x9f\x8f[\xbb-\xbf]|&(?:amp|lt|gt|quot|apos|nbsp|#39|#34);"
)


def fold(text: bytes) -> bytes:
    """Lower-cased ASCII form of `text`; never longer than `text`."""
    return _FOLD.sub(lambda match: _FOLDS[match[0]], text.lower())


_EMOJI = rb"\xf0\x9f[\x80-\xbf]{2}|\xe2[\x98-\x9e][\x80-\xbf]"
_LETTER = (
    rb"(?:[a-z0-9\x80-\xe1\xe3-\xef\xf1-\xff]|\xe2(?![\x98-\x9e][\x80-\xbf])|\xf0(?!\x9f[\x80-\xbf]{2}))"
)
_LEXEME = re.compile(
    rb'(?:https?://|www\.)[^\x00-\x20<>"\x7f]*'
    rb"|[0-9]+(?:[./,][0-9]+)+"
    rb"|" + _LETTER + rb"+(?:'t(?!" + _LETTER + rb"))?"
    rb"|" + _EMOJI + rb"|@[a-z0-9_]+"
    rb"|'(?:s|re|ve|ll|d|m)(?!" + _LETTER + rb")"
    rb"|[:;=][-']?(?:[()\[\]/\\|*]|[dp](?!" + _LETTER + rb"))"
    rb"|<3|<[/a-z!][^<>]{0,200}>"
    rb'|!+|\?+|\.+|,+|;+|:+|\(+|\)+|\[+|\]+|"+|--+|\'\'+|``+'
)
_RUN = re.compile(rb"([a-z])\1{2,}")
_EMOJI_TOKEN = re.compile(_EMOJI)

NEGATIONS = frozenset(b"not no never nothing nobody none neither nor without hardly barely".split())
# Words before "n't" or "nt". A stem that is no word by itself maps to the word it stands for.
STEMS = {
    stem: stem for stem in b"do does did is was are were could would should has have had ai must need".split()
}
STEMS |= {b"ca": b"can", b"wo": b"will"}
LONGEST_NUMBER = 3  # digits; longer ones (years, prices) become one token
LONGEST_FRACTION = 5  # bytes of "10/10"


@dataclass(frozen=True)
class Token:
    """One token: its normal form, and whether n-grams stop there."""

    text: bytes
    breaks: bool = False

    @property
    def hash(self) -> int:
        """64-bit FNV-1a of the normal form."""
        value = FNV_OFFSET
        for byte in self.text:
            value = ((value ^ byte) * FNV_PRIME) & MASK
        return value


def tokens_of(lexeme: bytes) -> tuple[Token, ...]:
    """Tokens of one match of the lexical rules (one, or two for a contraction)."""
    words: tuple[bytes, ...]
    first = lexeme[:1]
    if lexeme.startswith((b"http://", b"https://", b"www.")):
        words = (b"http",)
    elif first == b"@":
        words = (b"@",)
    elif first == b"'" and lexeme != b"'" * len(lexeme):
        words = (lexeme,)
    elif first in b"!?.,;:=()[]\"'`-<" or _EMOJI_TOKEN.fullmatch(lexeme):
        return (Token(_mark(lexeme), True),)
    else:
        words = _words(lexeme)
    return tuple(Token(word) for word in words)


def _mark(lexeme: bytes) -> bytes:
    """Normal form of punctuation, a tag, an emoticon or an emoji."""
    if lexeme[:1] == b"<":
        return lexeme if lexeme == b"<3" else b"."
    if lexeme[:2] in (b"''", b"``"):
        return b'"'
    if lexeme[:1] in b":;=" and lexeme[-1:] not in b":;":
        return b":" + lexeme[-1:]
    return lexeme if lexeme[0] >= 0x80 else lexeme[:2]


def _words(lexeme: bytes) -> tuple[bytes, ...]:
    """Normal forms of a number, a word or a contraction."""
    stem: bytes | None = None
    if lexeme.endswith(b"n't"):
        stem = lexeme[:-3]
    elif lexeme == b"cannot" or (lexeme.endswith(b"nt") and lexeme[:-2] in STEMS):
        stem = lexeme[:2] if lexeme == b"cannot" else lexeme[:-2]
    if stem is not None:
        stem = STEMS.get(stem, stem)
        return (_squeeze(stem), b"not") if stem else (b"not",)
    if lexeme.endswith(b"'t"):
        return (_squeeze(lexeme[:-2]), b"t")
    if not lexeme.translate(None, b"0123456789./,"):
        longest = LONGEST_NUMBER if lexeme.isdigit() else LONGEST_FRACTION
        return (lexeme if len(lexeme) <= longest else b"0",)
    return (_squeeze(lexeme),)


def _squeeze(word: bytes) -> bytes:
    return _RUN.sub(rb"\1\1", word)


def tokenize(text: bytes | str) -> list[Token]:
    """All tokens of `text`, in order."""
    return [token for lexeme in _LEXEME.findall(fold(_as_bytes(text))) for token in tokens_of(lexeme)]


def _as_bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


@dataclass
class Tokens:
    """The tokens of many texts, flat: text i is ``[offsets[i]:offsets[i + 1]]``."""

    offsets: npt.NDArray[np.intp]
    hashes: npt.NDArray[np.uint64]
    breaks: npt.NDArray[np.bool_]
    negations: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]


class Tokenizer:
    """Turns texts into `Tokens`, remembering the lexemes it has met.

    One tokenizer per thread. The memory is dropped when it holds `capacity`
    lexemes, so hostile input cannot make it grow without bound.
    """

    def __init__(self, max_tokens: int, capacity: int = 200_000) -> None:
        self.max_tokens, self.capacity = max_tokens, capacity
        self._seen: dict[bytes, tuple[tuple[int, ...], bytes]] = {}

    def _remember(self, lexeme: bytes) -> tuple[tuple[int, ...], bytes]:
        tokens = tokens_of(lexeme)
        marks = bytes(
            BREAK if token.breaks else NEGATION if token.text in NEGATIONS else 0 for token in tokens
        )
        self._seen[lexeme] = entry = (tuple(token.hash for token in tokens), marks)
        return entry

    def __call__(self, texts: Iterable[bytes | str]) -> Tokens:
        """Tokens of `texts`; each text is read up to `max_tokens` tokens."""
        if len(self._seen) > self.capacity:
            self._seen.clear()
        seen, remember, limit = self._seen, self._remember, self.max_tokens
        hashes: list[int] = []
        marks = bytearray()
        offsets, truncated = [0], []
        for text in texts:
            start = len(hashes)
            for lexeme in _LEXEME.findall(fold(_as_bytes(text))):
                some_hashes, some_marks = seen.get(lexeme) or remember(lexeme)
                hashes += some_hashes
                marks += some_marks
            truncated.append(len(hashes) - start > limit)
            del hashes[start + limit :], marks[start + limit :]
            offsets.append(len(hashes))
        mark = np.frombuffer(bytes(marks), np.uint8)
        return Tokens(
            np.array(offsets, np.intp),
            np.array(hashes, np.uint64),
            mark == BREAK,
            mark == NEGATION,
            np.array(truncated, bool),
        )
