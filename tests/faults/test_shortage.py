"""No room on the disk, no file descriptors, no memory."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edged
from edged import Client
from tests.faults.form import LONG, PATIENCE, rounds
from tests.faults.load import ECHO
from tests.faults.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.daemon import Daemon
    from tests.faults.load import Load

    Loader = Callable[..., Load]

pytestmark = PATIENCE


def test_disk_full_for_the_log(echo: Daemon, under_load: Loader) -> None:
    with Path("/dev/full").open("wb") as full:
        echo.settings["log_level"] = "debug"
        echo.process = subprocess.Popen(echo.command(), stderr=full, stdout=full, env=echo.env)
        with under_load(echo.endpoint) as load, Client(echo.endpoint, timeout=60) as client:
            for _ in rounds(20, 500):
                with pytest.raises(edged.errors.EdgedError):
                    client.classify(["x"] * 5000)
            load.progress(200)
        echo.process.send_signal(signal.SIGTERM)
        assert echo.process.wait(60) == 0


def test_disk_full_for_results(echo: Daemon, under_load: Loader, tmp_path: Path) -> None:
    """The daemon keeps no state; `edgectl classify` does, in its output, and goes on where that ends."""
    (tmp_path / "disk").mkdir()
    reviews, results = tmp_path / "reviews.txt", tmp_path / "results.jsonl"
    reviews.write_text("".join(f"review {number}\n" for number in range(20_000)))
    command = f"{sys.executable} -m edged.cli classify {reviews} --out $0/results.jsonl"
    script = f"""
        mount -t tmpfs -o size=100k none $0 || exit 75
        {command}; [ $? = 74 ] || exit 1
        for room in 200k 400k 10m; do mount -o remount,size=$room none $0; {command} --resume; code=$?; done
        cp $0/results.jsonl {results}; exit $code
    """
    with echo.start(), under_load(echo.endpoint) as load:
        for _ in rounds(1, 20):
            done = subprocess.run(
                ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(tmp_path / "disk")],
                env=os.environ | {"EDGED_ENDPOINT": echo.endpoint},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode == 75 or "unshare failed" in done.stderr:
                pytest.skip(f"no file system can be mounted here: {done.stderr}")
            assert done.returncode == 0, done.stderr
            assert "No space left" in done.stderr
            labels = [json.loads(line)["label"] for line in results.read_text().splitlines()]
            assert labels == reviews.read_text().splitlines()
            load.progress()


def test_file_descriptors_exhausted(echo: Daemon, under_load: Loader) -> None:
    """Where libzmq 4.3.4 has no descriptor left to accept with, it aborts: a restart, and nothing lost."""
    path = echo.endpoint.removeprefix("ipc://")
    with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
        for _ in rounds(2, 20):
            used = len(list(Path(f"/proc/{echo.pid}/fd").iterdir()))
            _, most = resource.prlimit(echo.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(echo.pid, resource.RLIMIT_NOFILE, (used + 10, most))
            with ExitStack() as stack:
                for _ in range(50):
                    greedy = stack.enter_context(socket.socket(socket.AF_UNIX))
                    greedy.settimeout(1)
                    with suppress(OSError):  # refused, or its backlog is full: that is the point
                        greedy.connect(path)
                load.progress()
            with Client(echo.endpoint, timeout=60) as newcomer:
                assert newcomer.classify("new").label == "new"
    assert set(supervisor.codes) <= {-signal.SIGABRT}


def test_queue_full(make_daemon: Callable[..., Daemon], under_load: Loader) -> None:
    """A budget far too small for the load sheds it with busy; callers that retry still get everything."""
    daemon = make_daemon(
        queue_reviews=64, client_reviews=16, max_reviews=16, queue_bytes="64KiB", client_bytes="16KiB"
    )
    daemon.handler(ECHO)
    with daemon.start(), under_load(daemon.endpoint, clients=32) as load:
        load.progress(1000 if not LONG else 100_000, timeout=250 if not LONG else 600)


GREEDY = """
import random
hoard = []
def process_batch(texts):
    if random.random() < 0.02: {greed}
    return [(text, 0.5) for text in texts]
"""


def test_address_space_exhausted(echo: Daemon, under_load: Loader) -> None:
    """Where Python runs out of it, the batch fails and the daemon goes on; elsewhere it starts again."""
    Path(echo.settings["handler"]).write_text(GREEDY.format(greed="hoard.append(bytearray(20 << 20))"))
    expected = (edged.errors.ModelError, edged.errors.InternalError)
    with Supervisor(echo) as supervisor, under_load(echo.endpoint, expected=expected) as load:
        for _ in rounds(2, 50):
            load.progress()  # else it might be limited while it still starts
            ended, refused = len(supervisor.codes), load.account.refused
            used = int(Path(f"/proc/{echo.pid}/statm").read_text().split()[0]) * resource.getpagesize()
            resource.prlimit(echo.pid, resource.RLIMIT_AS, (used + (50 << 20),) * 2)
            load.progress()
            deadline = time.monotonic() + 150
            while load.account.refused == refused and len(supervisor.codes) == ended:
                assert time.monotonic() < deadline, "the limit was not hit"
                time.sleep(0.01)
            load.progress()
            if len(supervisor.codes) == ended:  # the next life without the hoard
                echo.signal(signal.SIGKILL)
                supervisor.ended(ended + 1)


@pytest.mark.skipif(not LONG, reason="takes minutes; part of make faults")
def test_a_handler_that_leaks(echo: Daemon, under_load: Loader) -> None:
    """It fills the memory until all are refused; that does not last."""
    Path(echo.settings["handler"]).write_text(GREEDY.format(greed="hoard.append(b'x' * (4 << 20))"))
    echo.settings["memory.limit"] = "96MiB"
    with Supervisor(echo) as supervisor, under_load(echo.endpoint, timeout=600) as load:
        supervisor.ended(2, timeout=600)
        load.progress()
    assert set(supervisor.codes) == {70}
    assert '"event":"memory_exhausted"' in echo.log


def test_killed_for_memory(echo: Daemon, under_load: Loader) -> None:
    """The kernel ends what uses more than its control group may."""
    Path(echo.settings["handler"]).write_text(GREEDY.format(greed="b'x' * (500 << 20)"))
    with memory_group(300 << 20) as group:
        echo.prefix = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
        with Supervisor(echo) as supervisor, under_load(echo.endpoint) as load:
            for done in rounds(2, 100):
                supervisor.ended(done + 1)
                load.progress()
        echo.close()
    assert set(supervisor.codes) == {-signal.SIGKILL}


@contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A memory control group of the second version or the first, limited to so many bytes."""
    for folder, key in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        group = Path("/sys/fs/cgroup", folder, f"edged-test-{os.getpid()}")
        with suppress(OSError):
            group.mkdir()
            try:
                if (group / key).exists():
                    (group / key).write_text(str(limit))
                    yield group
                    return
            finally:
                group.rmdir()
    pytest.skip("no memory control group can be made here: it wants root, and a control group of one's own")
