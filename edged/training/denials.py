"""Denied opinions: short reviews of the training files that end in "was dull" and its like, with a "not".

Reviews seldom praise by denying a fault ("the beef was not dry"), so that a model takes the negation itself
for a complaint. Of a short clause that ends in an opinion the contrary is known, whatever the opinion: its
subject is a real one, the word any that short reviews praise or blame with. D. Kaushik, E. Hovy, Z. Lipton,
"Learning the Difference that Makes a Difference with Counterfactually-Augmented Data", ICLR 2020, had people
write such contraries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from edged.tokens import NEGATIONS, tokenize
from edged.training.data import Reviews

if TYPE_CHECKING:
    from collections.abc import Sequence

DOMAIN = "denial"
LONGEST = 30  # tokens of a short review
FRAME = 8  # words up to the copula at most
NEUTRAL = 0.8  # log-odds of what stands before the opinion, at most
POLAR = 1.2  # and of the opinion, at least
LEAST = 6  # short reviews with a word
LED = 2  # times that an adjective ends a clause after one of LEADS ...
SHARE = 0.03  # ... and of all its places in short reviews
EACH = 20  # sentences of an adjective
PLAIN = 0.25  # of the sentences are left without a negation

COPULAS = frozenset("is was are were am looks looked seems seemed feels felt tastes tasted".split())
LEADS = COPULAS | frozenset("very really so too extremely".split())
DENYING = [
    "not {0}",
    "not {0}",
    "never {0}",
    "not very {0}",
    "not {0} at all",
    "not {0} or {1}",
    "not too {0}",
]
SAYING = ["{0}", "very {0}", "{0} and {1}"]
# How probably "positive"; by whether the word is praise. "Not bad" is fainter praise than "good".
DENIED = {True: 0.05, False: 0.88}
SAID = {True: 0.95, False: 0.05}


def sentences(reviews: Reviews, seed: int = 0) -> Reviews:
    """Made sentences with soft labels, as reviews of a domain of their own, "denial"."""
    rng = np.random.default_rng(seed)
    short = _short(reviews)
    odds = _odds(short)
    frames = _frames(short, odds)
    opinions = _opinions(short, odds)
    made: dict[str, float] = {}
    for word in opinions if frames else ():
        praise = odds[word] > 0
        alike = [other for other in opinions if (odds[other] > 0) == praise]
        for at in rng.integers(len(frames), size=EACH):
            plain = rng.random() < PLAIN
            opinion = str(rng.choice(SAYING if plain else DENYING)).format(word, rng.choice(alike))
            made[" ".join([*frames[at], opinion, "."])] = (SAID if plain else DENIED)[praise]
    return Reviews(list(made), list(made.values()), [DOMAIN] * len(made))


def _short(reviews: Reviews) -> list[tuple[list[str], bool]]:
    """Tokens, and whether "positive", of the short reviews that know no negation."""
    found = []
    for text, label in zip(reviews.texts, reviews.labels):
        if label in (0, 1) and len(text) < 10 * LONGEST:
            words = [token.text for token in tokenize(text)]
            if len(words) <= LONGEST and not NEGATIONS.intersection(words):
                found.append(([word.decode("utf-8", "replace") for word in words], label == 1))
    return found


def _odds(short: Sequence[tuple[list[str], bool]]) -> dict[str, float]:
    """Log-odds of "positive" of the words in `LEAST` short reviews or more, less those of all of them."""
    counts: defaultdict[str, list[float]] = defaultdict(lambda: [0.5, 0.5])
    for words, praise in short:
        for word in set(words):
            counts[word][praise] += 1
    praised = sum(praise for _, praise in short)
    usual = np.log((praised + 0.5) / (len(short) - praised + 0.5))
    return {
        word: float(np.log(positive / negative) - usual)
        for word, (negative, positive) in counts.items()
        if negative + positive > LEAST
    }


def _opinions(short: Sequence[tuple[list[str], bool]], odds: dict[str, float]) -> list[str]:
    """Adjectives of praise or blame: words that now and then end a clause after one of `LEADS`."""
    led, everywhere = Counter[str](), Counter[str]()
    for words, _ in short:
        everywhere.update(words)
        for before, word, after in zip(words, words[1:], [*words[2:], "."]):
            led[word] += before in LEADS and not after.isalpha()
    return sorted(
        word
        for word, times in led.items()
        if times >= max(LED, SHARE * everywhere[word]) and word.isalpha() and abs(odds.get(word, 0)) >= POLAR
    )


def _frames(short: Sequence[tuple[list[str], bool]], odds: dict[str, float]) -> list[list[str]]:
    """What stands before the opinion where a short review ends in one: neutral words, the last a copula."""
    found = {}
    for words, _ in short:
        clause = words[:-1] if words and not words[-1].isalpha() else words
        frame, opinion = clause[:-1], clause[-1:]
        if (
            1 < len(frame) <= FRAME
            and frame[-1] in COPULAS
            and abs(odds.get(opinion[0], 0)) >= POLAR
            and all(abs(odds.get(word, 0)) <= NEUTRAL for word in frame)
        ):
            found[" ".join(frame)] = frame
    return list(found.values())
