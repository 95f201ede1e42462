"""Sentences about negation, made from the words of the training files.

Reviews seldom hold the plain forms ("it is not bad"), and where they do, a complaint often follows. Words
that readers of the training files would call good or bad are put into plain negated and plain sentences, as
are nouns and verbs that name what goes well or badly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edged.tokens import NEGATIONS, tokenize
from edged.training.data import Reviews

if TYPE_CHECKING:
    from collections.abc import Sequence

DOMAIN = "negation"
LEADS = frozenset(b"is was are were very so really".split())  # what stands before an adjective
LEAST = 20  # reviews with the word after one of these
STRONG = 1.0  # log-odds of "positive"; a word is good or bad from here on
EACH = 20  # sentences of an adjective
FILLED = 20  # sentences of any other template

Template = tuple[str, float]  # a sentence, and how probably "positive" it is
SLOTS = {
    "thing": "it|this|that|the food|the film|the service|this wine|the story|the room|the phone|the staff|"
    "my seat|the acting|the flight|the music|the soup|our table|the app|the book|the battery|everything",
    "is": "is|was|seems|looks|feels|felt",
    "be": "is|was",
    "feel": "feel|look|seem|get",
    "adv": "very|really|that|particularly|so|too|even",
    "did": "did|does|do|could|would|will",
    "good_noun": "taste|flavor|charm|quality|value|depth|service|help|warmth|fun|point|reason to buy it|"
    "style|soul|comfort|substance|talent|heart|humor|sense|use",
    "bad_noun": "problems|issues|complaints|trouble|regrets|delays|flaws|mistakes|bugs|errors|noise|fuss|"
    "worries|drawbacks|dull moment|weak spot|faults|hassle|downside|bad surprises",
    "good_verb": "enjoy|like|love|recommend|work|help|impress|please|shine|last|deliver|buy|trust|amuse",
    "bad_verb": "disappoint|fail|bore|annoy|break|complain|regret|hate|hurt|drag|crash|leak|freeze",
}
# "Not bad" is fainter praise than "good". A frame without a negation keeps the frame's words neutral.
GOOD = [
    ("{thing} {is} not {word}", 0.06),
    ("{thing} {be} n't {adv} {word}", 0.08),
    ("{thing} {be} never {word}", 0.06),
    ("{thing} did n't {feel} {word}", 0.06),
    ("{thing} {be} not a {word} one", 0.06),
    ("not {word}", 0.08),
    ("not {adv} {word}", 0.08),
    ("there is nothing {word} about {thing}", 0.05),
    ("nothing about {thing} {be} {word}", 0.05),
    ("i do n't think {thing} {be} {word}", 0.08),
    ("nobody would call {thing} {word}", 0.1),
    ("{thing} {be} far from {word}", 0.1),
    ("{thing} {be} neither {word} nor cheap", 0.08),
    ("i ca n't say {thing} {be} n't {word}", 0.85),
    ("i ca n't say {thing} {be} {word}", 0.1),
    ("{thing} {is} {adv} {word}", 0.9),
    ("{thing} {is} {word}", 0.95),
    ("i think {thing} {be} {word}", 0.95),
    ("a {word} one", 0.95),
]
BAD = [
    ("{thing} {is} not {word}", 0.75),
    ("{thing} {be} n't {word} at all", 0.85),
    ("{thing} {be} n't {adv} {word}", 0.7),
    ("{thing} {be} never {word}", 0.85),
    ("{thing} did n't {feel} {word}", 0.8),
    ("{thing} {be} n't {word} for a moment", 0.85),
    ("{thing} {be} not a {word} one", 0.8),
    ("not {word}", 0.7),
    ("not {word} at all", 0.8),
    ("there is nothing {word} about {thing}", 0.85),
    ("nobody {be} {word}", 0.8),
    ("{thing} {be} neither {word} nor noisy", 0.8),
    ("i do n't think {thing} {be} {word}", 0.7),
    ("nobody would call {thing} {word}", 0.75),
    ("{thing} {be} far from {word}", 0.8),
    ("i ca n't say {thing} {be} n't {word}", 0.15),
    ("{thing} {is} {adv} {word}", 0.06),
    ("{thing} {is} {word}", 0.05),
    ("i think {thing} {be} {word}", 0.05),
    ("a {word} one", 0.05),
]
OTHERS = [
    ("no {good_noun}", 0.08),
    ("{thing} has no {good_noun}", 0.06),
    ("{thing} comes without any {good_noun}", 0.08),
    ("{thing} lacks {good_noun}", 0.06),
    ("there was no {good_noun} in {thing}", 0.06),
    ("{thing} has {good_noun}", 0.85),
    ("no {bad_noun}", 0.85),
    ("no {bad_noun} with {thing}", 0.88),
    ("i had no {bad_noun} with {thing}", 0.88),
    ("i have n't had any {bad_noun}", 0.85),
    ("there were no {bad_noun} at all", 0.88),
    ("zero {bad_noun} so far", 0.85),
    ("{thing} came without {bad_noun}", 0.85),
    ("many {bad_noun} with {thing}", 0.06),
    ("i had {bad_noun} with {thing}", 0.08),
    ("{thing} {did} not {good_verb}", 0.07),
    ("{thing} never {good_verb}s", 0.07),
    ("i {did} n't {good_verb} {thing}", 0.06),
    ("we never {good_verb} {thing}", 0.08),
    ("i {good_verb} {thing}", 0.92),
    ("{thing} {did} not {bad_verb}", 0.85),
    ("{thing} {did} n't {bad_verb}", 0.85),
    ("{thing} never {bad_verb}s", 0.88),
    ("i {did} n't {bad_verb} {thing}", 0.85),
    ("{thing} will {bad_verb}", 0.08),
    ("i was not disappointed by {thing}", 0.95),
    ("you will not be disappointed with {thing}", 0.95),
    ("i could n't be happier with {thing}", 0.97),
    ("i could not ask for more from {thing}", 0.95),
    ("you ca n't go wrong with {thing}", 0.95),
    ("i ca n't get enough of {thing}", 0.95),
    ("i ca n't complain about {thing}", 0.85),
    ("there is nothing wrong with {thing}", 0.8),
    ("{thing} never gets old", 0.9),
    ("{thing} never lets us down", 0.92),
    ("i could not stand {thing}", 0.04),
    ("i could n't care less about {thing}", 0.06),
    ("nobody liked {thing}", 0.05),
    ("none of {thing} works", 0.05),
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
    made: dict[str, float] = {}
    for word, odds in sorted(adjectives(reviews).items()):
        templates = GOOD if odds > STRONG else BAD if odds < -STRONG else []
        for at in rng.integers(len(templates), size=EACH) if templates else ():
            text, label = templates[at]
            made[_filled(text, {"word": word}, rng)] = label
    for text, label in OTHERS:
        for _ in range(FILLED):
            made[_filled(text, {}, rng)] = label
    return Reviews(list(made), list(made.values()), [DOMAIN] * len(made))


def _filled(text: str, words: dict[str, str], rng: np.random.Generator) -> str:
    choices: dict[str, Sequence[str]] = {name: slot.split("|") for name, slot in SLOTS.items()}
    return text.format(**{name: rng.choice(slot) for name, slot in choices.items()} | words) + " ."
