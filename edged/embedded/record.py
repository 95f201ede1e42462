"""The packed record between Go and Python, little-endian.

Record, Go to Python::

    0 u8 version = 1 | 1 u8 kind | 2 u16 handle | 4 u32 n (reviews)
    kind 1 (ids):   u32 wide_offsets[n+1], u32 word_offsets[n+1],
                    i32 wide[wide_offsets[n]], i32 words[word_offsets[n]]
    kind 2 (texts): u32 offsets[n+1], then UTF-8 bytes

Reply, Python to Go, status byte first::

    0 | 1 (probabilities) | u16 labels | u32 n | f32 p[n]
    0 | 2 (labelled)      | u16 labels | u32 n | labels x (u16 length, UTF-8) | f32 score[n] | u16 label[n]
    1 | UTF-8 JSON {"type", "message", "traceback"}
"""

from __future__ import annotations

import operator
import struct

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    Offsets = npt.NDArray[np.uint32]
    Ids = npt.NDArray[np.int32]

VERSION = 1
IDS = 1
TEXTS = 2
PROBABILITIES = 1
LABELLED = 2

HEADER = struct.Struct("<BBHI")
_REPLY = struct.Struct("<BBHI")


class RecordError(ValueError):
    """The record does not follow the format: the daemon and this package are not of one version."""


def header(record: bytes) -> tuple[int, int, int]:
    """Return (kind, handle, n).

    Raises:
        RecordError: Too short, or of another version.
    """
    if len(record) < HEADER.size:
        raise RecordError(f"a record of {len(record)} bytes is shorter than its header of {HEADER.size}")
    version, kind, handle, n = HEADER.unpack_from(record)
    if version != VERSION:
        raise RecordError(f"record version {version}, this package reads {VERSION}")
    return kind, handle, n


def ids(record: bytes, n: int) -> tuple[Offsets, Ids, Offsets, Ids]:
    """Return views (wide_offsets[n+1], wide, word_offsets[n+1], words) into a record of kind IDS.

    Raises:
        RecordError: The offsets and the length of the record disagree.
    """
    import numpy as np

    start = HEADER.size
    if len(record) < start + 8 * (n + 1):
        raise RecordError(f"a record of {len(record)} bytes cannot hold the offsets of {n} reviews")
    offsets: Any = np.frombuffer(record, "<u4", 2 * (n + 1), start)
    wide_offsets, word_offsets = offsets[: n + 1], offsets[n + 1 :]
    n_wide, n_words = int(wide_offsets[n]), int(word_offsets[n])
    start += 8 * (n + 1)
    if len(record) != start + 4 * (n_wide + n_words):
        raise RecordError(
            f"a record of {len(record)} bytes, its offsets promise {start + 4 * (n_wide + n_words)}"
        )
    values: Any = np.frombuffer(record, "<i4", n_wide + n_words, start)
    return wide_offsets, values[:n_wide], word_offsets, values[n_wide:]


def texts(record: bytes, n: int) -> list[str]:
    """Return the n reviews of a record of kind TEXTS. Bytes that are not UTF-8 become U+FFFD.

    Raises:
        RecordError: The offsets do not rise, or disagree with the length of the record.
    """
    start = HEADER.size + 4 * (n + 1)
    if len(record) < start:
        raise RecordError(f"a record of {len(record)} bytes cannot hold the offsets of {n} reviews")
    offsets = struct.unpack_from(f"<{n + 1}I", record, HEADER.size)
    if len(record) != start + offsets[n] or offsets[0] != 0 or any(map(operator.gt, offsets, offsets[1:])):
        raise RecordError(f"the text offsets do not fit a record of {len(record)} bytes")
    return [
        record[start + a : start + b].decode("utf-8", "replace") for a, b in zip(offsets[:-1], offsets[1:])
    ]


def probabilities(values: npt.NDArray[np.float32]) -> bytes:
    """Pack the probability of labels[1] of each review, float32[n]."""
    n = values.shape[0]
    return _REPLY.pack(0, PROBABILITIES, 2, n) + values.astype("<f4", copy=False).tobytes()


def labelled(results: Sequence[tuple[str, float]]) -> bytes:
    """Pack (label, score) pairs; a label is stored once.

    Raises:
        ValueError: More than 65535 labels, or a label of more than 65535 bytes.
    """
    numbers: dict[str, int] = {}
    for label, _ in results:
        numbers.setdefault(label, len(numbers))
    if len(numbers) > 0xFFFF:
        raise ValueError(f"{len(numbers)} different labels in one batch, 65535 are possible")
    parts = [_REPLY.pack(0, LABELLED, len(numbers), len(results))]
    for label in numbers:
        encoded = label.encode("utf-8", "replace")
        if len(encoded) > 0xFFFF:
            raise ValueError(f"a label of {len(encoded)} bytes, 65535 are possible")
        parts.append(struct.pack("<H", len(encoded)) + encoded)
    parts.append(struct.pack(f"<{len(results)}f", *(score for _, score in results)))
    parts.append(struct.pack(f"<{len(results)}H", *(numbers[label] for label, _ in results)))
    return b"".join(parts)
