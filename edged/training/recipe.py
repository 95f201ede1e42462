"""What a training run can change; what was tried is in EXPERIMENTS.md."""

from __future__ import annotations

from dataclasses import dataclass, field

from edged.training.deep import Shape


@dataclass(frozen=True)
class Recipe:
    """Sizes, shares and seeds of a run."""

    name: str = "edged-reviews"
    version: str = "1.0.0"
    ngrams: int = 150_000
    bucket_bits: int = 15
    vocabulary: int = 40_000  # of the word vectors; the network keeps the first `shape.words`
    shape: Shape = field(default_factory=lambda: Shape(23_000, 64))
    teacher_shape: Shape = field(default_factory=lambda: Shape(40_000, 64, filters=96))
    word_bits: int = 13
    teacher_epochs: int = 3
    epochs: int = 5
    teacher_dropout: float = 0.3
    dropout: float = 0.2
    in_sentences: float = 0.5  # share of the unlabelled reviews that are cut into sentences
    wide_share: float = 0.46  # of the wide part's logit that counts in the sum; about as calibration finds
    unlabelled: float = 0.9  # share of the unlabelled reviews and sentences that an epoch draws
    unlabelled_weight: float = 0.5  # of a review, against one of the domain that it belongs to
    further_epochs: int = 2
    further_rate: float = 0.5  # of the learning rate, against the student's
    further_share: float = 0.75  # of the weights learned then; the rest are the student's
    remembered: float = 0.3  # share of what the student learned from, whose answers are kept meanwhile
    short: int = 16  # words of a negated review at most, for the deep part to read it in any case
    rules: dict[str, int] = field(
        default_factory=lambda: {
            "version": 1,
            "max_tokens": 8192,
            "negation_span": 3,
            "words_head": 64,
            "words_tail": 191,
            "unknown_percent": 60,
        }
    )
    seed: int = 3
