"""The Go core's own tests, race detector on, as part of the one test run."""

import re
import subprocess
from pathlib import Path

import pytest

GO_CORE = Path(__file__).parents[1] / "go_core"
PACKAGES = sorted({path.parent.relative_to(GO_CORE).as_posix() for path in GO_CORE.rglob("*_test.go")})
PASSED = re.compile(r"^( *--- PASS|=== |ok |PASS)", re.MULTILINE)


def test_packages_were_found() -> None:
    assert {"batcher", "config", "features", "gateway", "memory", "protocol", "python"} <= set(PACKAGES)


@pytest.mark.timeout(1500)  # the first time, Go compiles its standard library with the race detector
@pytest.mark.parametrize("package", PACKAGES)
def test_with_the_race_detector(package: str) -> None:
    run = subprocess.run(
        ["go", "test", "-race", "-timeout=20m", "-v", f"./{package}"],
        cwd=GO_CORE,
        capture_output=True,
        text=True,
        check=False,
    )
    failures = [line for line in run.stdout.splitlines() if not PASSED.match(line)]
    assert run.returncode == 0, "\n".join([*failures, run.stderr])
    reasons = re.findall(r"SKIPPED: (.*)", run.stdout)
    if reasons:  # Go keeps quiet about them
        pytest.skip(f"{len(reasons)} of its tests skipped: {'; '.join(sorted(set(reasons)))}")
