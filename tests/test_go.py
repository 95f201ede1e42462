"""The Go core's own tests, race detector on, as part of the one test run."""

import subprocess
from pathlib import Path

import pytest

GO_CORE = Path(__file__).parents[1] / "go_core"


@pytest.mark.timeout(900)
def test_go_core_passes_its_tests_with_the_race_detector() -> None:
    run = subprocess.run(
        ["go", "test", "-race", "./..."], cwd=GO_CORE, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
