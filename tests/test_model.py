"""The shipped model: the file, and what the embedded interpreter makes of it."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

import edged
from edged.embedded.model import Model, ModelError, Negated, _logistic, description
from edged.features import Extractor, Rows
from edged.modelfile import ModelFileError, read_metadata
from edged.tokens import NEGATIONS

SHIPPED = Path(edged.__file__).parent / "models/edged.tflite"


@pytest.fixture(scope="module")
def model() -> Model:
    """The shipped model."""
    return Model(SHIPPED)


@pytest.fixture(scope="module")
def extract(model: Model) -> Extractor:
    """Its features."""
    blocks = read_metadata(SHIPPED.read_bytes())
    return Extractor(
        model.description["features"], bytes(blocks["edged.ngrams"]), bytes(blocks["edged.words"])
    )


def predict(model: Model, rows: Rows) -> list[float]:
    probabilities = model.predict(rows.wide_offsets, rows.wide, rows.word_offsets, rows.words)
    assert probabilities.dtype == np.float32
    return [float(p) for p in probabilities]


def test_the_file_holds_everything_and_is_small_enough() -> None:
    assert SHIPPED.stat().st_size <= 4 << 20
    assert (
        f"SHA-256: `{hashlib.sha256(SHIPPED.read_bytes()).hexdigest()}`"
        in SHIPPED.with_suffix(".md").read_text()
    )
    assert {"edged.json", "edged.ngrams", "edged.words"} <= read_metadata(SHIPPED.read_bytes()).keys()


@pytest.mark.parametrize(
    ("text", "positive"),
    [
        ("An excellent film, moving and funny.", True),
        ("A dull, lifeless film. Two hours I will never get back.", False),
        ("Great service and delicious food!", True),
        ("The battery died after two days, a waste of money.", False),
        ("@user you cancelled my flight again, worst airline ever", False),
        ("Elegant and complex, with a long, polished finish.", True),
    ],
)
def test_plain_opinions(model: Model, extract: Extractor, text: str, positive: bool) -> None:
    (p,) = predict(model, extract([text]))
    assert (p > 0.5) == positive


def test_batches_of_any_shape_give_what_single_reviews_give(model: Model, extract: Extractor) -> None:
    long = " ".join(f"word{i} was a very good film and not bad" for i in range(700))
    texts = [
        "",
        "good",
        "bad " * 50,
        "zzzz",
        long,
        "",
        "a fine wine",
        *["not good at all"] * 300,
        long * 3,
        "",
    ]
    each = [predict(model, extract([text]))[0] for text in texts]
    assert predict(model, extract(texts)) == pytest.approx(each, abs=1e-5)
    assert predict(model, extract(texts[::-1])) == pytest.approx(each[::-1], abs=1e-5)


def test_more_ids_than_the_largest_signature_takes(model: Model) -> None:
    ids = np.arange(1, 9001, dtype=np.int32)
    whole = model.parts.wide_logits(np.array([0, 9000], np.uint32), ids)
    again = model.parts.wide_logits(np.array([0, 0, 9000, 9000, 9001], np.uint32), np.append(ids, ids[:1]))
    assert again[1] == pytest.approx(whole[0], abs=1e-4)
    assert again[0] == again[2]


def test_no_reviews(model: Model, extract: Extractor) -> None:
    assert predict(model, extract([])) == []


def test_extreme_logits_do_not_overflow() -> None:
    calibration = (0.5, 0.0)
    assert _logistic(np.array([-1e6, 1e6], np.float32), calibration).tolist() == [0.0, 1.0]


def test_the_cascade_reads_deep_where_it_says(model: Model, extract: Extractor) -> None:
    long = (
        "The food was superb and the staff were lovely, I never had a better evening in my life, thank you!"
    )
    unsure = "The plot is thin but the cast is fine."
    texts = ["An excellent film, moving and funny.", unsure, "The soup was never hot.", long]
    rows = extract(texts)
    off, full = Model(SHIPPED, cascade="off"), Model(SHIPPED, cascade="full")
    wide, both, auto = predict(off, rows), predict(full, rows), predict(model, rows)
    logits = model.parts.wide_logits(rows.wide_offsets, rows.wide)
    band = model.description["cascade"]
    read = [band["low"] <= logit <= band["high"] for logit in logits]
    assert read == [False, True, False, False]
    read[2] = True  # short and negated
    for i in range(4):
        assert auto[i] == pytest.approx(both[i] if read[i] else wide[i], abs=1e-6)
        assert predict(model, extract([texts[i]])) == pytest.approx([auto[i]], abs=1e-6)
        assert both[i] != wide[i]


def test_negations_that_the_model_names_are_the_features_own(model: Model, extract: Extractor) -> None:
    known = {int(word) for word in extract(sorted(NEGATIONS)).words} - {1}
    assert set(model.description["cascade"]["negated"]["ids"]) == known
    assert len(known) >= 10


def test_short_reviews_with_a_negation_are_found_alone_and_in_batches() -> None:
    rng = np.random.default_rng(1)
    negated = Negated(most_words=4, ids=[3, 9])
    for _ in range(50):
        sizes = rng.integers(0, 8, rng.integers(1, 20))
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint32)
        words = rng.integers(0, 14, offsets[-1]).astype(np.int32)  # ids below, between and above the two
        reviews = [words[start:end] for start, end in zip(offsets, offsets[1:])]
        expected = [len(review) <= 4 and bool({3, 9} & set(review.tolist())) for review in reviews]
        assert negated(offsets, words).tolist() == expected
        assert [negated.one(review) for review in reviews] == expected
    assert not Negated()(offsets, words).any()  # a model that does not ask for it


def test_an_unknown_cascade() -> None:
    with pytest.raises(ModelError, match="cascade is 'most', expected one of auto, off, full"):
        Model(SHIPPED, cascade="most")


def test_weights_are_int8() -> None:
    tflite = pytest.importorskip("tflite_runtime.interpreter")
    interpreter = tflite.Interpreter(str(SHIPPED))
    reader = interpreter._interpreter
    types: dict[tuple[str, int], set[type]] = {}
    for name in interpreter.get_signature_list():
        graph = reader.GetSubgraphIndexFromSignature(name)
        for i in range(reader.NumTensors(graph)):
            try:
                shape = reader.TensorSize(i, graph)
            except ValueError:  # a scalar has none
                continue
            weights = "const" in reader.TensorName(i, graph).lower() and len(shape) > 1
            if weights or np.prod(shape) > 100_000:
                types.setdefault((name, int(np.prod(shape))), set()).add(reader.TensorType(i, graph))
    assert {kind for kinds in types.values() for kind in kinds} == {np.int8}
    tables = {size for _, size in types if size > 100_000}
    assert len(tables) == 2
    assert sum(tables) > SHIPPED.stat().st_size * 0.8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: .*No such file"),
        (b"", "cannot be read: cannot mmap an empty file"),
        (b"Once upon a time", "not a TensorFlow Lite model"),
        (b"\x10\0\0\0TFL3" + bytes(8), "an offset points outside the file"),
        (SHIPPED.read_bytes()[:100], "an offset points outside the file"),
        (SHIPPED.read_bytes()[:-100], "an offset points outside the file"),  # the tables lie behind the rest
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        Model(path)


def test_a_model_without_a_description(tmp_path: Path) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(SHIPPED.read_bytes().replace(b"edged.json", b"other.json"))
    with pytest.raises(ModelError, match=r"no edged\.json in it; use a model that edged's training"):
        description(path)


def test_a_model_of_a_later_format(tmp_path: Path) -> None:
    path = tmp_path / "later.tflite"
    path.write_bytes(SHIPPED.read_bytes().replace(b'{"format":1,', b'{"format":2,'))
    with pytest.raises(ModelError, match="format 2, this version reads 1"):
        Model(path)


def test_damaged_files_never_pass_the_bounds() -> None:
    file = SHIPPED.read_bytes()
    rng = np.random.default_rng(7)
    head = bytearray(file[:4096])
    for _ in range(2000):
        damaged = bytearray(head)
        for at in rng.integers(8, len(head), 3):
            damaged[at] = rng.integers(256)
        struct.pack_into("<I", damaged, 0, int(rng.integers(0, 4096)))
        try:
            blocks = read_metadata(bytes(damaged))
        except ModelFileError:
            continue
        assert all(len(block) <= len(damaged) for block in blocks.values())
