"""Write the sample: wine reviews composed from phrases.toml, the same ones at every run.

    python -m edged.sample.compose [FOLDER]

writes wine.jsonl.gz into FOLDER (default: beside this file), one `{"text", "tone"}` a line. The tone is what
the review was composed to be; it is no measure of a model, only of whether a label surprises.
"""

import gzip
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tomllib

TONES = {"positive": 400, "middling": 330, "negative": 270}
WORDS = range(20, 61)
SLOT = re.compile(r"\{(\w+)\}")
CHOICE = re.compile(r"\[([^]]+)\]")
# Words that may stand twice in one review without being noticed.
STOP_WORDS = frozenset(
    "a an and as at but by for from in is it its left more no not now of on or over soon than that the this "
    "to while with".split()
)


class Deck:
    """Cards dealt without repetition until all are used, then shuffled again."""

    def __init__(self, cards: Sequence[str], chance: random.Random) -> None:
        self._cards = list(cards)
        self._chance = chance
        self._left: list[str] = []

    def deal(self) -> str:
        """Return the next card."""
        if not self._left:
            self._left = self._chance.sample(self._cards, len(self._cards))
        return self._left.pop()


class Composer:
    """Composes reviews of one tone after another from the phrases."""

    def __init__(self, phrases: dict[str, Any], chance: random.Random) -> None:
        self._words: dict[str, list[str]] = phrases["words"]
        self._styles: list[dict[str, Any]] = list(phrases["style"].values())
        self._weights = [style["weight"] for style in self._styles]
        self._chance = chance
        self._decks = {
            (tone, section): Deck(cards, chance)
            for tone, sections in phrases["sentences"].items()
            for section, cards in sections.items()
        }

    def review(self, tone: str) -> str:
        """Compose one review of 20 to 60 words in this tone."""
        while True:
            style = self._chance.choices(self._styles, self._weights)[0]
            text = self._fill([self._sentence(tone, section) for section in self._plan(style["kind"])], style)
            if len(text.split()) in WORDS:
                return text

    def _plan(self, kind: str) -> list[str]:
        structure = f"structure_{kind}"
        plans = (
            ["open", "middle", "close"],
            ["open", "middle", structure],
            ["open", structure, "close"],
            ["open", "middle", structure, "close"],
        )
        return self._chance.choices(plans, (3, 3, 2, 4))[0]

    def _sentence(self, tone: str, section: str) -> str:
        card = self._decks[tone, section].deal()
        return CHOICE.sub(lambda match: str(self._chance.choice(match[1].split("|"))), card)

    def _fill(self, sentences: list[str], style: dict[str, Any]) -> str:
        grape, place = self._chance.choice(style["grape"])
        named: dict[str, str] = {"grape": grape, "place": place}
        used = content_words(f"{grape} {place} {' '.join(SLOT.sub('', sentence) for sentence in sentences)}")

        def fill(match: re.Match[str]) -> str:
            slot = match[1]
            if slot in named:
                return named[slot]
            choices: list[str] = style.get(slot) or self._words[slot]
            fresh = [choice for choice in choices if not content_words(choice) & used]
            choice: str = self._chance.choice(fresh or choices)
            used.update(content_words(choice))
            return choice

        return " ".join(polish(SLOT.sub(fill, sentence)) for sentence in sentences)


def content_words(text: str) -> set[str]:
    """Return the words of a text that a reader would notice twice."""
    return set(re.findall(r"[\w'-]+", text.lower())) - STOP_WORDS


def polish(sentence: str) -> str:
    """Choose `a` or `an`, and start with a capital letter."""
    sentence = re.sub(r"\b([Aa])n? (?=[aeiouAEIOU](?!ne\b|nique|sed\b|seful|nited))", r"\1n ", sentence)
    sentence = re.sub(r"\b([Aa])n (?!hour)(?=[^aeiouAEIOU]|used\b|useful|one\b)", r"\1 ", sentence)
    return sentence[0].upper() + sentence[1:]


def compose() -> Iterator[dict[str, str]]:
    """Yield all reviews of the sample, each text once, tones mixed."""
    chance = random.Random(20)  # any number: it fixes which reviews the sample holds
    composer = Composer(tomllib.loads(Path(__file__).with_name("phrases.toml").read_text("utf-8")), chance)
    tones = [tone for tone, count in TONES.items() for _ in range(count)]
    chance.shuffle(tones)
    seen: set[str] = set()
    for tone in tones:
        text = composer.review(tone)
        while text in seen:
            text = composer.review(tone)
        seen.add(text)
        yield {"text": text, "tone": tone}


def main() -> None:
    """Write the sample's file."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    lines = "".join(json.dumps(review, ensure_ascii=False) + "\n" for review in compose())
    # No name and no time in the header: the same reviews are the same bytes.
    (folder / "wine.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
