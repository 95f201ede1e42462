"""The life of the package on a board, up to its upgrade. Each test goes on where the last one ended.

`make board` runs them; they need no network and leave nothing on this machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from edged import Client, Prediction, __version__
from tests.board.conftest import NEXT
from tests.board.service import (
    SAMPLE,
    SLOW,
    journal,
    memory,
    settled,
    shown,
    wait_for,
    wait_for_restart,
)
from tests.scores import compare

if TYPE_CHECKING:
    from tests.board.machine import Machine

pytestmark = pytest.mark.timeout(2 * 900)

# The n-gram ids of the sample, one digest for all of them.
IDS = """
import gzip, hashlib, json, pathlib, edged.sample
from edged.features import Extractor
from edged.modelfile import read_metadata
folder = pathlib.Path(edged.sample.__file__).parents[1]
parts = read_metadata((folder / "models/edged.tflite").read_bytes())
rules = json.loads(bytes(parts["edged.json"]))["features"]
extract = Extractor(rules, bytes(parts["edged.ngrams"]), bytes(parts["edged.words"]))
texts = [json.loads(line)["text"] for line in gzip.open(edged.sample.WINE)]
rows = extract(texts)
print(len(rows.wide), hashlib.sha256(rows.wide_offsets.tobytes() + rows.wide.tobytes()).hexdigest())
"""
Figures = dict[str, float]


def test_it_boots_into_systemd(board: Machine, measured: Figures) -> None:
    assert board.agent.check("cat /proc/1/comm") == "systemd"
    wait_for(board, "systemctl is-system-running", "running", 300)
    measured["boot_seconds"] = round(board.boot_seconds, 1)


def test_the_package_installs_offline_and_the_service_starts(board: Machine, measured: Figures) -> None:
    began = time.monotonic()
    board.agent.check(f"apt-get install --yes /root/edged_{__version__}_*.deb", timeout=SLOW)
    measured["install_seconds"] = round(time.monotonic() - began, 1)
    assert board.agent.check("systemctl is-active edged.service edged.socket") == "active\nactive"
    assert board.agent.check("systemctl is-enabled edged.service edged.socket") == "enabled\nenabled"
    assert board.agent.run("systemctl is-enabled edged-tcp.socket").stdout.strip() == "disabled"
    measured["installed_bytes"] = 1024 * int(board.agent.check("dpkg-query -W -f='${Installed-Size}' edged"))
    stamps = [
        int(shown(board, name))
        for name in ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    ]
    measured["start_seconds"] = round((stamps[1] - stamps[0]) / 1e6, 2)


def test_nothing_of_the_system_failed(board: Machine) -> None:
    assert board.agent.check("systemctl --failed --no-legend") == ""


def test_the_doctor_finds_nothing(board: Machine) -> None:
    board.agent.check(f"edgectl doctor --timeout {SLOW}", timeout=SLOW)


def test_a_thousand_reviews_from_inside(
    board: Machine, expected: list[Prediction], measured: Figures
) -> None:
    printed = board.agent.check(
        f"edgectl classify {SAMPLE} --to jsonl --no-text --no-progress --timeout 300", timeout=SLOW
    )
    rows = [json.loads(line) for line in printed.splitlines()]
    got = [Prediction(row["label"], row["score"]) for row in rows]
    measured["largest_difference_ipc"] = round(compare(got, expected), 4)


def test_ids_are_exactly_those_of_this_machine(board: Machine) -> None:
    here = subprocess.run([sys.executable, "-c", IDS], capture_output=True, text=True, check=True).stdout
    assert board.agent.check("python3 -", IDS.encode(), timeout=SLOW) == here.strip()


def test_python_programs_of_the_board_can_use_the_client(board: Machine) -> None:
    source = "from edged import Client; print(Client(timeout=120).classify('Bright cherry.').label)"
    assert board.agent.check(f'python3 -c "{source}"') == "positive"


def test_members_of_the_group_may_connect_and_others_may_not(board: Machine) -> None:
    board.agent.check("useradd member && usermod -aG edged member && useradd stranger")
    board.agent.check("runuser -u member -- edgectl info --timeout 120")
    assert board.agent.run("runuser -u stranger -- edgectl info --timeout 3").code != 0


@pytest.fixture
def keys(board: Machine) -> tuple[str, tuple[str, str]]:
    """The server's public key and a client's pair, allowed on the board."""
    if board.agent.run("test -e /etc/edged/server.key_secret").code:
        board.agent.check("edgectl keys new --server")
        board.agent.check("edgectl keys new tester --folder /root && edgectl keys allow /root/tester.key")
    pair = board.agent.check("cat /root/tester.key_secret")
    server = board.agent.check("cat /etc/edged/server.key")
    public, secret = (re.findall(rf'{half}-key = "(.+)"', pair)[0] for half in ("public", "secret"))
    return re.findall('public-key = "(.+)"', server)[0], (public, secret)


def connect(board: Machine, keys: tuple[str, tuple[str, str]], timeout: float = SLOW) -> Client:
    """A client on this machine, over TCP with CURVE."""
    endpoint = f"tcp://127.0.0.1:{board.port}"
    return Client(endpoint, timeout=timeout, retries=20, server_key=keys[0], client_key=keys[1])


def test_a_thousand_reviews_from_outside_with_curve(
    board: Machine,
    keys: tuple[str, tuple[str, str]],
    reviews: list[str],
    expected: list[Prediction],
    measured: Figures,
) -> None:
    board.agent.check(
        "printf '\\n[curve]\\nserver_key = \"/etc/edged/server.key_secret\"\\n' > /tmp/curve && "
        "sed -i '/^\\[curve\\]/d' /etc/edged/edged.toml && cat /tmp/curve >> /etc/edged/edged.toml && "
        "mkdir -p /etc/systemd/system/edged-tcp.socket.d && "
        "printf '[Socket]\\nListenStream=\\nListenStream=0.0.0.0:5555\\n' "
        "> /etc/systemd/system/edged-tcp.socket.d/address.conf && systemctl daemon-reload && "
        "systemctl stop edged.service && systemctl enable --now edged-tcp.socket && "
        "systemctl start edged.service",
        timeout=SLOW,
    )
    with connect(board, keys) as client:
        got = [*client.classify_many(reviews)]
    measured["largest_difference_tcp"] = round(compare(got, expected), 4)


def test_memory_after_ten_thousand_reviews(
    board: Machine, keys: tuple[str, tuple[str, str]], reviews: list[str], measured: Figures
) -> None:
    with connect(board, keys) as client:
        for _ in range(10):
            assert len([*client.classify_many(reviews)]) == len(reviews)
        measured["pss_busy_bytes"] = memory(board)["pss"]
        kernel = settled(board)
        ledger = client.stats()["process"]
    measured.update({f"{name}_bytes": size for name, size in kernel.items()})
    # Two readings a moment apart.
    assert ledger["pss"] == pytest.approx(kernel["pss"], rel=0.05)


def test_a_reload_keeps_the_process(board: Machine) -> None:
    pid = shown(board, "MainPID")
    done = board.agent.run("systemctl reload edged.service", timeout=SLOW)
    assert done.code == 0, done.stderr + journal(board)
    wait_for(board, "systemctl is-active edged.service", "active")
    assert shown(board, "MainPID") == pid


def test_the_watchdog_restarts_a_stopped_daemon(board: Machine) -> None:
    pid = shown(board, "MainPID")
    board.agent.check(f"kill -STOP {pid}")
    wait_for_restart(board, pid)
    board.agent.check("edgectl classify --text fine --timeout 120")


def test_running_out_of_memory_ends_in_a_restart(board: Machine) -> None:
    pid = shown(board, "MainPID")
    limit = shown(board, "MemoryMax")
    # A limit below what it holds: the kernel kills it, systemd starts it again once the limit is back.
    board.agent.check("systemctl set-property --runtime edged.service MemoryMax=4M")
    deadline = time.monotonic() + 60
    while shown(board, "MainPID") == pid:
        board.agent.run("edgectl classify --text fine --timeout 2")
        assert time.monotonic() < deadline, "it lives on 4 MB"
    board.agent.check(f"systemctl set-property --runtime edged.service MemoryMax={limit}")
    board.agent.run("systemctl reset-failed edged.service; systemctl start edged.service")
    wait_for_restart(board, pid)
    assert "oom-kill" in board.agent.check("journalctl -u edged --no-pager | grep -i oom")
    board.agent.check("edgectl classify --text fine --timeout 120")


def test_an_upgrade_keeps_the_settings_and_loses_no_request(
    board: Machine, keys: tuple[str, tuple[str, str]], reviews: list[str], expected: list[Prediction]
) -> None:
    settings = board.agent.check("cat /etc/edged/edged.toml /etc/edged/server.key_secret")
    pid = shown(board, "MainPID")
    opened = shown(board, "ActiveEnterTimestampMonotonic", "edged-tcp.socket")
    stop = threading.Event()
    answered: list[Prediction] = []

    def ask() -> None:
        with connect(board, keys) as client:
            while not stop.wait(0.5):
                answered.extend(client.classify(reviews[:20]))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        board.agent.check(
            f"apt-get install --yes -o Dpkg::Options::=--force-confold /root/edged_{NEXT}_*",
            timeout=SLOW,
        )
        wait_for_restart(board, pid)
        before = len(answered)
        deadline = time.monotonic() + 120
        while len(answered) < before + 40 and asking.is_alive() and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        stop.set()
        asking.join()
    assert len(answered) >= before + 40, "no answer after the upgrade"
    assert len(answered) % 20 == 0
    compare(answered, expected[:20] * (len(answered) // 20))
    assert shown(board, "ActiveEnterTimestampMonotonic", "edged-tcp.socket") == opened
    assert board.agent.check("edged --version") == f"edged {__version__}"
    assert board.agent.check("dpkg-query -W -f='${Version}' edged") == NEXT
    assert board.agent.check("cat /etc/edged/edged.toml /etc/edged/server.key_secret") == settings
    assert "drain" in board.agent.check(f"journalctl -u edged _PID={pid} --no-pager -o cat")
