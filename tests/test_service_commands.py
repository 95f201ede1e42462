"""edgectl's commands for the service, and the daemon's log, where no systemd runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edged import Client, cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

no_systemd = pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd runs here")


@no_systemd
def test_status_without_systemd(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status"]) == 69
    said = capsys.readouterr().err
    assert ("systemd does not answer" if shutil.which("systemctl") else "no systemctl") in said


@no_systemd
def test_logs_without_a_journal(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["logs", "--unit", "edged-nonexistent.service"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "can't read the system's journal" in said.err


@pytest.mark.parametrize("arguments", ["--since 5", "--since soon", "--level loud", "--lines many"])
def test_logs_says_what_it_takes(capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["logs", *arguments.split()])
    assert exit_.value.code == 64
    assert arguments.split()[1] in capsys.readouterr().err


def test_what_a_handler_logs_reaches_stderr_with_its_level(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    daemon.handler(
        "import logging\n\ndef process_batch(texts):\n"
        "    logging.getLogger('shop').warning('stock is low')\n"
        "    return [('ok', 1.0) for _ in texts]\n"
    )
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        client.classify("x")
        assert daemon.stop() == 0
        assert "WARNING shop: stock is low" in daemon.log


def test_a_handler_may_configure_logging_itself(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    daemon.handler(
        "import logging\nlogging.basicConfig(format='mine: %(message)s')\n\ndef process_batch(texts):\n"
        "    logging.error('no stock')\n    return [('ok', 1.0) for _ in texts]\n"
    )
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        client.classify("x")
        assert daemon.stop() == 0
        assert "mine: no stock" in daemon.log
        assert "ERROR root: no stock" not in daemon.log
