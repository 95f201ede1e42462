"""edgectl evaluate: accuracy, calibration and confusion on files of labelled reviews."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged import evaluation
from edged.cli import connect, exits
from edged.errors import DataError
from edged.evaluation import Case
from edged.reviews import ReviewFile

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from edged.protocol import Prediction

SHIPPED = Path(__file__).parents[1] / "models/edged.tflite"
DECIMALS = 4  # of a score in a reply; the same in-process, so that both ways give the same figures
LOCAL_BATCH = 256
LABELS = {"0": 0, "1": 1, "negative": 0, "positive": 1}

EXAMPLES = """examples:
  edgectl evaluate reviews.jsonl                    through the daemon
  edgectl evaluate --local "$EDGED_DATA"/*-val.jsonl.gz
  edgectl evaluate --local --mistakes 20 reviews.csv

The columns are text, label (0, 1, negative or positive; rows without one are skipped) and, optionally,
domain; without it the file's name up to its first dash names the domain.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl evaluate`."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="labelled reviews: CSV or JSON Lines, also .gz"
    )
    parser.add_argument("--mistakes", metavar="N", type=int, default=0, help="show the N worst mistakes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    local_arguments(parser)
    connect.add_arguments(parser, timeout=60.0)


def local_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --local, --model and --cascade."""
    group = parser.add_argument_group("without the daemon")
    group.add_argument("--local", action="store_true", help="run the model in this process")
    group.add_argument(
        "--model", default=str(SHIPPED), help="a .tflite file, with --local (default: the shipped)"
    )
    group.add_argument(
        "--cascade",
        choices=("auto", "off", "full"),
        default="auto",
        help="with --local (default: %(default)s)",
    )


def predictions(args: argparse.Namespace, texts: Iterable[str]) -> Iterator[Prediction]:
    """Predictions of `texts`, in order, from the daemon or from a model in this process."""
    if not args.local:
        with connect.client(args) as client:
            yield from client.classify_many(texts)
        return
    from edged.baselines.scorer import Scorer  # noqa: PLC0415 - needs numpy and TFLite
    from edged.bulk import batches  # noqa: PLC0415

    scorer = Scorer(args.model, cascade=args.cascade)
    for batch in batches(texts, LOCAL_BATCH):
        yield from scorer(batch)


def run(args: argparse.Namespace) -> int:
    """Print the figures."""
    labelled = [row for name in args.files for row in _rows(name)]
    if not labelled:
        raise DataError("no labelled reviews in " + ", ".join(args.files))
    found = predictions(args, (text for text, _, _ in labelled))
    cases = [_case(*row, prediction) for row, prediction in zip(labelled, found)]
    report = evaluation.report(cases)
    worst = evaluation.mistakes(cases, args.mistakes)
    if args.json:
        print(json.dumps(report | {"mistakes": [_mistake(case) for case in worst]}, ensure_ascii=False))
    else:
        print(table(report))
        for case in worst:
            print(
                f"\n{case.domain}: said {_name(1 - case.label)} {case.confidence:.4f}, is {_name(case.label)}"
            )
            print(f"  {case.text}")
    return exits.OK


def _rows(name: str) -> Iterator[tuple[str, int, str]]:
    """(text, label, domain) of the labelled rows."""
    default = Path(name).name.split("-")[0].split(".")[0]
    with ReviewFile(name) as reviews:
        for row in reviews:
            if row.text is None:
                raise DataError(f"{name}: review {row.number}: {row.error}")
            label = row.fields.get("label")
            if label in (None, ""):
                continue
            if str(label) not in LABELS:
                raise DataError(
                    f"{name}: review {row.number}: label {label!r}; expected 0, 1, negative or positive"
                )
            yield row.text, LABELS[str(label)], str(row.fields.get("domain") or default)


def _case(text: str, label: int, domain: str, prediction: Prediction) -> Case:
    score = round(prediction.score, DECIMALS)
    positive = prediction.label == "positive"
    # A score of 0.5 keeps the side that the label names.
    probability = score if positive else min(1 - score, 0.5 - 1e-9)
    return Case(label, probability, domain, text, prediction.uncertain)


def _name(label: int) -> str:
    return ("negative", "positive")[label]


def _mistake(case: Case) -> dict[str, Any]:
    return {
        "domain": case.domain,
        "label": case.label,
        "score": round(case.confidence, DECIMALS),
        "text": case.text,
    }


def table(report: dict[str, Any]) -> str:
    """A report as a plain table, shares in percent."""
    keys = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "uncertain")
    heads = ("accuracy", "macro-F1", "balanced", "ECE", "uncertain")
    lines = [
        f"{'domain':12}{'reviews':>9}"
        + "".join(f"{head:>11}" for head in heads)
        + "     TN    FP    FN    TP"
    ]
    for name, found in [*report["domains"].items(), ("mean", report["mean"]), ("all", report["all"])]:
        cells = f"{name:12}{found.get('reviews', ''):>9}" + "".join(
            f"{100 * found[key]:11.2f}" for key in keys
        )
        (tn, fp), (fn, tp) = found.get("confusion", [["", ""], ["", ""]])
        lines.append((cells + f"  {tn:>5} {fp:>5} {fn:>5} {tp:>5}").rstrip())
    lines.append(evaluation.calibration(report["mean"]))
    return "\n".join(lines)
