"""Behaviour of the shipped model by capability; the cases are in edged/training/behaviour.toml.

`python -m tests.test_behaviour` prints the pass rates, and what failed.
"""

from __future__ import annotations

import sys

import pytest

from edged.baselines.scorer import Scorer
from edged.cli.evaluate import SHIPPED
from edged.training import behaviour

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="the cases are TOML: needs Python 3.11")


@pytest.fixture(scope="module")
def rates() -> dict[str, behaviour.Rate]:
    """Of the shipped model."""
    return behaviour.rates(Scorer(SHIPPED))


def test_there_are_enough_cases(rates: dict[str, behaviour.Rate]) -> None:
    assert sum(rate.count for rate in rates.values()) >= 200


def test_each_capability_passes_often_enough(rates: dict[str, behaviour.Rate]) -> None:
    short = {name: rate.failed for name, rate in rates.items() if rate.percent < rate.least}
    assert short == {}


def main() -> None:
    """Print the pass rates."""
    for name, rate in behaviour.rates(Scorer(SHIPPED)).items():
        share = f"{rate.passed:4} of {rate.count:3}  {rate.percent:5.1f} %"
        print(f"{name:24}{share}  (least {rate.least} %)")
        for what in rate.failed:
            print(f"    {what}")


if __name__ == "__main__":
    main()
