"""The metadata blocks of a .tflite file: standard library only, any bytes are safe to read."""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # see embedded/imports.py
if TYPE_CHECKING:
    from mmap import mmap

# Field numbers of the tables in TensorFlow Lite's schema (schema.fbs, version 3).
MODEL_BUFFERS, MODEL_METADATA = 4, 6
METADATA_NAME, METADATA_BUFFER = 0, 1
BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE = 0, 1, 2

DESCRIPTION, NGRAMS, WORDS = "edged.json", "edged.ngrams", "edged.words"


class ModelFileError(ValueError):
    """A file is no TensorFlow Lite model, or it is damaged."""


def read_metadata(file: bytes | mmap) -> dict[str, memoryview]:
    """Metadata blocks by name, as views of `file`.

    Raises:
        ModelFileError: `file` is no sound flatbuffer of a TensorFlow Lite model.
    """
    if len(file) < 8 or bytes(file[4:8]) != b"TFL3":
        raise ModelFileError("model file: not a TensorFlow Lite model (bytes 4 to 8 are not TFL3)")
    reader = _Flatbuffer(memoryview(file))
    try:
        return reader.metadata()
    except (struct.error, IndexError):
        raise ModelFileError("model file: an offset points outside the file: it is cut or damaged") from None


class _Flatbuffer:
    """A file of https://flatbuffers.dev/internals; struct and slices check every offset."""

    def __init__(self, file: memoryview) -> None:
        self.file = file

    def metadata(self) -> dict[str, memoryview]:
        root = self.follow(0)
        buffers, count = self.vector(root, MODEL_BUFFERS, 4)
        entries, entry_count = self.vector(root, MODEL_METADATA, 4)
        blocks: dict[str, memoryview] = {}
        for i in range(entry_count):
            entry = self.follow(entries + 4 * i)
            name = bytes(self.block(entry, METADATA_NAME)).decode("utf-8", "replace")
            field = self.field(entry, METADATA_BUFFER)
            number = self.number("<I", field) if field else 0
            if number >= count:
                raise ModelFileError(f'model file: metadata "{name}" names buffer {number} of {count}')
            if name in blocks:
                raise ModelFileError(f'model file: metadata "{name}" is in it twice')
            blocks[name] = self.data(self.follow(buffers + 4 * number))
        return blocks

    def data(self, buffer: int) -> memoryview:
        """What a buffer holds: in its vector, or behind the flatbuffer, where its offset and size say."""
        at, size = (self.field(buffer, number) for number in (BUFFER_OFFSET, BUFFER_SIZE))
        if not at or not size:
            return self.block(buffer, BUFFER_DATA)
        first, length = self.number("<Q", at), self.number("<Q", size)
        if first + length > len(self.file):
            raise IndexError
        return self.file[first : first + length]

    def number(self, form: str, at: int) -> int:
        if at < 0:
            raise IndexError
        value: int = struct.unpack_from(form, self.file, at)[0]
        return value

    def follow(self, at: int) -> int:
        return at + self.number("<I", at)

    def field(self, table: int, number: int) -> int:
        """Position of a table's field, 0 where the table leaves it out."""
        vtable = table - self.number("<i", table)
        slot = 4 + 2 * number
        if slot + 2 > self.number("<H", vtable):
            return 0
        offset = self.number("<H", vtable + slot)
        return table + offset if offset else 0

    def vector(self, table: int, number: int, size: int) -> tuple[int, int]:
        """Position of the first element, and count, of a field that is a vector."""
        field = self.field(table, number)
        if field == 0:
            return 0, 0
        at = self.follow(field)
        count = self.number("<I", at)
        if at + 4 + count * size > len(self.file):
            raise IndexError
        return at + 4, count

    def block(self, table: int, number: int) -> memoryview:
        at, size = self.vector(table, number, 1)
        return self.file[at : at + size]
