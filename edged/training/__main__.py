"""`python -m edged.training --data FOLDER --out MODEL.tflite`: train a model on labelled reviews."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edged import evaluation
from edged.baselines.scorer import Scorer
from edged.errors import DataError

if TYPE_CHECKING:
    from edged.training.data import Reviews


def main() -> int:
    """Train, and write the model, its card beside it, and plots."""
    parser = argparse.ArgumentParser(prog="python -m edged.training", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("EDGED_DATA"), help="folder (default: $EDGED_DATA)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/training/edged.tflite"), help="default: %(default)s"
    )
    parser.add_argument("--cache", type=Path, help="keep finished stages here, and go on from them")
    parser.add_argument("--name", default="edged-reviews", help="the model's name (default: %(default)s)")
    parser.add_argument("--model-version", default="1.0.0", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=3, help="of all random numbers (default: %(default)s)")
    parser.add_argument(
        "--compare", action="store_true", help="also train other recipes, for a table in the card"
    )
    args = parser.parse_args()
    if not args.data or not args.data.is_dir():
        print(
            "training: no data: give --data or EDGED_DATA, a folder of *-train and *-val files",
            file=sys.stderr,
        )
        return 66
    try:
        _train(args)
    except DataError as error:
        print(f"training: {error}", file=sys.stderr)
        return 65
    return 0


def _train(args: argparse.Namespace) -> None:
    # TensorFlow takes seconds to load: wrong arguments are found first.
    from edged.training import behaviour, candidates, card, compare, cost, plots  # noqa: PLC0415
    from edged.training.pipeline import Training  # noqa: PLC0415
    from edged.training.recipe import Recipe  # noqa: PLC0415

    recipe = replace(Recipe(), name=args.name, version=args.model_version, seed=args.seed)
    training = Training(args.data, recipe, args.cache)
    for split in ("train", "val"):
        if not training.reviews[split].texts:
            raise DataError(
                f"{args.data}: no labelled reviews in files named *-{split}.jsonl or .csv (also .gz)"
            )
    file, description, curve = training.build()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(file)
    cases = _cases(args.out, training.reviews["val"])
    report = evaluation.report(cases)
    file = training.finished(report)
    args.out.write_bytes(file)
    spent = cost.measured(args.out, cost.sample(training.reviews["val"]))
    crossed = [replace(case, probability=float(p)) for case, p in zip(cases, training.cross_fitted)]
    more = {"Calibration": card.calibration(cases, crossed), "Cost": card.costs(spent)}
    if sys.version_info >= (3, 11):
        more["Behaviour"] = card.BEHAVIOUR + behaviour.table(behaviour.rates(Scorer(args.out)))
    if args.compare:
        more["Beside other recipes"] = card.COMPARED + compare.table(training, args.out)
    args.out.with_suffix(".md").write_text(card.card(description, cases, curve, file, more), "utf-8")
    plots.reliability(cases, args.out.with_name("reliability.png"))
    plots.cascade(curve, description["cascade"]["share"], args.out.with_name("cascade.png"))
    plots.learning(training.losses, args.out.with_name("learning.png"))
    plots.candidates(candidates.by_size(training), "MB", args.out.with_name("size.png"))
    plots.candidates(candidates.by_time(curve, spent), "us a review", args.out.with_name("time.png"))
    mean = report["mean"]
    accuracy, error = 100 * mean["accuracy"], 100 * mean["ece"]
    print(f"{args.out}: {len(file):,} bytes, mean accuracy {accuracy:.2f} %, calibration error {error:.2f} %")


def _cases(path: Path, val: Reviews) -> list[evaluation.Case]:
    cases = []
    for text, label, domain, prediction in zip(val.texts, val.labels, val.domains, Scorer(path)(val.texts)):
        positive = prediction.label == "positive"
        p = prediction.score if positive else 1 - prediction.score
        cases.append(evaluation.Case(int(label), p, domain, text, prediction.uncertain))
    return cases


if __name__ == "__main__":
    sys.exit(main())
