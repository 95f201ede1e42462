"""Training: data, calibration, comparison, a small run. `make train-test` has what the last ones need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edged.errors import DataError
from edged.training import denials
from edged.training.data import Reviews, domain_weights, read_folder
from edged.training.tables import comparison, interval, resampled

if TYPE_CHECKING:
    from pathlib import Path


def test_labels_of_every_kind(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "label": 0},
        {"text": "b", "label": "positive"},
        {"text": "c", "label": None},
        {"text": "d", "label": None, "points": 87.5},
        {"text": "e", "label": 0.25, "domain": "other"},
    ]
    (tmp_path / "mine-train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "more-train.csv").write_text("text,label\nfine,1\n")
    found = read_folder(tmp_path, "train")
    assert found.labels[:2] == [0.0, 1.0]
    assert np.isnan(found.labels[2])
    assert found.labels[3:] == [0.5, 0.25, 1.0]
    assert found.domains == ["mine"] * 4 + ["other", "more"]
    assert len(found.labelled.texts) == 5
    assert found.polar.texts == ["a", "b", "fine"]


@pytest.mark.parametrize("label", ["7", "-1", "bad"])
def test_a_label_that_is_none(tmp_path: Path, label: str) -> None:
    (tmp_path / "mine-val.csv").write_text(f"text,label\nfine,{label}\n")
    with pytest.raises(DataError, match=r"mine-val\.csv: review 1: label '.*'; expected 0, 1"):
        read_folder(tmp_path, "val")


def test_a_folder_without_such_files(tmp_path: Path) -> None:
    assert read_folder(tmp_path, "train").texts == []


def test_domains_count_with_the_root_of_their_size() -> None:
    weights = domain_weights(np.array(["large"] * 400 + ["small"] * 4))
    assert weights.mean() == pytest.approx(1)
    assert weights[:400].sum() / weights[400:].sum() == pytest.approx(10)


def test_the_bootstrap_covers_what_it_should() -> None:
    rng = np.random.default_rng(0)
    domains = np.array(["a"] * 500)
    inside = 0
    for _ in range(60):
        low, high = interval(resampled(rng.random(500) < 0.8, domains, ["a"])[:, 0])
        inside += low <= 80 <= high
    assert inside >= 50


def test_a_comparison_marks_what_is_significant() -> None:
    domains = np.array(["a"] * 1000)
    better, worse = np.arange(1000) < 900, np.arange(1000) < 800
    assert "80.0 ±2.5 *" in comparison({"old": worse, "new": better}, domains, ["a"])
    assert " !" in comparison({"old": better, "new": worse}, domains, ["a"])
    assert "*" not in comparison({"old": better, "new": better}, domains, ["a"])


def test_the_cascade_and_its_bands() -> None:
    pytest.importorskip("scipy", reason="needs the extra train: make train-test")
    from edged.training import calibrate

    rng = np.random.default_rng(0)
    label = (rng.random(4000) < 0.5).astype(np.float32)
    both = ((2 * label - 1) * 2 + rng.normal(0, 1.5, 4000)).astype(np.float32)
    wide = (both + rng.normal(0, 1.5, 4000)).astype(np.float32)
    domains = np.array(["a"] * 4000)
    curve = calibrate.cascade_curve(wide, both, np.zeros(4000, bool), label, domains)
    assert curve[0].accuracy < curve[-1].accuracy
    chosen = calibrate.knee(curve)
    assert 0 < chosen.share < 1
    assert chosen.accuracy >= curve[-1].accuracy - calibrate.GIVEN_UP
    scale, bias = calibrate.platt(both[:, None], label, np.ones(4000, np.float32))
    p = 1 / (1 + np.exp(-(both * scale + bias)))
    low, high = calibrate.uncertain_band(p.astype(np.float32), label, np.ones(4000, np.float32))
    assert low < 0.5 < high
    assert low + high == pytest.approx(1)
    inside = (p >= low) & (p <= high)
    assert ((p >= 0.5) == (label == 1))[inside].mean() <= calibrate.DOUBT


def test_a_calibration_is_judged_on_reviews_it_was_not_fitted_on() -> None:
    pytest.importorskip("scipy", reason="needs the extra train: make train-test")
    from edged.training import calibrate

    rng = np.random.default_rng(2)
    truth = rng.normal(0, 2, 6000).astype(np.float32)
    label = (rng.random(6000) < 1 / (1 + np.exp(-truth))).astype(np.float32)
    no, one = np.zeros(6000, np.float32), np.ones(6000, np.float32)
    logits = calibrate.Logits(2 * truth, one[:, None], no, no)
    band = calibrate.Band(0.5, no > 0)
    found = calibrate.cross_fitted(logits, band, label, one)
    assert found == pytest.approx(1 / (1 + np.exp(-truth)), abs=0.08)
    shuffled = rng.permutation(label)  # nothing to learn: it must not know the labels
    found = calibrate.cross_fitted(logits, band, shuffled, one)
    assert abs(np.corrcoef(found, shuffled)[0, 1]) < 0.05


def test_the_deep_part_reads_what_it_always_reads() -> None:
    pytest.importorskip("scipy", reason="needs the extra train: make train-test")
    from edged.training import calibrate

    wide, both = np.array([-3, -0.1, 2, 4], np.float32), np.array([1, 1, -1, 4], np.float32)
    always = np.array([True, False, False, False])
    assert calibrate.Band(0.5, always).logits(wide, both).tolist() == [1, 1, 2, 4]
    label = np.array([1, 1, 1, 1], np.float32)
    curve = calibrate.cascade_curve(wide, both, always, label, np.array(["a"] * 4))
    assert (curve[0].share, curve[0].accuracy) == (0.25, 75)  # no less than those, whatever the band
    assert (curve[-1].share, curve[-1].accuracy) == (1, 75)
    assert max(step.accuracy for step in curve) == 100


def test_a_denied_opinion_is_its_contrary() -> None:
    reviews = Reviews()
    for thing in "soup room film phone hotel cake song wine".split():
        for word, label in (("bland", 0.0), ("drab", 0.0), ("lovely", 1.0), ("superb", 1.0)):
            reviews.extend(
                Reviews([f"The {thing} was {word}.", f"Really {word}!"], [label] * 2, ["food"] * 2)
            )
    reviews.extend(Reviews(["The tea was not bland.", "The tea was fun."], [1.0, 0.5], ["food"] * 2))
    made = denials.sentences(reviews)
    assert len(made.texts) > 40
    assert made == denials.sentences(reviews)
    assert set(made.domains) == {denials.DOMAIN}
    for text, label in zip(made.texts, made.labels):
        words = set(text.split())
        assert "was" in words
        assert "tea" not in words  # of reviews with a negation, or without a label, nothing is known
        assert (label > 0.5) == (bool(words & {"not", "never"}) == bool(words & {"bland", "drab"}))
    assert denials.sentences(Reviews()).texts == []


GOOD, BAD = "good great lovely superb tasty".split(), "bad awful dreadful poor bland".split()
THINGS = "wine soup room film phone hotel cake song".split()


def made(count: int, seed: int) -> Reviews:
    rng = np.random.default_rng(seed)
    reviews = Reviews()
    for i in range(count):
        words = GOOD if i % 2 else BAD
        thing = rng.choice(THINGS)
        reviews.texts.append(
            f"The {thing} was {rng.choice(words)} and {rng.choice(words)}, thing {rng.integers(50)}."
        )
        reviews.labels.append(float(i % 2))
        reviews.domains.append(("food", "travel")[i % 3 == 0])
    return reviews


def test_labels_between_are_pushed_apart_and_count_less() -> None:
    pytest.importorskip("scipy", reason="needs the extra train: make train-test")
    from edged.training import negations, wide

    labels = np.array([0, 1, 0.2, 0.8, 0.5, 0.8], np.float32)
    domains = np.array(["food"] * 5 + [negations.DOMAIN])
    found, weights = wide.pushed_apart(labels, np.ones(6, np.float32), domains)
    assert found == pytest.approx([0, 1, 1 / 65, 64 / 65, 0.5, 0.8])
    assert weights == pytest.approx([1, 1, 0.4, 0.4, 0.4, 1])
    assert labels[2] == np.float32(0.2)


def test_a_word_may_decide_in_one_group_alone() -> None:
    pytest.importorskip("scipy", reason="needs the extra train: make train-test")
    import scipy.sparse as sp

    from edged.training import wide

    # Columns: the word "dry", praise of food and blame of travel, and a word of each group.
    labels, groups = np.array([1, 0] * 60, np.float32), np.array(["food", "travel"]).repeat(60)
    dry = np.where(groups == "food", labels, 1 - labels)
    of_group = (groups == "food").astype(np.float32)
    matrix = sp.csr_matrix(np.column_stack([dry, of_group, 1 - of_group]).astype(np.float32))
    found = wide.fit_gated(matrix, labels, np.ones(120, np.float32), groups)
    assert ((found.logits(matrix) > 0) == (labels == 1)).all()


def test_what_the_wide_part_says_of_reviews_it_has_not_seen() -> None:
    pytest.importorskip("scipy", reason="needs the extra train: make train-test")
    from dataclasses import replace

    from edged.tokens import Tokenizer
    from edged.training import ngrams, wide, widepart
    from edged.training.recipe import Recipe

    reviews = made(600, 4)
    rng = np.random.default_rng(6)
    reviews.labels = rng.permutation(reviews.labels).tolist()  # nothing can be known of a review not seen
    tokens, recipe = Tokenizer(100)(reviews.texts), replace(Recipe(), ngrams=2000)
    found = widepart.fitted(reviews, tokens, np.ones(600, np.float32), recipe)
    seen = found.gated.logits(wide.damped(ngrams.Grams(found.keys, 3).matrix(tokens)))
    label = reviews.label == 1
    assert ((seen > 0) == label).mean() > 0.65
    assert abs(((found.crossed > 0) == label).mean() - 0.5) < 0.1


@pytest.mark.filterwarnings("default")
def test_a_network_learns_what_is_not_known_yet() -> None:
    pytest.importorskip("tensorflow", reason="needs the extra train: make train-test")
    from edged.training import deep

    rng = np.random.default_rng(8)
    ids = rng.integers(2, 6, 2000).astype(np.int32)  # reviews of one word: even ones are good, odd ones bad
    target = (ids % 2 == 0).astype(np.float32)
    known = np.where(ids < 4, 8 * target - 4, 0).astype(np.float32)
    words = deep.Words(ids, np.arange(2001), target, np.ones(2000, np.float32), known)
    shape = deep.Shape(4, 8, filters=8, hidden=8)
    deep.seed(1)
    network = deep.network(shape, rng.normal(0, 1, (6, 8)).astype(np.float32))
    deep.fit(network, lambda _: words, epochs=60, rate=0.01, unknown=0)
    said = np.abs(deep.logits(network, words))
    assert said[ids >= 4].min() > 2
    assert said[ids < 4].max() < said[ids >= 4].min()


@pytest.mark.filterwarnings("default")
def test_the_graph_reads_as_the_training_does() -> None:
    pytest.importorskip("tensorflow", reason="needs the extra train: make train-test")
    from edged.features import Rows
    from edged.training import calibrate, graph
    from edged.training.flatbuffer import join
    from edged.training.tflite import Reader

    rng = np.random.default_rng(5)
    wide = graph.Wide.quantized(*(rng.normal(0, 1, shape).astype(np.float32) for shape in ((50, 5), 5)))
    wide.trust = np.array([0.7, 1.4, -0.2], np.float32)
    ids = rng.integers(1, 51, 30_000).astype(np.int32)
    offsets = np.array([0, 3, 10, 400, 30_000], np.uint32)  # the last is trusted least
    rows = Rows(offsets, ids, np.zeros(5, np.uint32), np.zeros(0, np.int32), np.zeros(4, np.uint8))
    logit, gates, length = wide.read(rows)
    factor = np.maximum(gates @ wide.trust[:-1] + wide.trust[-1] * length, calibrate.LEAST_TRUST)
    assert factor[-1] == np.float32(calibrate.LEAST_TRUST) < factor[:-1].min()
    found = Reader(join(graph.wide_models(wide), {})).wide(rows)
    assert found == pytest.approx(logit * factor, rel=1e-3)


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # the converter warns of what it does not need
def test_a_whole_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the extra train: make train-test")
    from dataclasses import replace

    from edged.baselines.scorer import Scorer
    from edged.training import deep
    from edged.training.pipeline import Training
    from edged.training.recipe import Recipe

    for split, count in (("train", 1200), ("val", 200), ("unlabelled", 100)):
        reviews = made(count, len(split))
        rows = [
            {"text": text, "label": None if split == "unlabelled" else label, "domain": domain}
            for text, label, domain in zip(reviews.texts, reviews.labels, reviews.domains)
        ]
        (tmp_path / f"all-{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shape = deep.Shape(60, 8, filters=8, hidden=8)
    recipe = replace(Recipe(), ngrams=500, vocabulary=60, shape=shape, teacher_shape=shape)
    recipe = replace(recipe, teacher_epochs=1, epochs=2)
    file, description, curve = Training(tmp_path, recipe, tmp_path / "cache").build()
    path = tmp_path / "model.tflite"
    path.write_bytes(file)
    assert {entry["domain"] for entry in description["data"]} == {"food", "travel"}
    assert curve[-1].accuracy > 95
    found = Scorer(path)(["A superb cake, lovely and tasty.", "The soup was awful and bland."])
    assert [prediction.label for prediction in found] == ["positive", "negative"]
