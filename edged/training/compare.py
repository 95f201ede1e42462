"""The shipped model beside other recipes, trained on the same files and judged on the same reviews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edged.features import Extractor
from edged.modelfile import read_metadata
from edged.training import calibrate, ngrams, wide
from edged.training.data import domain_weights
from edged.training.negations import DOMAIN
from edged.training.tables import comparison
from edged.training.teachers import PLAIN

if TYPE_CHECKING:
    from pathlib import Path

    from edged.training.pipeline import Training

Floats = npt.NDArray[np.float32]


def table(training: Training, model: Path) -> str:
    """Markdown: accuracy by domain with 95 % intervals, the finished model last (see `tables.comparison`)."""
    val = training.reviews["val"]
    truth = val.label == 1
    found = {**_recipes(training), **_shipped(training, model)}
    names = list(dict.fromkeys(val.domains))
    return comparison({name: (logits >= 0) == truth for name, logits in found.items()}, val.domain, names)


def _shipped(training: Training, path: Path) -> dict[str, Floats]:
    from edged.embedded.model import Model  # noqa: PLC0415 - only here

    blocks = read_metadata(path.read_bytes())
    found = {}
    for cascade, name in (
        ("off", "edged, wide part alone"),
        ("full", "edged, deep part on all"),
        ("auto", "edged"),
    ):
        model = Model(path, cascade=cascade)
        extract = Extractor(
            model.description["features"], bytes(blocks["edged.ngrams"]), bytes(blocks["edged.words"])
        )
        rows = extract(training.reviews["val"].texts)
        found[name] = model.predict(rows.wide_offsets, rows.wide, rows.word_offsets, rows.words) - np.float32(
            0.5
        )
    return found


def _recipes(training: Training) -> dict[str, Floats]:
    """Logits of the recipes on the validation reviews."""
    gated = training.stage("plain gated", lambda: _plain(training))
    cnn = training.teachers.said(PLAIN, "val")  # trained alone, on labelled reviews
    both = np.column_stack([gated["gated"], training.deep_logits(training.deep_part)])
    val = training.reviews["val"]
    *scale, bias = calibrate.platt(both, val.label, domain_weights(val.domain) ** 2)
    return {
        "TF-IDF(1,2) + logistic regression, float": training.stage("TF-IDF", lambda: _tfidf(training)),
        "linear over 150k n-grams, float": gated["linear"],
        "gated domains, float": gated["gated"],
        "gated domains + CNN, float": gated["gated"] + cnn,
        "gated domains + edged's deep part, float": both @ np.array(scale) + bias,
    }


def _polar(training: Training) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """The reviews of the files with a label of 0 or 1, without the made ones."""
    train = training.reviews["train"]
    polar = np.isin(train.label, (0, 1)) & (train.domain != DOMAIN)
    return polar, train.label[polar], training.weights[polar]


def _plain(training: Training) -> dict[str, Floats]:
    """Linear and gated models as plain sums, on the n-grams that the shipped model keeps."""
    polar, label, weight = _polar(training)
    grams = ngrams.Grams(training.wide_part.keys, training.recipe.rules["negation_span"])
    matrix, val = grams.matrix(training.tokens["train"])[polar], grams.matrix(training.tokens["val"])
    scale = np.sqrt(ngrams.log_ratios(matrix, label, weight))
    linear, bias = wide.fit_linear(matrix, label, weight, scale)
    groups = wide.groups_of(training.reviews["train"].domains)[polar]
    found = wide.fit_gated(matrix, label, weight, groups, from_linear=False)
    return {"linear": val @ linear + np.float32(bias), "gated": found.logits(val)}


def _tfidf(training: Training) -> Floats:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - slow to load
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    polar, label, weight = _polar(training)
    texts: Any = training.reviews["train"].pick(polar).texts
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=60)
    model.fit(vectorizer.fit_transform(texts), label, sample_weight=weight)
    logits: Floats = model.decision_function(vectorizer.transform(training.reviews["val"].texts))
    return logits.astype(np.float32)
