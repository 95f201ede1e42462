"""What `make fuzz` runs, and what it takes for a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import fuzz

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)  # the first time, Go compiles its own packages for tests
TARGET = """package target
import "testing"
func FuzzTarget(f *testing.F) {
	f.Add("good")
	f.Fuzz(func(t *testing.T, text string) {
		if text == "bad" { t.Fatal("found") }
	})
}
"""
SAID = f"""--- FAIL: FuzzTarget (12.01s)
    {fuzz.STOOD_STILL}: exit status 2
    Failing input written to testdata/fuzz/FuzzTarget/0123456789abcdef
"""


def test_all_parsers_are_fuzzed() -> None:
    names = {name.split()[0] for name in fuzz.fuzzers()}
    assert names == {"codec", "config", "features", "memory", "model", "protocol"}


@pytest.mark.parametrize(("text", "still"), [("good", True), ("bad", False)])
def test_an_input_is_no_finding_where_only_the_machine_stood_still(
    tmp_path: Path, text: str, still: bool
) -> None:
    """Go says the same of an input that hangs and of a machine that does: tried alone, they differ."""
    (tmp_path / "go.mod").write_text("module target\n")
    (tmp_path / "target_test.go").write_text(TARGET)
    found = tmp_path / "testdata/fuzz/FuzzTarget/0123456789abcdef"
    found.parent.mkdir(parents=True)
    found.write_text(f'go test fuzz v1\nstring("{text}")\n')
    assert fuzz.stood_still(tmp_path, SAID) == still
    assert found.exists() != still, "a finding stays"


def test_a_seed_is_tried_alone_too(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module target\n")
    (tmp_path / "target_test.go").write_text(TARGET)
    said = f"failure while testing seed corpus entry: FuzzTarget/seed#0\n    {fuzz.STOOD_STILL}: EOF\n"
    assert fuzz.stood_still(tmp_path, said)
    (tmp_path / "target_test.go").write_text(TARGET.replace('Add("good")', 'Add("bad")'))
    assert not fuzz.stood_still(tmp_path, said)


def test_a_failure_is_a_finding(tmp_path: Path) -> None:
    assert not fuzz.stood_still(tmp_path, SAID.replace(fuzz.STOOD_STILL, "panic"))
