"""What a second user of the machine can and can't do, and what never reaches the log."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edged import Client, errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

ROOT = Path(__file__).parents[1]
NOBODY = 65534
SETPRIV = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
SHIPPED = ROOT / "edged" / "models" / "edged.tflite"
SECRET = "Unspeakable words about a certain red wine"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as a second user")


def as_nobody(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user with no rights of its own; Debian's, for this clone may be closed to others."""
    return subprocess.run(
        [*SETPRIV, "/usr/bin/python3", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


CONNECT = """\
import socket, sys
with socket.socket(socket.AF_UNIX) as caller:
    try:
        caller.connect(sys.argv[1])
    except OSError as error:
        print(type(error).__name__)
    else:
        print("connected")
"""


@needs_root
def test_another_user_can_t_open_the_socket(daemon: Daemon) -> None:
    path = daemon.endpoint.removeprefix("ipc://")
    daemon.folder.chmod(0o755)  # so that it is the socket's own mode that keeps others out
    assert Path(path).stat().st_mode & 0o777 == 0o660
    assert as_nobody(CONNECT, path).stdout == "PermissionError\n"
    Path(path).chmod(0o666)
    assert as_nobody(CONNECT, path).stdout == "connected\n"


# --- model files and handlers -------------------------------------------------------------------------------


def refused(daemon: Daemon) -> str:
    """Start a daemon that must not start; gives what it said."""
    assert daemon.start(ready=False).wait() == 69
    return daemon.log


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the shipped model, with its card."""
    copy = tmp_path / "copy.tflite"
    shutil.copy(SHIPPED, copy)
    shutil.copy(SHIPPED.with_suffix(".md"), copy.with_suffix(".md"))
    copy.chmod(0o644)
    return copy


def test_a_copy_of_the_model_serves(make_daemon: Callable[..., Daemon], model: Path) -> None:
    with make_daemon(model=str(model)).start() as daemon, Client(daemon.endpoint, timeout=60) as client:
        assert client.info()["model_path"] == str(model)


@needs_root
def test_a_model_of_another_user_is_refused(make_daemon: Callable[..., Daemon], model: Path) -> None:
    os.chown(model, NOBODY, NOBODY)
    said = refused(make_daemon(model=str(model)))
    assert f"user {NOBODY}" in said
    assert "chown root" in said


def test_a_model_that_others_may_change_is_refused(make_daemon: Callable[..., Daemon], model: Path) -> None:
    model.chmod(0o666)
    assert "others may change it" in refused(make_daemon(model=str(model)))


def test_a_model_that_is_not_what_its_card_says_is_refused(
    make_daemon: Callable[..., Daemon], model: Path
) -> None:
    model.with_suffix(".md").write_text(f"SHA-256: {'0' * 64}\n")
    said = refused(make_daemon(model=str(model)))
    assert "its SHA-256 is" in said
    assert "0" * 64 in said


def test_a_model_beyond_all_boards_is_refused(make_daemon: Callable[..., Daemon], model: Path) -> None:
    os.truncate(model, 65 << 20)
    assert "bytes long" in refused(make_daemon(model=str(model)))


@needs_root
@pytest.mark.parametrize("part", ["file", "folder"])
def test_a_handler_of_another_user_is_refused(
    make_daemon: Callable[..., Daemon], tmp_path: Path, part: str
) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text("def process_batch(texts):\n    return [('ok', 1.0) for _ in texts]\n")
    os.chown(handler if part == "file" else tmp_path, NOBODY, NOBODY)
    said = refused(make_daemon(handler=str(handler)))
    assert str(handler if part == "file" else tmp_path) in said


def test_a_handler_that_others_may_change_is_refused(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text("def process_batch(texts):\n    return [('ok', 1.0) for _ in texts]\n")
    handler.chmod(0o666)
    assert str(handler) in refused(make_daemon(handler=str(handler)))


# --- the log ------------------------------------------------------------------------------------------------


def test_no_review_is_ever_logged(make_daemon: Callable[..., Daemon]) -> None:
    with make_daemon(log_level="debug", max_review_bytes=100, max_reviews=2).start() as daemon:
        with Client(daemon.endpoint, timeout=60) as client:
            client.classify(SECRET)
            for texts in (SECRET * 10, [SECRET] * 3):
                with pytest.raises(errors.TooLarge):
                    client.classify(texts)
        for body in (f'{{"text":"{SECRET}"', f'{{"op":"{SECRET}"}}', f'{{"text":["{SECRET}"]}}', SECRET):
            with daemon.socket() as dealer:
                dealer.send(body.encode())
                assert b'"error"' in dealer.recv()
        assert daemon.stop() == 0
        assert '"code":"bad_request"' in daemon.log
        assert '"code":"too_large"' in daemon.log
        assert SECRET not in daemon.log


def test_a_flood_of_bad_requests_writes_a_few_lines(daemon: Daemon) -> None:
    with daemon.socket() as dealer:
        for _ in range(100):
            for _ in range(50):
                dealer.send(b"no JSON")
            for _ in range(50):
                dealer.recv()
    daemon.says("suppressed")
    lines = [line for line in daemon.log.splitlines() if '"event":"refused"' in line]
    assert len(lines) <= 20
    assert sum(int(line.partition('"suppressed":')[2].partition(",")[0] or 0) for line in lines) > 1000
