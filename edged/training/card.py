"""The model card, from what the run measured."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edged import evaluation
from edged.training import calibrate, cost, tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.evaluation import Case
    from edged.training.calibrate import Step

USE = """## Intended use

Scores of English reviews and short opinions, on the spot, on small devices: "negative" or "positive", a
calibrated probability, and a flag where the model is unsure. Not for decisions about people, and not a
measure of a person's mood or health. There is no neutral class: the training data do not support one; use
the "uncertain" flag.

Of wine reviews "positive" means 90 points and up, "negative" 85 and less: faint praise rather than anger.

## Known misses

- Irony, and opinions that need knowledge ("as good as the airline's food").
- Praise by denying a fault ("the waiter was never impatient"): more than half of it is read as a complaint,
  as a negation in a review mostly is one. Two negations in one clause, and negations of what someone thinks
  ("I don't think this is a good movie").
- Domains unlike those it was trained on: wine fell by more than ten points when it was left out of training.
- Other languages: mostly flagged "uncertain", but a text with many names or loanwords may pass for English.
- Facts without an opinion get one of the labels, often with confidence.
"""


COMPARED = """Trained on the same files, judged on the same validation reviews: accuracy in percent, ± half
the 95 % bootstrap interval. In the rows above the last, `*` marks where edged is significantly better by the
paired bootstrap, `!` where it is significantly worse.

"""

BEHAVIOUR = """Sentences written for this test (edged/training/behaviour.toml), by capability. The simple
negations were seen while the training's own sentences (edged/training/negations.py) were written; the unseen
ones and the fresh ones were written after those, and nothing was changed for them.

