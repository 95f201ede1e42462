"""Sentences about negation, made from the words of the training files.

Reviews seldom hold the plain forms ("it is not bad"), and where they do, a complaint often follows. Words
that readers of the training files would call good or bad are put into plain negated and plain sentences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edged.tokens import NEGATIONS, tokenize
from edged.training.data import Reviews

if TYPE_CHECKING:
    from collections.abc import Iterable

DOMAIN = "negation"
LEADS = frozenset(b"is was are were very so really".split())  # what stands before an adjective
LEAST = 30  # reviews with the word after one of these
STRONG = 1.2  # log-odds of "positive"; a word is good or bad from here on
THINGS = [
    "it",
    "this",
    "the food",
    "the film",
    "the service",
    "this wine",
    "the story",
    "the room",
    "the phone",
]
# Sentences, and how probably "positive" one with a good word is. "Not bad" is fainter praise than "good".
GOOD = [
    ("{thing} is not {word}", 0.06),
    ("{thing} was n't very {word}", 0.1),
    ("i do n't think {thing} is {word}", 0.08),
    ("nobody would call {thing} {word}", 0.1),
    ("{thing} is far from {word}", 0.1),
    ("{thing} is {word}", 0.95),
]
BAD = [
    ("{thing} is not {word} at all", 0.85),
    ("{thing} was n't {word}", 0.75),
    ("i do n't think {thing} is {word}", 0.7),
    ("nobody would call {thing} {word}", 0.75),
    ("{thing} is far from {word}", 0.8),
    ("{thing} is {word}", 0.05),
]
FIXED = [
    ("i was not disappointed", 0.95),
    ("we were not disappointed", 0.95),
    ("{thing} did not disappoint", 0.95),
    ("{thing} does not disappoint", 0.95),
    ("you will not be disappointed", 0.95),
    ("{thing} never gets old", 0.9),
    ("{thing} never gets dull", 0.85),
    ("i have no complaints about {thing}", 0.9),
    ("no problems with {thing}", 0.85),
    ("there is nothing wrong with {thing}", 0.8),
    ("i would not recommend {thing}", 0.03),
    ("i did not like {thing}", 0.05),
    ("i do not think {thing} is good", 0.08),
    ("i do not think {thing} is bad", 0.7),
    ("nothing is good about {thing}", 0.05),
]


def adjectives(reviews: Reviews) -> dict[str, float]:
    """Words that often follow "is", "very" and their like, unnegated, with their log-odds of "positive"."""
    counts: dict[bytes, list[float]] = {}
    for text, label in zip(reviews.texts, reviews.labels):
        if label not in (0, 1):
            continue
        words = [token.text for token in tokenize(text)]
        if NEGATIONS.intersection(words):
            continue
        for word in {after for before, after in zip(words, words[1:]) if before in LEADS and after.isalpha()}:
            counts.setdefault(word, [0.0, 0.0])[int(label)] += 1
    return {
        word.decode(): float(np.log((positive + 0.5) / (negative + 0.5)))
        for word, (negative, positive) in counts.items()
        if negative + positive >= LEAST and word not in LEADS and len(word) > 2
    }


def sentences(reviews: Reviews, seed: int = 0) -> Reviews:
    """Made sentences with soft labels, as reviews of a domain of their own, "negation"."""
    rng = np.random.default_rng(seed)
    made = Reviews()
    for word, odds in sorted(adjectives(reviews).items()):
        for template, label in GOOD if odds > STRONG else BAD if odds < -STRONG else []:
            _add(made, template, label, word, rng.choice(THINGS, 3, replace=False))
    for template, label in FIXED:
        _add(made, template, label, "", THINGS if "{thing}" in template else [""] * 3)
    return made


def _add(made: Reviews, template: str, label: float, word: str, things: Iterable[str]) -> None:
    for thing in things:
        made.texts.append(template.format(thing=thing, word=word) + " .")
        made.labels.append(label)
        made.domains.append(DOMAIN)
