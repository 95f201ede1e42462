"""Go against Python: the same ids for random and mutated texts.

The short form runs in `make test`. The long form:
EDGED_DIFFERENTIAL=1000000 pytest tests/test_differential.py
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edged
from edged.features import Extractor
from edged.modelfile import read_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
COUNT = int(os.environ.get("EDGED_DIFFERENTIAL", "20000"))
CHUNK = 5000
SEED = int(os.environ.get("EDGED_DIFFERENTIAL_SEED", "8"))

FRAGMENTS = [
    *"'\"`-:;=()[]<>/\\|*!?.,&#@_ \0\x7f\u00a0\u00ad\u200b\u200d\u2019\u201c\u2014\u2026\ufe0f\u0301\u3000",
    *("n't 't nt 's 're 'll cannot won't dont ca wo not no never 10/10 1,000 1.5 1234 12 a.b 2nd".split()),
    *("http:// https:// www. @user <br> <b </p> <3 :-) :( ;d :p =] &amp; &#39; &quot; &nbsp; &lt;".split()),
    *("very good bad wine film sooo oooo the is a \U0001f600 \U0001f44d\U0001f3fd \u2764".split()),
    *("\u0634\u0643\u0631\u0627 \u7f8e\u5473\u3057\u3044 \u0421\u041f \ud55c\uad6d \u0e14\u0e35".split()),
]  # fmt: skip
HALVES = [
    b"\xe2",
    b"\xe2\x80",
    b"\xf0\x9f",
    b"\xf0\x9f\x8f",
    b"\xc2",
    b"\xc3",
    b"\xcc",
    b"\xef\xb8",
    b"\x80",
    b"\xff",
]


def texts(rng: random.Random, base: list[bytes]) -> Iterator[bytes]:
    while True:
        kind = rng.random()
        if kind < 0.4:
            yield mutated(rng, rng.choice(base))
        elif kind < 0.75:
            glue = rng.choice(["", " "])
            yield glue.join(rng.choices(FRAGMENTS, k=rng.randrange(1, 25))).encode()
        elif kind < 0.9:
            code_points = (rng.randrange(rng.choice([0x80, 0x800, 0x3100, 0x20000])) for _ in range(20))
            yield "".join(map(chr, code_points)).encode("utf-8", "surrogatepass")
        else:
            yield rng.randbytes(rng.randrange(40))


def mutated(rng: random.Random, text: bytes) -> bytes:
    """A piece of a real review with bytes dropped, doubled, replaced and put in."""
    start = rng.randrange(max(1, len(text) - 50))
    data = bytearray(text[start : start + rng.randrange(20, 300)])
    for _ in range(rng.randrange(8)):
        at = rng.randrange(len(data) + 1)
        with_what = rng.choice(
            [b"", rng.choice(HALVES), rng.choice(FRAGMENTS).encode(), data[at : at + 3] * 2]
        )
        data[at : at + rng.randrange(3)] = with_what
    return bytes(data)


def go_ids(folder: Path, tables: bytes, batch: list[bytes]) -> Iterator[tuple[int, list[int], list[int]]]:
    source, result = folder / "texts", folder / "ids"
    source.write_bytes(b"".join(struct.pack("<I", len(block)) + block for block in [tables, *batch]))
    subprocess.run(
        ["go", "test", "-count=1", "-run", "^TestDifferential$", "./features"],
        cwd=ROOT / "go_core",
        env=os.environ | {"EDGED_TEXTS": str(source), "EDGED_IDS": str(result)},
        check=True,
        capture_output=True,
    )
    data, at = result.read_bytes(), 0
    while at < len(data):
        flags, at = data[at], at + 1
        found = []
        for _ in range(2):
            (count,) = struct.unpack_from("<I", data, at)
            found.append(list(struct.unpack_from(f"<{count}I", data, at + 4)))
            at += 4 + 4 * count
        yield flags, found[0], found[1]


@pytest.mark.timeout(3600 if COUNT > 100_000 else 300)
def test_go_and_python_agree_on_any_bytes(tmp_path: Path) -> None:
    model = (Path(edged.__file__).parent / "models/edged.tflite").read_bytes()
    blocks = {name: bytes(block) for name, block in read_metadata(model).items()}
    rules = json.loads(blocks["edged.json"])["features"]
    # The windows are small here so that they close on short texts too.
    rules |= {"words_head": 5, "words_tail": 9, "max_tokens": 60}
    encoded = {name: base64.b64encode(blocks[f"edged.{name}"]).decode() for name in ("ngrams", "words")}
    extract = Extractor(rules, blocks["edged.ngrams"], blocks["edged.words"])
    with gzip.open(ROOT / "edged/sample/wine.jsonl.gz") as sample:
        base = sample.read().splitlines()
    rng = random.Random(SEED)
    source = texts(rng, base)
    tables = json.dumps({"rules": rules, **encoded}).encode()
    seen = 0
    while seen < COUNT:
        batch = [next(source) for _ in range(min(CHUNK * 10, COUNT - seen))]
        answers = list(go_ids(tmp_path, tables, batch))
        assert len(answers) == len(batch)
        for first in range(0, len(batch), CHUNK):
            rows = extract(batch[first : first + CHUNK])
            for i, text in enumerate(batch[first : first + CHUNK]):
                wide = rows.wide[rows.wide_offsets[i] : rows.wide_offsets[i + 1]].tolist()
                words = rows.words[rows.word_offsets[i] : rows.word_offsets[i + 1]].tolist()
                assert answers[first + i] == (rows.flags[i], wide, words), text
        seen += len(batch)
