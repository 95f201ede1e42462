"""edgectl explain: which words and phrases moved a review's score.

The model is asked again with each word, and each run of two or three words,
left out (Li, Monroe, Jurafsky, "Understanding Neural Networks through
Representation Erasure", 2016). What a part did is the difference it makes to
the log-odds of "positive".
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.cli import connect, exits
from edged.cli.evaluate import local_arguments, predictions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from edged.protocol import Prediction

LONGEST_PHRASE = 3
MOST_PIECES = 300  # a longer review is taken apart into pieces of several words
PHRASES = 8
LEAST = 0.05  # log-odds; what moves the score less is left out
CLOSEST = 5e-5  # to 0 or 1: what the four decimals of a reply can tell
CLOSEST_LOCAL = 1e-7  # what float32 can
RESET = "\033[0m"


@dataclass(frozen=True)
class Part:
    """A run of words and what it adds to the log-odds of "positive"."""

    start: int
    end: int
    text: str
    effect: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl explain`."""
    parser.add_argument("text", metavar="TEXT|-", help="a review, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="default: on a terminal"
    )
    local_arguments(parser)
    connect.add_arguments(parser, timeout=30.0)


def run(args: argparse.Namespace) -> int:
    """Print the review, coloured, and the phrases that moved its score."""
    text = sys.stdin.read() if args.text == "-" else args.text
    pieces = pieces_of(text)
    spans = [
        (start, start + length)
        for length in range(1, LONGEST_PHRASE + 1)
        for start in range(len(pieces) - length + 1)
    ]
    without = ["".join(pieces[:start] + pieces[end:]) for start, end in spans]
    whole, *others = predictions(args, [text, *without])
    closest = CLOSEST_LOCAL if args.local else CLOSEST
    base = log_odds(whole, closest)
    parts = [
        Part(start, end, "".join(pieces[start:end]).strip(), base - log_odds(other, closest))
        for (start, end), other in zip(spans, others)
    ]
    words, moved = parts[: len(pieces)], phrases(parts)
    if args.json:
        print(json.dumps(_plain(whole, words, moved), ensure_ascii=False))
        return exits.OK
    colored = args.color == "always" or (args.color == "auto" and sys.stdout.isatty())
    print(f"{whole.label} {whole.score:.4f}" + (" (uncertain)" if whole.uncertain else ""))
    print(_painted(pieces, words) if colored else text)
    for part in moved:
        print(f"  {part.effect:+6.2f}  {part.text}")
    if not moved:
        print("  no word or phrase moves the score by itself")
    if not args.local and whole.score > 1 - 2 * CLOSEST:
        print(
            "hint: the score is too close to 1 to see what each word does; --local calculates with all digits"
        )
    return exits.OK


def pieces_of(text: str) -> list[str]:
    """Words with the white space after them; of a long review, runs of words."""
    words = re.findall(r"\s*\S+(?:\s+(?!\S))?", text)
    step = math.ceil(len(words) / MOST_PIECES) or 1
    return ["".join(words[i : i + step]) for i in range(0, len(words), step)]


def log_odds(prediction: Prediction, closest: float) -> float:
    """Log-odds of "positive", the probability kept `closest` away from 0 and 1."""
    p = prediction.score if prediction.label == "positive" else 1 - prediction.score
    return math.log(max(p, closest) / max(1 - p, closest))


def phrases(parts: Sequence[Part]) -> list[Part]:
    """The parts that moved the score most, none overlapping another; a phrase must beat its words."""
    chosen: list[Part] = []
    taken: set[int] = set()
    for part in sorted(parts, key=lambda part: -abs(part.effect) / (part.end - part.start) ** 0.5):
        inside = set(range(part.start, part.end))
        if abs(part.effect) >= LEAST and not inside & taken:
            chosen.append(part)
            taken |= inside
        if len(chosen) == PHRASES:
            break
    return sorted(chosen, key=lambda part: -abs(part.effect))


def _plain(whole: Prediction, words: Sequence[Part], moved: Sequence[Part]) -> dict[str, object]:
    return {
        "label": whole.label,
        "score": round(whole.score, 4),
        "words": [{"text": part.text, "effect": round(part.effect, 4)} for part in words],
        "phrases": [{"text": part.text, "effect": round(part.effect, 4)} for part in moved],
    }


def _painted(pieces: Sequence[str], words: Sequence[Part]) -> str:
    strongest = max((abs(part.effect) for part in words), default=0) or 1
    return "".join(_paint(piece, part.effect, strongest) for piece, part in zip(pieces, words))


def _paint(piece: str, effect: float, strongest: float) -> str:
    """Green moves towards positive, red towards negative; bold where it moves much."""
    if abs(effect) < LEAST:
        return piece
    color = 32 if effect > 0 else 31
    return f"\033[{'1;' if abs(effect) > strongest / 2 else ''}{color}m{piece}{RESET}"
