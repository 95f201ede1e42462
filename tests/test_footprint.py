"""The judgement of `make footprint` and `make soak`, on readings whose verdict is known."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from tests.footprint import __main__ as footprint
from tests.footprint import bounds, soak

if TYPE_CHECKING:
    from pathlib import Path


def test_bounds_are_within_what_was_aimed_at() -> None:
    """At rest after 100,000 reviews each host stays below its aim, and near where it began."""
    for host, found in bounds.read().items():
        assert set(found) == set(footprint.READINGS)
        assert found["idle"] <= found["after"] <= bounds.AIMS[host]
        assert found["after"] - found["idle"] < 2 * bounds.SLACK


def test_a_short_run_has_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first million reviews are not counted, so they alone decide nothing."""
    path = tmp_path / "soak.tsv"
    path.write_text("".join(f"{i * 100_000}\t30000000\n" for i in range(1, 11)))
    assert soak.main(path) == 1
    assert "too few" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("slope", "grown"), [(0.0, False), (0.05, False), (0.5, True), (2.0, True), (-0.3, False)]
)
def test_growth_is_told_from_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], slope: float, grown: bool
) -> None:
    """Readings that scatter by 0.2 MB around a line give its slope, and the verdict that it deserves."""
    draw = random.Random(1)
    path = tmp_path / "soak.tsv"
    path.write_text(
        "".join(
            f"{i * 100_000}\t{round(30e6 + slope * i * 1e5 + draw.gauss(0, 2e5))}\n" for i in range(1, 101)
        )
    )
    assert soak.main(path) == int(grown)
    printed = capsys.readouterr().out
    assert ("verdict: it grows" in printed) == grown
    assert "10.0 million reviews" in printed
    assert printed.count("•") > 20


def test_a_verdict_in_doubt() -> None:
    """Near the bound, a long run is judged by its slope and a short one is not."""
    none = ("none: so short a run can't tell, `make soak` can", False)
    assert soak.verdict(soak.Fit(0.12, 0.05), 2.4, steadily=True) == none
    assert soak.verdict(soak.Fit(0.12, 0.05), 10, steadily=True) == ("it grows", True)
    assert soak.verdict(soak.Fit(0.08, 0.05), 10, steadily=True) == ("no growth", False)
    assert soak.verdict(soak.Fit(0.30, 0.05), 2.4, steadily=True) == ("it grows", True)
    assert soak.verdict(soak.Fit(0.30, 0.05), 2.4, steadily=False) == none
    assert soak.verdict(soak.Fit(0.30, 0.05), 10, steadily=False) == ("it grows", True)


@pytest.mark.parametrize(("rise", "grown"), [("step", False), ("leak", True)])
def test_a_short_run_that_took_one_step_has_not_grown(tmp_path: Path, rise: str, grown: bool) -> None:
    """0.4 MB at once are the heap's unevenness, the same little by little are a leak."""
    path = tmp_path / "soak.tsv"
    heights = [400_000 * (i > 17) if rise == "step" else 25_000 * i for i in range(1, 25)]
    path.write_text("".join(f"{i}00000\t{17_000_000 + more}\n" for i, more in enumerate(heights, 1)))
    assert soak.main(path) == int(grown)


def test_a_passed_bound_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One reading above its bound is named and makes the exit code 1; below, the table alone is printed."""
    parts = {name: {"pss": 1_000_000} for name in ("go", "python")}
    for kind in ("", ".hot"):
        (tmp_path / f"cpython{kind}.json").write_text(json.dumps({"stats": {"memory": {"parts": parts}}}))
    (tmp_path / "cpython.start_us").write_text("100000\n300000\n200000\n")
    (tmp_path / "cpython.load").write_text("reviews=100000\n")
    bound = bounds.read()["cpython"]
    for over, code in ((0, 0), (1, 1)):
        rows = [f"{name}\t{bound[name] + over}\t1\t2\t3\n" for name in footprint.READINGS]
        (tmp_path / "cpython.tsv").write_text("".join(rows))
        assert footprint.main(tmp_path, ["cpython"]) == code
        printed = capsys.readouterr().out
        assert ("above its bound" in printed) == bool(code)
        assert "median of 3: 0.20 s" in printed
