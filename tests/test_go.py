"""The Go core's own tests, race detector on, as part of the one test run."""

import re
import subprocess
from pathlib import Path

import pytest

GO_CORE = Path(__file__).parents[1] / "go_core"


@pytest.fixture(scope="module")
def run() -> subprocess.CompletedProcess[str]:
    """Run them once, with every line they say."""
    command = ["go", "test", "-race", "-v", "./..."]
    return subprocess.run(command, cwd=GO_CORE, capture_output=True, text=True, check=False)


@pytest.mark.timeout(900)
def test_go_core_passes_its_tests_with_the_race_detector(run: subprocess.CompletedProcess[str]) -> None:
    passed = re.compile(r"^( *--- PASS|=== |ok |PASS)", re.MULTILINE)
    failures = [line for line in run.stdout.splitlines() if not passed.match(line)]
    assert run.returncode == 0, "\n".join([*failures, run.stderr])


@pytest.mark.timeout(900)
def test_go_core_skipped_none_of_them(run: subprocess.CompletedProcess[str]) -> None:
    """Go keeps quiet about what it skips; here it is counted, and each reason said once."""
    reasons = set(re.findall(r"SKIPPED: (.*)", run.stdout))
    if reasons:
        pytest.skip(f"{run.stdout.count('SKIPPED: ')} Go tests skipped: " + "; ".join(sorted(reasons)))
