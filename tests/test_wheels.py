"""The wheels that carry the daemon, in environments that have nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from cross.architectures import ARCHITECTURES, ROOT
from cross.gate import inspect
from cross.tree import host
from edged import Client, __version__
from tests.emulated import Root, reason

HOST = host()
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake: make wheels installs it"),
]


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment that holds nothing but PATH and what is given."""
    environ = {"PATH": "/usr/bin:/bin", **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel for this machine."""
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run([sys.executable, "-m", "cross.wheel", HOST.name, "--output", folder], cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment of Debian's Python with the wheel and what the daemon loads."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", f"{wheel}[daemon]"], check=True)
    return folder


def test_it_is_tagged_for_its_platform_and_brings_the_licences(wheel: Path) -> None:
    assert wheel.name == f"edged-{__version__}-py3-none-{HOST.wheel}.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
        [wheel_file] = (archive.read(name).decode() for name in names if name.endswith("/WHEEL"))
    assert "Root-Is-Purelib: false" in wheel_file
    licences = [
        line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("License-File: ")
    ]
    assert {"LICENSE", "libzmq-COPYING.LESSER.txt", "libsodium.txt"} <= set(licences)
    assert all(f"edged-{__version__}.dist-info/licenses/{name}" in names for name in licences)


def test_the_daemon_needs_no_library_but_the_platform_s(environment: Path) -> None:
    assert not [
        name for name in inspect(environment / "bin/edged").needed if "zmq" in name or "sodium" in name
    ]


def test_daemon_and_command_line_work_in_an_environment_that_is_not_active(environment: Path) -> None:
    endpoint = f"ipc://{environment}/s"
    with subprocess.Popen(
        [environment / "bin/edged", "--embed", "cpython", "--endpoints", endpoint],
        env={"PATH": "/usr/bin:/bin"},
    ) as daemon:
        try:
            with Client(endpoint, timeout=60) as client:
                assert client.classify("Bright cherry, long finish.").label == "positive"
            checked = run(environment / "bin/edgectl", "doctor", "--endpoint", endpoint)
            assert checked.returncode == 0, checked.stdout
            assert f"({environment}/bin/python3)" in checked.stdout
        finally:
            daemon.terminate()
    assert daemon.returncode == 0


def test_the_doctor_names_a_missing_libpython(environment: Path) -> None:
    absent = {"EDGED_LIBPYTHON": "/nonexistent/libpython3.11.so.1.0"}
    checked = run(environment / "bin/edgectl", "doctor", "--endpoint", f"ipc://{environment}/none", **absent)
    assert checked.returncode != 0
    assert "libpython" in checked.stdout
    assert "apt install libpython3.11" in checked.stdout


def test_pip_install_without_go_gives_client_and_command_line(tmp_path: Path) -> None:
    subprocess.run(["/usr/bin/python3", "-m", "venv", tmp_path], check=True)
    subprocess.run(
        [tmp_path / "bin/pip", "install", "--quiet", ROOT], check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert run(tmp_path / "bin/edgectl", "--version").stdout == f"edgectl {__version__}\n"
    assert run(tmp_path / "bin/python", "-c", "from edged import Client").returncode == 0
    assert not (tmp_path / "bin/edged").exists()


@pytest.mark.skipif(bool(reason()), reason=reason())
def test_the_aarch64_wheel_works_under_emulation(tmp_path: Path) -> None:
    architecture = ARCHITECTURES["arm64"]
    subprocess.run([sys.executable, "-m", "cross.wheel", "arm64", "--output", tmp_path], cwd=ROOT, check=True)
    with (
        tempfile.TemporaryDirectory(prefix="emu", dir="/tmp") as folder,
        Root(architecture, Path(folder, "r")) as root,
    ):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += [
            "--python-version=3.11",
            f"--platform={architecture.wheel}",
            f"--target={root.folder}/opt",
        ]
        command += [str(next(tmp_path.glob("*.whl"))), "tflite-runtime==2.14.0"]
        subprocess.run(command, check=True)
        root.start("/opt/bin/edged --embed cpython --endpoints ipc:///s", PYTHONPATH="/opt")
        with Client(root.endpoint, timeout=300) as client:
            assert client.classify("Bright cherry, long finish.").label == "positive"
