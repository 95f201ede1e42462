"""The memory ledger of the real daemon: what is allocated on purpose is found in its row."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
import zmq

from edged.client import Client
from tests.daemon import BINARY, ROOT, Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
ANONYMOUS = {"go", "python", "c_heap", "stacks", "other"}
PARTS = ANONYMOUS | {"model", "libraries", "binary"}

ALLOCATES = """
import time
from pathlib import Path
import numpy as np

kept = []

def process_batch(texts):
    for text in texts:
        what, _, mib = text.partition(" ")
        if what == "numpy":
            kept.append(np.ones(int(mib) << 20, np.uint8))
        elif what == "objects":  # 128 bytes each, in pymalloc's largest but three classes
            kept.append([bytes(95) for _ in range((int(mib) << 20) // 128)])
        elif what == "wait":
            (Path(__file__).parent / "waits").touch()
            while not (Path(__file__).parent / "over").exists():
                time.sleep(0.01)
    return [("positive", 1.0)] * len(texts)
"""


def reading(client: Client) -> dict[str, Any]:
    """A reading of the ledger that began after this call."""
    asked = time.monotonic()
    while True:
        stats: dict[str, Any] = client.stats()
        if "process" in stats and stats["age_ms"] / 1000 < time.monotonic() - asked:
            return stats
        time.sleep(0.05)


def parts(stats: dict[str, Any]) -> dict[str, int]:
    """PSS of each part, in bytes."""
    return {name: part["pss"] for name, part in stats["memory"]["parts"].items()}


def pss_and_rss(pid: int) -> dict[str, int]:
    """The kernel's own sums over a process's mappings, in bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kib) * 1024 for name, kib in re.findall(r"^(Pss|Rss):\s+(\d+) kB", text, re.MULTILINE)}


def at_rest(client: Client) -> dict[str, Any]:
    """A reading of the ledger after the daemon, quiet for two seconds, gave back what it does not need.

    It may have stood still for one of the pauses, on a machine that others use.
    """
    stats, calm = reading(client), 0
    while calm < 2:
        earlier = parts(stats)
        time.sleep(2.5)
        stats = reading(client)
        same = all(abs(parts(stats)[name] - earlier[name]) < MIB // 2 for name in ANONYMOUS)
        calm = calm + 1 if same else 0
    return stats


@pytest.fixture
def allocating(make_daemon: Callable[..., Daemon]) -> Iterator[tuple[Daemon, Client]]:
    """A daemon whose handler allocates what it is told, and its client."""
    daemon = make_daemon(
        stats_interval="1s", client_bytes="64MiB", queue_bytes="128MiB", handler_timeout="200s"
    )
    daemon.handler(ALLOCATES)
    daemon.start()
    with Client(daemon.endpoint, timeout=60) as client:
        yield daemon, client


def test_parts_add_up_to_what_the_kernel_says(make_daemon: Callable[..., Daemon]) -> None:
    """The parts sum to the process's PSS, which is that of /proc within 3 %.

    Neighbours that come and go change a process's share of its libraries: readings are taken until none did.
    """
    daemon = make_daemon(stats_interval="1s").start()
    with Client(daemon.endpoint, timeout=60) as client:
        for _ in range(20):
            client.classify(["A fine wine."] * 10)  # at rest the model's pages are given back
            earlier = pss_and_rss(daemon.pid)
            stats = reading(client)
            later = pss_and_rss(daemon.pid)
            process = stats["process"]
            read = {"Pss": process["pss"], "Rss": process["rss"]}
            if earlier == pytest.approx(later, rel=0.01) and read == pytest.approx(later, rel=0.03):
                break
    found = parts(stats)
    assert set(found) == PARTS
    assert sum(found.values()) == process["pss"]
    assert read == pytest.approx(later, rel=0.03)
    assert process["uss"] <= process["pss"] <= process["rss"] <= process["peak_rss"]
    assert found["model"] > 0
    assert found["other"] < 0.02 * process["pss"]  # the stack of a thread that has just ended, say
    paths = [file["path"] for file in stats["memory"]["files"]]
    assert str(BINARY.resolve()) in paths
    assert any(path.endswith(".tflite") for path in paths)


@pytest.mark.parametrize(
    ("what", "part", "estimate"), [("numpy", "c_heap", "numpy"), ("objects", "python", None)]
)
def test_what_python_allocates_is_found_in_its_row(
    allocating: tuple[Daemon, Client], what: str, part: str, estimate: str | None
) -> None:
    """Arrays grow the C heap, small objects pymalloc's arenas, and neither anything else."""
    _, client = allocating
    amount = 24 * MIB
    before = at_rest(client)
    client.classify(f"{what} 24")
    after = at_rest(client)
    grown = {name: size - parts(before)[name] for name, size in parts(after).items()}
    assert grown[part] == pytest.approx(amount, rel=0.05)
    # A list holds its objects by pointers, which are of the C heap: 8 bytes for 128.
    beside = amount / 16 if what == "objects" else 0
    # Pages of files come and go with use: released at the start, they are mapped again.
    for other in PARTS - {part, "binary", "libraries", "model"}:
        assert abs(grown[other] - (beside if other == "c_heap" else 0)) < 0.05 * amount, other
    growth = {name: after["memory"]["parts"][name]["growth"] for name in PARTS}
    assert growth[part] == pytest.approx(amount, rel=0.05), "growth since start names what leaks"
    if estimate is not None:
        rows = after["memory"]["parts"][part]["estimated"]
        assert rows[estimate] == pytest.approx(amount, rel=0.15)


def test_queued_requests_are_found_in_gos_row(allocating: tuple[Daemon, Client]) -> None:
    """While the handler is busy, requests wait in Go's heap, counted as the queue; then it is given back.

    Nothing comes in for seconds while they wait: what is given back then comes too early, and not again.
    """
    daemon, client = allocating
    before = reading(client)
    # Seven of Go's pages: it allocates whole ones.
    body = b'{"text":"wine %s"}' % (b"x" * (7 * 8192 - 16))
    assert len(body) == 7 * 8192
    count = 800
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.sndhwm = 0
        socket.connect(daemon.endpoint)
        socket.send(b'{"text":"wait"}')
        while not (daemon.folder / "waits").exists():
            time.sleep(0.01)
        for _ in range(count):
            socket.send(body)
        amount = count * len(body)
        queued = 0
        deadline = time.monotonic() + 60
        while queued < 0.95 * amount and time.monotonic() < deadline:
            after = reading(client)
            queued = after["memory"]["parts"]["go"]["counted"]["queue"]
        assert queued == pytest.approx(amount, rel=0.05)
        grown = parts(after)["go"] - parts(before)["go"]
        assert grown == pytest.approx(amount, rel=0.05)
        time.sleep(3)
        (daemon.folder / "over").touch()
        for _ in range(count + 1):
            assert socket.poll(30_000)
            assert b"positive" in socket.recv()
    deadline = time.monotonic() + 60
    while parts(reading(client))["go"] > parts(before)["go"] + amount / 4:  # a batch's buffers stay
        assert time.monotonic() < deadline, "Go's heap keeps what the queue needed"


def test_connections_are_estimated_for_zeromq(make_daemon: Callable[..., Daemon]) -> None:
    """Clients show as ZeroMQ's share of the C heap, within 15 % of what they grow it by.

    They are many, for the heap itself may give back half a megabyte or so between the readings.
    """
    daemon = make_daemon(stats_interval="1s", max_clients=256).start()
    with (
        Client(daemon.endpoint, timeout=60) as client,
        zmq.Context() as context,
        contextlib.ExitStack() as stack,
    ):
        before = at_rest(client)
        for _ in range(192):
            socket = stack.enter_context(context.socket(zmq.DEALER))
            socket.linger = 0
            socket.connect(daemon.endpoint)
            socket.send(b'{"text":"good"}')
            assert socket.poll(60_000)
            socket.recv()
        after = at_rest(client)
    rows = [stats["memory"]["parts"]["c_heap"] for stats in (before, after)]
    estimated = rows[1]["estimated"]["zeromq"] - rows[0]["estimated"]["zeromq"]
    assert estimated == pytest.approx(rows[1]["pss"] - rows[0]["pss"], rel=0.15)


COUNTS = """
import gc, json, sys
from edged.embedded import entry
entry.load(json.dumps({"model": sys.argv[1]}).encode())
gc.disable()
for _ in range(5):
    entry.memory(b"")
before = sys.getallocatedblocks()
for _ in range(100):
    entry.memory(b"")
print(sys.getallocatedblocks() - before)
"""


def test_the_report_leaves_nothing_behind() -> None:
    """Asking Python for its memory a hundred times takes none, also while the collector rests."""
    model = ROOT / "edged" / "models" / "edged.tflite"
    command = [sys.executable, "-c", COUNTS, str(model)]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, cwd=ROOT)
    assert int(printed.stdout) < 200, "it was 700 when a list held itself"


def test_numpys_lazy_parts_stay_whole_for_handlers(make_daemon: Callable[..., Daemon]) -> None:
    """Submodules of numpy that are not loaded at start work when a handler comes to use them."""
    daemon = make_daemon()
    daemon.handler(
        "import numpy as np\n"
        "def process_batch(texts):\n"
        "    values = np.random.default_rng(1).normal(size=64)\n"
        "    spectrum = np.abs(np.fft.rfft(values)).sum()\n"
        "    fit = np.polynomial.Polynomial.fit(np.arange(64), values, 3)(1.0)\n"
        "    masked = np.ma.masked_less(values, 0).mean()\n"
        "    pointer = np.ctypeslib.as_ctypes(values)[0]\n"
        "    assert np.isfinite([spectrum, fit, masked, pointer]).all()\n"
        "    return [('positive', 0.5)] * len(texts)\n"
    )
    daemon.start()
    with Client(daemon.endpoint, timeout=60) as client:
        assert client.classify("wine").label == "positive"


def test_check_config_prints_the_budget(tmp_path: Path) -> None:
    """--check-config says what follows from memory.limit, and refuses a limit that can't hold the daemon."""
    file = tmp_path / "edged.toml"
    file.write_text('[memory]\nlimit = "64MiB"\n')
    printed = subprocess.run(
        [BINARY, "--config", file, "--check-config"], capture_output=True, text=True, timeout=100, check=False
    )
    assert printed.returncode == 0, printed.stderr
    for name in ("max_message_bytes", "go_memory_limit", "queue_bytes", "recv_hwm", "worst_case"):
        assert re.search(rf"^# {name} +[1-9]\d* ", printed.stdout, re.MULTILINE), name
    file.write_text('[memory]\nlimit = "40MiB"\n')
    refused = subprocess.run(
        [BINARY, "--config", file], capture_output=True, text=True, timeout=100, check=False
    )
    assert refused.returncode == 78
    assert "memory.limit = 40 MiB" in refused.stderr
    assert "remedy" in refused.stderr


def test_statistics_are_published(make_daemon: Callable[..., Daemon]) -> None:
    """The PUB socket sends the same document every stats_interval."""
    daemon = make_daemon(stats_interval="1s")
    endpoint = f"ipc://{daemon.folder}/p"
    daemon.settings["stats_endpoint"] = endpoint
    daemon.start()
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe(b"stats")
        socket.connect(endpoint)
        documents = []
        for _ in range(5):
            assert socket.poll(60_000)
            topic, text = socket.recv_multipart()
            assert topic == b"stats"
            documents.append(json.loads(text))
    assert set(documents[1]) >= {
        "process",
        "memory",
        "cgroup",
        "system",
        "counters",
        "latency",
        "queue",
        "python",
        "model",
    }
    # One may come late, and the next one on time.
    assert documents[-1]["uptime_seconds"] - documents[0]["uptime_seconds"] > 1
