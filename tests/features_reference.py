"""The reference for text to ids, asked by the fuzzing in go_core/features/differential_test.go.

Blocks are a u32 size and as many bytes. In: the tables as JSON, then texts. Out: an empty block, and for each
text u8 flags, then the ids and the words, each as u32 count and u32s.
"""

from __future__ import annotations

import base64
import json
import struct
import sys

from edged.features import Extractor


def main() -> None:
    """Answer until the input ends."""
    tables = json.loads(block() or b"")
    extract = Extractor(tables["rules"], *(base64.b64decode(tables[name]) for name in ("ngrams", "words")))
    put(b"")
    while (text := block()) is not None:
        rows = extract([text])
        answer = rows.flags[:1].astype("u1").tobytes()
        for ids in (rows.wide, rows.words):
            answer += struct.pack("<I", len(ids)) + ids.astype("<u4").tobytes()
        put(answer)


def block() -> bytes | None:
    """The next block of the input; None at its end."""
    size = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(*struct.unpack("<I", size)) if size else None


def put(data: bytes) -> None:
    """Write a block at once."""
    sys.stdout.buffer.write(struct.pack("<I", len(data)) + data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
