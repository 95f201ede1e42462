"""Plots of a run: reliability, and accuracy against the share of reviews that the deep part reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from edged.evaluation import BINS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edged.evaluation import Case
    from edged.training.calibrate import Step
    from edged.training.candidates import Candidate

mpl.use("Agg")
import matplotlib.pyplot as plt

NAMED = 12  # candidates in a line, beyond which their names would hide it


def reliability(cases: Sequence[Case], path: Path) -> None:
    """Accuracy of predictions by their confidence, in the bins of the calibration error."""
    confidence = np.array([case.confidence for case in cases])
    right = np.array([case.right for case in cases])
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    used = np.unique(which)
    figure, axes = plt.subplots(figsize=(5, 4))
    axes.plot([0.5, 1], [0.5, 1], "--", color="gray", label="perfectly calibrated")
    axes.plot(
        [confidence[which == i].mean() for i in used],
        [right[which == i].mean() for i in used],
        "o-",
        label="model",
    )
    axes.set(xlabel="confidence", ylabel="accuracy", title="Reliability, all validation reviews")
    axes.legend()
    _save(figure, path)


def cascade(curve: Sequence[Step], chosen: float, path: Path) -> None:
    """Mean accuracy against the share of reviews that the deep part reads."""
    figure, axes = plt.subplots(figsize=(5, 4))
    axes.plot([100 * step.share for step in curve], [step.accuracy for step in curve])
    axes.axvline(100 * chosen, color="gray", linestyle="--", label="chosen")
    axes.set(xlabel="deep part reads, % of reviews", ylabel="mean accuracy, %", title="The cascade")
    axes.legend()
    _save(figure, path)


def learning(losses: Mapping[str, Sequence[float]], path: Path) -> None:
    """Training loss by epoch of the networks."""
    figure, axes = plt.subplots(figsize=(5, 4))
    for name, values in losses.items():
        axes.plot(range(1, len(values) + 1), values, "o-", label=name)
    axes.set(xlabel="epoch", ylabel="training loss", title="Learning curves")
    axes.legend()
    _save(figure, path)


def candidates(found: Sequence[Candidate], unit: str, path: Path) -> None:
    """Mean accuracy against what each candidate weighs or takes, a line for each family."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for family in dict.fromkeys(candidate.family for candidate in found):
        members = [candidate for candidate in found if candidate.family == family]
        costs, accuracies = zip(*((member.cost, member.accuracy) for member in members))
        axes.plot(costs, accuracies, ".-", label=family)
        if len(members) < NAMED:
            for member in members:
                axes.annotate(member.name, (member.cost, member.accuracy), fontsize=7)
    axes.set(xlabel=unit, ylabel="mean accuracy, %", title=f"Accuracy against {unit}")
    axes.legend()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
