"""The fast form of the boards: what was built for ARM, run through qemu-user. `make emulated` runs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cross.architectures import ARCHITECTURES, ROOT
from cross.build import environment
from edged import Client
from tests import scores
from tests.emulated import Root, reason

REASON = reason()
pytestmark = [pytest.mark.heavy, pytest.mark.timeout(2400), pytest.mark.skipif(bool(REASON), reason=REASON)]
ARM = pytest.mark.parametrize("name", ["arm64", "armhf"])
# Those that need neither an interpreter nor a whole daemon, which the other tests start.
GO_PACKAGES = ["batcher", "config", "counters", "features", "gateway", "memory", "model", "protocol"]
# qemu-user keeps madvise's advice on neighbouring pages to itself.
NOT_EMULATED = "^TestReleasedFilesComeBackWithFewerNeighbours$"
EMULATORS = {"arm64": "qemu-aarch64-static", "armhf": "qemu-arm-static"}


@ARM
def test_the_packages_daemon_scores_as_this_machine_s(name: str) -> None:
    reviews = scores.reviews()[:200]
    expected = scores.here(reviews)
    with tempfile.TemporaryDirectory(prefix="emu", dir="/tmp") as folder:
        subprocess.run([sys.executable, "-m", "cross.build", name], cwd=ROOT, check=True)
        subprocess.run([sys.executable, "-m", "cross.deb", name, "--output", folder], cwd=ROOT, check=True)
        package = next(Path(folder).glob("*.deb"))
        with Root(ARCHITECTURES[name], Path(folder, "r")) as root:
            subprocess.run(["dpkg-deb", "-x", package, root.folder], check=True)
            # Emulation is so slow that batches would be of one review each, and calls pass for hung.
            patient = "--max-batch-time 30s --handler-timeout 10m"
            root.start(f"edged --embed cpython {patient} --endpoints ipc:///s")
            with Client(root.endpoint, timeout=600) as client:
                got = [*client.classify_many(reviews)]
    scores.compare(got, expected)


@ARM
def test_go_s_own_tests_pass(name: str) -> None:
    architecture = ARCHITECTURES[name]
    subprocess.run([sys.executable, "-m", "cross.sysroot", name], cwd=ROOT, check=True)
    command = ["go", "test", "-count=1", "-timeout=20m", f"-skip={NOT_EMULATED}"]
    command += [f"-exec={EMULATORS[name]} -L {architecture.sysroot}"]
    command += [f"./{package}" for package in GO_PACKAGES]
    done = subprocess.run(
        command,
        cwd=ROOT / "go_core",
        env=environment(architecture),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert shutil.which(EMULATORS[name])
