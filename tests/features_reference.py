"""The reference for text to ids, asked by the fuzzing in go_core/features/differential_test.go.

Blocks are a u32 size and as many bytes. In: the tables as JSON, then questions, each a block of texts, which
are blocks too. Out: an empty block, and for each question a block of as many answers, each a block of u8
flags, then the ids and the words as u32 count and u32s.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
from typing import TYPE_CHECKING, BinaryIO

from edged.features import Extractor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edged.features import Rows


def main() -> None:
    """Answer until the input ends."""
    questions = blocks(sys.stdin.buffer)
    tables = json.loads(next(questions))
    extract = Extractor(tables["rules"], *(base64.b64decode(tables[name]) for name in ("ngrams", "words")))
    put(b"")
    for question in questions:
        put(b"".join(map(packed, answers(extract(list(blocks(io.BytesIO(question))))))))


def answers(rows: Rows) -> Iterator[bytes]:
    """Each row as Go writes it."""
    for i, flags in enumerate(rows.flags):
        answer = bytes([flags])
        for offsets, values in ((rows.wide_offsets, rows.wide), (rows.word_offsets, rows.words)):
            ids = values[offsets[i] : offsets[i + 1]]
            answer += struct.pack("<I", len(ids)) + ids.astype("<u4").tobytes()
        yield answer


def blocks(source: BinaryIO) -> Iterator[bytes]:
    """The blocks of a stream until it ends."""
    while size := source.read(4):
        yield source.read(*struct.unpack("<I", size))


def packed(data: bytes) -> bytes:
    """A block of `data`."""
    return struct.pack("<I", len(data)) + data


def put(data: bytes) -> None:
    """Write a block at once."""
    sys.stdout.buffer.write(packed(data))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
