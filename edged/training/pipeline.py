"""The stages from a folder of reviews to a model file."""

from __future__ import annotations

import json
import pickle
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from edged.embedded.model import Negated
from edged.features import Extractor, mix, pack_table
from edged.tokens import NEGATIONS, Tokenizer, Tokens
from edged.training import calibrate, deep, denials, graph, lesson, negations, ngrams, wide, widepart
from edged.training.beside import Beside
from edged.training.data import SOURCES, Reviews, domain_weights, read_folder
from edged.training.deep import Fitted
from edged.training.flatbuffer import join
from edged.training.teachers import Teachers
from edged.training.tflite import Reader
from edged.training.vectors import word_vectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edged.training.deep import Shape
    from edged.training.recipe import Recipe
    from edged.training.widepart import WidePart

T = TypeVar("T")
Floats = npt.NDArray[np.float32]
U64 = npt.NDArray[np.uint64]


class Training:
    """One run; each property is a stage, worked out when first asked for and kept in `cache`, if given."""

    def __init__(self, data: Path, recipe: Recipe, cache: Path | None = None) -> None:
        self.data, self.recipe, self.cache = data, recipe, cache
        self._started = time.monotonic()
        self._beside: Beside[WidePart] | None = None

    def stage(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives, from the cache where it has that."""
        path = self.cache / f"{name}.pickle" if self.cache else None
        if path and path.exists():
            found: T = pickle.loads(path.read_bytes())  # noqa: S301 - written below
            return found
        print(f"{time.monotonic() - self._started:6.0f} s  {name} ...", flush=True)
        found = make()
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(found, protocol=5))
        return found

    @cached_property
    def reviews(self) -> dict[str, Reviews]:
        """train: labelled, soft labels and made sentences too; val: labels 0 and 1; unlabelled; denials."""
        found = {split: read_folder(self.data, split) for split in ("train", "val", "unlabelled")}
        train = found["train"].labelled
        denied = self.stage("denials", lambda: denials.sentences(train))
        if train.texts:
            train.extend(self.stage("negations", lambda: negations.sentences(train)))
        unlabelled = found["unlabelled"]
        cut = np.random.default_rng(self.recipe.seed).random(len(unlabelled.texts)) < self.recipe.in_sentences
        sentences, unlabelled = unlabelled.pick(cut).sentences, unlabelled.pick(~cut)
        unlabelled.extend(sentences)
        # What labelled files leave undecided too; not their reviews' sentences, half known to the wide part.
        unlabelled.extend(found["train"].pick(np.isnan(found["train"].label)))
        return {"train": train, "val": found["val"].polar, "unlabelled": unlabelled, "denials": denied}

    @cached_property
    def tokens(self) -> dict[str, Tokens]:
        """Tokens of each split."""
        tokenizer = Tokenizer(self.recipe.rules["max_tokens"])
        return {
            split: self.stage(f"tokens {split}", partial(tokenizer, reviews.texts))
            for split, reviews in self.reviews.items()
        }

    @cached_property
    def weights(self) -> Floats:
        """Weight of each training review."""
        return domain_weights(self.reviews["train"].domain)

    def begin(self) -> None:
        """Start on the wide part in a process of its own; meanwhile, networks can be trained in this one."""
        if self.tokens:
            self._beside = Beside(self._wide_part)

    @cached_property
    def wide_part(self) -> WidePart:
        """The wide part, fitted on all training reviews."""
        return self._beside.result() if self._beside else self._wide_part()

    def _wide_part(self) -> WidePart:
        train, tokens = self.reviews["train"], self.tokens["train"]
        return self.stage("wide part", lambda: widepart.fitted(train, tokens, self.weights, self.recipe))

    def wide_logits(self, split: str) -> Floats:
        """Logits of the wide part in floats."""
        part = self.wide_part
        grams = ngrams.Grams(part.keys, self.recipe.rules["negation_span"])
        return self.stage(
            f"wide logits {split}", lambda: part.gated.logits(wide.damped(grams.matrix(self.tokens[split])))
        )

    @cached_property
    def vocabulary(self) -> U64:
        """Keys of the words, the most frequent first; domains count as in training."""

        def make() -> U64:
            tokens = self.tokens["train"]
            keys, word = np.unique(mix(tokens.hashes), return_inverse=True)
            text = np.repeat(np.arange(len(tokens.offsets) - 1), np.diff(tokens.offsets))
            pairs = np.unique(word * len(tokens.offsets) + text)
            found, text = np.divmod(pairs, len(tokens.offsets))
            frequency = np.bincount(found, self.weights[text])
            frequency[np.bincount(word) < ngrams.LEAST_DOCUMENTS] = 0
            order = np.argsort(-frequency)[: self.recipe.vocabulary]
            kept: U64 = keys[order[frequency[order] > 0]]
            return kept

        return self.stage("vocabulary", make)

    def words(self, split: str) -> deep.Words:
        """Word ids of a split: rank by frequency plus two, 1 for others."""
        tokens, order = self.tokens[split], np.argsort(self.vocabulary)
        ranked, keys = self.vocabulary[order], mix(tokens.hashes)
        at = np.searchsorted(ranked, keys)
        at[at == len(ranked)] = 0
        ids = np.where(ranked[at] == keys, order[at] + 2, 1).astype(np.int32)
        return deep.Words(ids, tokens.offsets)

    @cached_property
    def vectors(self) -> Floats:
        """Vectors of the words, each of the same length."""

        def make() -> Floats:
            streams = [(words.ids, words.offsets) for words in map(self.words, ("train", "unlabelled"))]
            found = word_vectors(streams, len(self.vocabulary), self.recipe.shape.dimensions)
            length = np.linalg.norm(found, axis=1, keepdims=True)
            scaled: Floats = found / np.maximum(length, 1e-6) * np.float32(self.recipe.shape.dimensions**0.5)
            return scaled

        return self.stage("word vectors", make)

    def windows(self, split: str, shape: Shape | None = None) -> deep.Words:
        """Word ids as the deep part, or a network of another shape, gets them."""
        rules = self.recipe.rules
        count = (shape or self.recipe.shape).words
        return deep.window(self.words(split), rules["words_head"], rules["words_tail"], count)

    def labelled(self, shape: Shape | None = None) -> deep.Words:
        """The training reviews as the deep part, or a network of another shape, learns from them."""
        words = self.windows("train", shape)
        words.target, words.weight = self.reviews["train"].label, self.weights
        return words

    def network(self, fitted: Fitted) -> Any:
        """The deep part's network with these weights."""
        model = deep.network(self.recipe.shape, self.vectors)
        model.set_weights(fitted.weights)
        return model

    @cached_property
    def teachers(self) -> Teachers:
        """What the student learns from."""
        return Teachers(self)

    @cached_property
    def student(self) -> Fitted:
        """A network trained to say what the wide part leaves unsaid of reviews that this has not seen.

        Its logit is added to the wide part's, in training as later. Targets are what teachers and wide part
        say in the mean, half and half with the label where there is one.
        """

        def make() -> Fitted:
            recipe, words, more = self.recipe, self.labelled(), self.unlabelled
            teachers = {split: self.teachers.logits(split) for split in ("train", "unlabelled")}
            known = {"train": self.wide_part.crossed, "unlabelled": self.wide_logits("unlabelled")}
            said = {split: deep.probability((teachers[split] + known[split]) / 2) for split in known}
            words.target, words.known = (words.target + said["train"]) / 2, recipe.wide_share * known["train"]
            more.target, more.known = said["unlabelled"], recipe.wide_share * known["unlabelled"]

            def drawn(epoch: int) -> deep.Words:
                rng = np.random.default_rng([recipe.seed, epoch])
                return words.joined(more.pick(rng.random(len(more)) < recipe.unlabelled))

            deep.seed(recipe.seed)
            model = deep.network(recipe.shape, self.vectors, recipe.dropout)
            return deep.fit(model, drawn, epochs=recipe.epochs, seed=recipe.seed)

        return self.stage("student", make)

    @cached_property
    def deep_part(self) -> Fitted:
        """The student, trained further on denied opinions, and mixed with what it was before.

        M. Wortsman et al., "Robust Fine-tuning of Zero-shot Models", CVPR 2022.
        """

        def make() -> Fitted:
            recipe, words = self.recipe, lesson.of_denials(self)
            seed = recipe.seed + 2
            deep.seed(seed)
            model = deep.network(recipe.shape, self.vectors, recipe.dropout)
            model.set_weights(self.student.weights)
            rate = recipe.further_rate * deep.RATE
            return deep.fit(model, lambda _: words, epochs=recipe.further_epochs, rate=rate, seed=seed)

        taught = self.stage("denied opinions", make)
        share = np.float32(self.recipe.further_share)
        pairs = zip(self.student.weights, taught.weights)
        return Fitted([old + share * (new - old) for old, new in pairs], taught.losses)

    def deep_logits(self, fitted: Fitted) -> Floats:
        """Logits of the validation reviews by a network with these weights, float32[n]."""
        return deep.logits(self.network(fitted), self.windows("val"))

    @property
    def losses(self) -> dict[str, list[float]]:
        """Training loss by epoch of each network."""
        of_teachers = {f"teacher {i + 1}": found.losses for i, found in enumerate(self.teachers.fitted)}
        return {**of_teachers, "student": self.student.losses, "deep part": self.deep_part.losses}

    @property
    def unlabelled(self) -> deep.Words:
        """The unlabelled reviews, weighed but without targets."""
        words = self.windows("unlabelled")
        of_domain = dict(zip(self.reviews["train"].domains, self.weights.tolist()))
        least = float(self.weights.min())
        weight = [of_domain.get(domain, least) for domain in self.reviews["unlabelled"].domains]
        words.weight = np.array(weight, np.float32) * np.float32(self.recipe.unlabelled_weight)
        words.target = np.zeros_like(words.weight)
        return words

    def tables(self, fitted: Fitted) -> tuple[dict[str, bytes], wide.Gated, Any]:
        """The metadata blocks of both tables, and both parts with their rows in the order of the tables."""
        gated, keys = self.wide_part.gated, self.wide_part.keys
        grams, order = pack_table(keys, self.recipe.bucket_bits)
        ordered = wide.Gated(gated.weights[order], gated.bias, gated.groups)
        count = self.recipe.shape.words
        words, rank = pack_table(self.vocabulary[:count], self.recipe.word_bits)
        network = self.network(fitted)
        layer = network.get_layer("vectors")
        (rows,) = layer.get_weights()
        # Ranks in the file are by key; those in training by frequency.
        table = np.zeros_like(rows)
        table[:2] = rows[:2]
        table[2 : 2 + len(rank)] = rows[2 + rank]
        blocks = {"edged.ngrams": grams, "edged.words": words}
        return blocks, ordered, {**deep.layers(network), "vectors": [table]}

    def build(self) -> tuple[bytes, dict[str, Any], list[calibrate.Step]]:
        """The model file, its description, and the cascade's curve."""
        self.begin()
        blocks, gated, layers = self.tables(self.deep_part)
        rules = self.recipe.rules
        extract = Extractor(rules, blocks["edged.ngrams"], blocks["edged.words"])
        val = self.reviews["val"]
        rows = extract(val.texts)
        samples = graph.samples_of(extract(self._typical()))
        label, domain = val.label, val.domain
        weight = domain_weights(domain) ** 2  # domains alike
        quantized = graph.Wide.quantized(gated.weights, gated.bias)
        read = quantized.read(rows)
        quantized.trust = calibrate.trust(*read, label, weight)
        parts = self.stage("wide graph", lambda: graph.wide_models(quantized))
        first = self.stage("deep graph", lambda: graph.deep_models(layers, samples))
        wide_logits = Reader(join(parts, {})).wide(rows)
        fitted = calibrate.Platt.fitted(wide_logits, Reader(join(first, {})).deep(rows), label, weight)
        # Logits are added: how much the deep part counts goes into its last layer.
        ratio = fitted.both[1] / fitted.both[0]
        layers["logit"] = [part * ratio for part in layers["logit"]]
        last = self.stage("deep graph, scaled", lambda: graph.deep_models(layers, samples))
        deep_logits = Reader(join(last, {})).deep(rows)
        fitted = calibrate.Platt(fitted.alone, fitted.both[[0, 0, 2]])
        calibrated, total = fitted(wide_logits, deep_logits)
        negated = self._negated(extract)
        always = Negated(**negated)(rows.word_offsets, rows.words)
        curve = calibrate.cascade_curve(calibrated, total, always, label, domain)
        step = calibrate.knee(curve)
        band = calibrate.Band(step.half_width, always)
        logits = calibrate.Logits(*read, deep_logits)
        self.cross_fitted = calibrate.cross_fitted(logits, band, label, weight)
        low, high = calibrate.uncertain_band(deep.probability(band.logits(calibrated, total)), label, weight)
        scale, bias = map(float, fitted.alone)
        edges = sorted((sign * step.half_width - bias) / scale for sign in (-1, 1))
        description = {
            "format": 1,
            "name": self.recipe.name,
            "version": self.recipe.version,
            "labels": ["negative", "positive"],
            "threshold": 0.5,
            "features": rules,
            "calibration": {
                "wide": {"scale": scale, "bias": bias},
                "deep": {"scale": float(fitted.both[0]), "bias": float(fitted.both[2])},
            },
            "uncertain": {"low": low, "high": high},
            "cascade": {
                "low": edges[0],
                "high": edges[1],
                "negated": negated,
                "share": step.share,
                "bytes_per_word": self.recipe.shape.bytes_per_word,
            },
            "groups": gated.groups,
            "data": self._data(),
        }
        self._models, self._blocks, self.description = {**parts, **last}, blocks, description
        return self.finished({}), description, curve

    def finished(self, accuracy: dict[str, Any]) -> bytes:
        """The model file, with what was measured of it."""
        facts = json.dumps({**self.description, "accuracy": accuracy}, separators=(",", ":"))
        return join(self._models, {"edged.json": facts.encode()}, self._blocks)

    def _negated(self, extract: Extractor) -> dict[str, Any]:
        """Which reviews the deep part reads in any case: short ones with one of these words."""
        negations = extract(sorted(NEGATIONS)).words
        return {"most_words": self.recipe.short, "ids": sorted({int(word) for word in negations if word > 1})}

    def _typical(self) -> list[str]:
        train = self.reviews["train"].texts
        chosen = np.random.default_rng(0).choice(len(train), min(4000, len(train)), replace=False)
        return [train[i] for i in chosen]

    def _data(self) -> list[dict[str, Any]]:
        train, val = self.reviews["train"].domain, self.reviews["val"].domain
        return [
            {
                "domain": str(name),
                "train": int((train == name).sum()),
                "val": int((val == name).sum()),
                "source": source,
                "licence": licence,
            }
            for name in np.unique(train)
            for source, licence in [SOURCES.get(str(name), ("your own", "your own"))]
            if name != negations.DOMAIN
        ]
