"""Fuzz every parser for some time each, as many at once as there are cores, and give a verdict.

Run as `python -m tests.fuzz 10m`, or with part of a name behind it. The parsers in Go have native fuzz tests,
whose findings stay in testdata/fuzz; the codec in Python has test_protocol_properties.py, run with fresh
examples again and again.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple

ROOT = Path(__file__).parents[1]
GO_CORE = ROOT / "go_core"
STOOD_STILL = "fuzzing process hung or terminated unexpectedly"
UNITS = {"s": 1, "m": 60, "h": 3600}
EXAMPLES = 500
"""Examples of each test in one round of the codec's."""


class Outcome(NamedTuple):
    """What became of one fuzzer: inputs tried, and its words where it found something or tried none."""

    tried: int
    failure: str


def native(package: Path, name: str, seconds: int) -> Outcome:
    """Run a fuzz test of Go; again where it failed only because the machine stood still."""
    end, tried, said = time.monotonic() + seconds, 0, ""
    while (left := round(end - time.monotonic())) > 0:
        # Minimizing by count, not by time: a slow target on a busy machine would do nothing else.
        options = ["-fuzztime", f"{left}s", "-fuzzminimizetime", "100x", "-parallel", "1"]
        done = run(["go", "test", "-run", f"^{name}$", "-fuzz", f"^{name}$", *options, "."], package)
        counts, said = re.findall(r"execs: (\d+)", done.stdout), done.stdout + done.stderr
        tried += int(counts[-1]) if counts else 0
        if "SKIPPED" in said or (done.returncode and not stood_still(package, said)):
            return Outcome(tried, said)
    return Outcome(tried, "" if tried else said)


def stood_still(package: Path, said: str) -> bool:
    """Whether an input was only at hand when Go's ten seconds for each, by the clock, were over.

    Then it passes when it is tried alone, many times, and is no finding.
    """
    found = re.search(r"(?:testdata/fuzz/|seed corpus entry: )(\S+)", said)
    if found is None or STOOD_STILL not in said:
        return False
    if run(["go", "test", "-run", f"^{found[1]}$", "-count", "20", "."], package).returncode:
        return False
    (package / "testdata/fuzz" / found[1]).unlink(missing_ok=True)
    print(f"fuzz: {found[1]} passes alone: the machine stood still", flush=True)
    return True


def codec(seconds: int) -> Outcome:
    """Run hypothesis's tests of the codec in Python round by round, until the time has passed."""
    end, tried = time.monotonic() + seconds, 0
    tests = ["tests/test_protocol_properties.py", "--timeout", "0", "--hypothesis-show-statistics"]
    while time.monotonic() < end:
        done = run([sys.executable, "-m", "pytest", *tests], ROOT, {"EDGED_EXAMPLES": str(EXAMPLES)})
        passed = sum(map(int, re.findall(r"- (\d+) passing", done.stdout)))
        tried += passed
        if done.returncode or not passed:
            return Outcome(tried, done.stdout + done.stderr)
    return Outcome(tried, "")


def run(
    command: list[str], folder: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program, and keep what it says."""
    return subprocess.run(
        command, cwd=folder, env=os.environ | (env or {}), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def fuzzers() -> dict[str, Callable[[int], Outcome]]:
    """All there are, by the names they are reported by."""
    found: dict[str, Callable[[int], Outcome]] = {"codec in Python": codec}
    for path in sorted(GO_CORE.rglob("*_test.go")):
        for name in re.findall(r"^func (Fuzz\w+)\(", path.read_text(), re.MULTILINE):
            found[f"{path.parent.name} {name}"] = partial(native, path.parent, name)
    return found


def main(duration: str, part: str = "") -> int:
    """Run those whose name holds `part`; 1 when one has failed."""
    seconds = int(duration[:-1]) * UNITS[duration[-1]]

    def report(name: str, fuzz: Callable[[int], Outcome]) -> Outcome:
        outcome = fuzz(seconds)
        print(f"fuzz: {name:28}{duration:>5}{outcome.tried:>16,} inputs", flush=True)
        if outcome.failure:
            print(outcome.failure, flush=True)
        return outcome

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(report, *zip(*((n, f) for n, f in fuzzers().items() if part in n))))
    failed = sum(bool(outcome.failure) for outcome in outcomes)
    said = f"{failed} of {len(outcomes)} fuzzers failed" if failed else "nothing found"
    print(f"verdict: {sum(outcome.tried for outcome in outcomes):,} inputs, {said}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