"""


def card(
    description: Mapping[str, Any],
    cases: Sequence[Case],
    curve: Sequence[Step],
    file: bytes,
    more: Mapping[str, str],
) -> str:
    """Markdown; `more` are sections that only some runs have: title to text."""
    parts = [
        f"# {description['name']} {description['version']}\n\n{_summary(description, file)}",
        f"## Accuracy\n\n{_accuracy(cases)}",
        *(f"## {title}\n\n{text}" for title, text in more.items()),
        f"## The cascade\n\n{_cascade(description, curve)}",
        f"## Training data\n\n{_data(description)}",
        USE,
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _summary(description: Mapping[str, Any], file: bytes) -> str:
    rules, doubt = description["features"], description["uncertain"]
    negated = description["cascade"]["negated"]
    lines = [
        f"Sentiment of English reviews in one TensorFlow Lite file of {len(file):,} bytes, weights int8.",
        "",
        # The daemon reads this line: with the right sum it needs no trial, with a wrong one it refuses.
        f"SHA-256: `{hashlib.sha256(file).hexdigest()}`",
        "",
        "- Wide part, for every review: a linear model over n-grams of one to three words, with a gate over",
        f"  the groups {', '.join(description['groups'])}.",
        "- Deep part, where the wide part is unsure and for short reviews with a negation, of at most",
        f"  {negated['most_words']} tokens: a full-integer convolutional network over",
        "  words; the logits are added.",
        f"- It reads {rules['max_tokens']:,} tokens of a review; the deep part reads the first",
        f"  {rules['words_head']} and the last {rules['words_tail']}.",
        "- Scores are calibrated on validation reviews; what a logit is worth depends on the groups that the",
        '  gate sees and on the length of the review. A score is flagged "uncertain" from',
        f"  {doubt['low']} to {doubt['high']}, and where fewer than {rules['unknown_percent']} % of the",
        "  words are known.",
    ]
    return "\n".join(lines)


COLUMNS = "domain,reviews,accuracy,macro-F1,balanced,ECE,by chance,uncertain,TN,FP,FN,TP".split(",")


def _accuracy(cases: Sequence[Case]) -> str:
    report = evaluation.report(cases)
    domain, names = np.array([case.domain for case in cases]), list(report["domains"])
    draws = tables.resampled(np.array([case.right for case in cases]), domain, names)
    confidence = np.array([case.confidence for case in cases])
    chance = [calibrate.least_error(confidence[domain == name]) for name in names]
    chance.append(float(np.mean(chance)))
    lines = [
        "On the validation files, with the cascade; percent, ± half the 95 % bootstrap interval.",
        "The calibration error (ECE, 15 bins) of a few hundred reviews is above zero by chance alone: the",
        "column after it has what a perfectly calibrated model with these scores would show on average.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    rows: dict[str, Any] = {**report["domains"], "mean": report["mean"]}
    for i, (name, found) in enumerate(rows.items()):
        low, high = tables.interval(draws[:, i])
        f1, balanced, ece, uncertain = (
            f"{100 * found[key]:.1f}" for key in ("macro_f1", "balanced_accuracy", "ece", "uncertain")
        )
        accuracy = f"{100 * found['accuracy']:.1f} ±{(high - low) / 2:.1f}"
        confusion = [str(count) for row in found.get("confusion", [["", ""], ["", ""]]) for count in row]
        shares = [accuracy, f1, balanced, ece, f"{100 * chance[i]:.1f}", uncertain]
        cells = [name, str(found.get("reviews", "")), *shares, *confusion]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def costs(spent: cost.Cost) -> str:
    """Markdown: what `cost` measured."""
    return (
        "Of wine reviews where there are any, on one thread of the machine that wrote this card, features\n"
        f"excepted; lowest of {cost.ROUNDS} rounds. The deep part reads {100 * spent.share:.0f} % of them."
        "\n\n"
        f"{cost.table(spent)}"
    )


def calibration(cases: Sequence[Case], cross_fitted: Sequence[Case]) -> str:
    """Markdown: the calibration error by three estimators; `cross_fitted` is as `calibrate.cross_fitted`."""
    lines = [
        "The plain error, in the table above, counts chance as error. So two other estimates stand beside",
        "it: ten bins of equally many reviews (Nixon et al., 2019), and the root of the mean squared error",
        "with the variance of each bin's accuracy taken off (Kumar et al., NeurIPS 2019, section 5), which",
        "is no smaller than the plain error where chance plays no part. The calibration was fitted on the",
        "same validation reviews; the second row is of calibrations fitted on four fifths of them and used",
        "on the other fifth. The mean of the domains, percent.",
        "",
        "| | plain: 15 bins of equal width | 10 of equally many | root mean square, debiased |",
        "|---|---|---|---|",
    ]
    for name, which in (("as shipped", cases), ("cross-fitted", cross_fitted)):
        mean = evaluation.report(which)["mean"]
        debiased = evaluation.debiased_root(mean["calibration_square"])
        plain, equal = 100 * mean["ece"], 100 * mean["ece_equal_mass"]
        lines.append(f"| {name} | {plain:.2f} | {equal:.2f} | {debiased} |")
    return "\n".join(lines)


def _cascade(description: Mapping[str, Any], curve: Sequence[Step]) -> str:
    chosen = description["cascade"]["share"]
    lines = [
        f"The deep part reads {100 * chosen:.0f} % of the validation reviews, domains counted alike:",
        "short ones with a negation, and the narrowest band of doubt that costs at most",
        f"{calibrate.GIVEN_UP} points of mean accuracy against the deep part on all.",
        "",
        "| deep part reads | mean accuracy |",
        "|---|---|",
    ]
    shown = [step for step in curve if round(step.share * 100) % 10 == 0 or step.share == chosen]
    lines += [f"| {100 * step.share:.0f} % | {step.accuracy:.2f} |" for step in shown]
    return "\n".join(lines)


def _data(description: Mapping[str, Any]) -> str:
    lines = [
        "| domain | training reviews | validation | source | licence as stated |",
        "|---|---|---|---|---|",
    ]
    for entry in description["data"]:
        counts = f"{entry['train']:,} | {entry['val']:,}"
        lines.append(f"| {entry['domain']} | {counts} | {entry['source']} | {entry['licence']} |")
    if any("NC" in entry["licence"] or "non-commercial" in entry["licence"] for entry in description["data"]):
        lines.append(
            "\nSome of these sets are licensed for **non-commercial** use. Train a model on your own data "
            "(`make train`) before you use it commercially."
        )
    return "\n".join(lines)
