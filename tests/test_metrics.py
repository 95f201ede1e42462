"""What the daemon serves over HTTP, read by Prometheus' own parser, and its page in a browser."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import struct
import subprocess
import threading
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edged.client import Client
from tests.daemon import ROOT, Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium")
# The batch with the wine in it lasts until the test has made a file.
SLOW = """
import time
from pathlib import Path
over = Path(__file__).with_name("over")
def process_batch(texts):
    while "wine" in texts and not over.exists():
        time.sleep(0.01)
    return [("positive", 1.0)] * len(texts)
"""


class Http:
    """The HTTP side of a daemon."""

    def __init__(self, daemon: Daemon) -> None:
        (self.address,) = re.findall(r'"event":"metrics","address":"([^"]+)"', daemon.log)

    def get(self, path: str, timeout: float = 60) -> tuple[int, str, str]:
        """Status, content type and body."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def served(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that serves metrics on a free port."""
    return make_daemon(stats_interval="1s", **{"metrics.listen": "127.0.0.1:0"}).start()


def families(text: str) -> dict[str, list[tuple[str, dict[str, str], float]]]:
    """Samples by metric family, as Prometheus' own parser reads them."""
    return {
        family.name: [(sample.name, dict(sample.labels), sample.value) for sample in family.samples]
        for family in text_string_to_metric_families(text)
    }


def wait_for_ledger(client: Client) -> None:
    """Wait for the first reading of memory."""
    while "process" not in client.stats():
        pass


def test_prometheus_reads_the_metrics(served: Daemon) -> None:
    """Names, types and units are by the conventions, and the numbers are those of what was sent."""
    with Client(served.endpoint, timeout=60) as client:
        client.classify(["A fine wine."] * 7)
        wait_for_ledger(client)
    status, kind, text = Http(served).get("/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = families(text)
    assert found["edged_admitted"][0] == ("edged_admitted_total", {}, 1.0)
    assert found["edged_reviews"][0][2] == 7.0
    assert {labels["code"] for _, labels, _ in found["edged_failed"]} >= {"busy", "bad_request", "internal"}
    whole = found["edged_process_pss_bytes"][0][2]
    assert sum(value for _, _, value in found["edged_memory_part_pss_bytes"]) == whole
    assert 10e6 < whole < 200e6
    buckets = [
        (float(labels["le"]), value)
        for name, labels, value in found["edged_stage_duration_seconds"]
        if name.endswith("_bucket") and labels["stage"] == "total"
    ]
    stages = {
        labels["stage"]: value
        for name, labels, value in found["edged_stage_duration_seconds"]
        if name.endswith("_count")
    }
    assert set(stages) == {"queue", "features", "inference", "batch", "reply", "total"}
    assert stages["reply"] == stages["total"] == 1.0, "one request of one client: one batch, one reply"
    assert buckets == sorted(buckets)
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert buckets[-1] == (float("inf"), 1.0)
    for family in text_string_to_metric_families(text):
        assert re.fullmatch(r"edged_[a-z0-9_]+", family.name)
        assert family.documentation.endswith((".", ")"))
        assert family.type in ("counter", "gauge", "histogram")
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
    assert text.count("# TYPE ") == len(found), "each family once"


def test_metrics_and_stats_agree(served: Daemon) -> None:
    """/stats is the document that the stats request returns."""
    with Client(served.endpoint, timeout=60) as client:
        client.classify("wine")
        wait_for_ledger(client)
        asked = client.stats()
    status, kind, text = Http(served).get("/stats")
    assert (status, kind) == (200, "application/json")
    assert set(json.loads(text)) == set(asked)


def test_health_and_readiness_never_wait_for_a_batch(make_daemon: Callable[..., Daemon]) -> None:
    """While a batch lasts, both answer; in the drain the daemon is alive, not ready."""
    lasting = {"handler_timeout": "200s", "drain_timeout": "200s"}
    daemon = make_daemon(**lasting, **{"metrics.listen": "localhost:0"})
    daemon.handler(SLOW)
    daemon.start()
    web = Http(daemon)
    with Client(daemon.endpoint, timeout=100) as client:
        slow = threading.Thread(target=client.classify, args=("wine",))
        slow.start()
        while json.loads(web.get("/stats")[2])["counters"]["admitted"] == 0:
            pass  # a request that the drain overtakes would never be answered
        for path in ("/healthz", "/readyz", "/metrics", "/stats"):
            assert web.get(path)[0] == 200, path
        daemon.signal(signal.SIGTERM)
        while (answer := web.get("/readyz"))[0] == 200:
            pass
        assert answer[2] == "the daemon is draining\n"
        assert web.get("/healthz")[0] == 200
        assert slow.is_alive(), "the batch has ended by itself"
        (daemon.folder / "over").touch()
        slow.join()
    assert daemon.wait() == 0


def test_nothing_listens_unless_asked(daemon: Daemon) -> None:
    """Off by default: no line in the log, no TCP socket of the daemon's."""
    assert '"event":"metrics"' not in daemon.log
    sockets = set()
    for descriptor in Path(f"/proc/{daemon.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile: a file of /proc that the daemon read
            sockets.add(descriptor.readlink())
    inodes = {match[1] for path in sockets if (match := re.fullmatch(r"socket:\[(\d+)\]", str(path)))}
    listening = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
    assert not inodes & listening


def test_a_taken_address_is_an_error_for_people(served: Daemon, make_daemon: Callable[..., Daemon]) -> None:
    """The second daemon on one address ends with exit code 73 and says what to change."""
    second = make_daemon(**{"metrics.listen": Http(served).address})
    second.start(ready=False)
    assert second.wait() == 73
    assert "metrics.listen" in second.log
    assert "remedy" in second.log


def test_the_dashboard_asks_for_metrics_that_exist(served: Daemon) -> None:
    """Every metric in the Grafana dashboard is one the daemon serves."""
    with Client(served.endpoint, timeout=60) as client:
        client.classify("wine")
        wait_for_ledger(client)
    served_names = {
        name for samples in families(Http(served).get("/metrics")[2]).values() for name, _, _ in samples
    }
    dashboard = json.loads((ROOT / "packaging" / "grafana" / "edged.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 10
    asked = {name for query in queries for name in re.findall(r"\bedged_\w+", query)}
    # What depends on the machine: limits, pressure, sensors.
    optional = {name for name in asked if name.startswith(("edged_board_", "edged_cgroup_", "edged_system_"))}
    assert asked - optional <= served_names


@pytest.fixture
def busy(served: Daemon) -> Iterator[Daemon]:
    """A daemon that is answering requests all the while."""
    stop = threading.Event()

    def classify() -> None:
        with Client(served.endpoint, timeout=60) as client:
            while not stop.is_set():
                client.classify(["A fine wine with bright cherry."] * 5)

    thread = threading.Thread(target=classify)
    thread.start()
    yield served
    stop.set()
    thread.join()


def browser(profile: Path, *arguments: str) -> str:
    """Run headless Chromium on something; what it prints."""
    assert CHROMIUM is not None
    quiet = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    options = [
        f"--{name}" for name in f"{quiet} disable-component-update disable-sync hide-scrollbars".split()
    ]
    command = [CHROMIUM, *options, f"--user-data-dir={profile}", "--virtual-time-budget=8000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout


def pixels(png: bytes) -> list[list[tuple[int, ...]]]:
    """Rows of pixels of an 8-bit PNG (PNG specification, filters 0 to 4)."""
    width, height, depth, colour = struct.unpack_from(">IIBB", png, 16)
    size = {2: 3, 6: 4}[colour]
    assert depth == 8
    packed, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    raw, above, rows = zlib.decompress(packed), bytearray(width * size), []
    for y in range(height):
        start = y * (width * size + 1)
        line = bytearray(raw[start + 1 : start + 1 + width * size])
        for i in range(len(line)):
            left, up, corner = (
                (line[i - size] if i >= size else 0),
                above[i],
                (above[i - size] if i >= size else 0),
            )
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda value: abs(guess - value))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, paeth)[raw[start]]) & 255
        rows.append([tuple(line[i : i + 3]) for i in range(0, len(line), size)])
        above = line
    return rows


@pytest.mark.page
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: make page installs it")
@pytest.mark.timeout(300)
def test_the_page_shows_live_memory_on_a_phone(busy: Daemon, tmp_path: Path) -> None:
    """In headless Chromium, 390 pixels wide: numbers arrive, the bar has its colours, nothing sticks out."""
    url = f"http://{Http(busy).address}/"
    shown = {"rate": "–"}
    # The browser's eight seconds may hold one reading on a busy machine: two make a rate.
    while shown["rate"] == "–":
        dom = browser(tmp_path / "profile", "--dump-dom", url)
        shown = dict(re.findall(r'id="(\w+)"[^>]*>([^<]*)<', dom))
    assert shown["state"] == "serving"
    assert re.fullmatch(r"[\d.]+ MiB", shown["pss"])
    assert re.fullmatch(r"[\d.]+k?", shown["rate"])
    assert re.fullmatch(r"[\d.]+ (µs|ms)", shown["p99"])
    for part in ("Go", "Python objects", "C heap", "Libraries", "Program"):
        assert f">{part}</td>" in re.sub(r"<i[^>]*></i>", "", dom), part
    picture = ROOT / "build" / "page.png"
    browser(tmp_path / "profile", "--window-size=390,1500", f"--screenshot={picture}", url)
    rows = pixels(picture.read_bytes())
    colours = {pixel for row in rows for pixel in row}
    for colour in ("00a2c7", "e0a800", "7d5fd3", "4b7bd6", "2e9d6a"):
        assert tuple(bytes.fromhex(colour)) in colours, colour
    assert {row[-1] for row in rows} == {rows[0][0]}, "the page is wider than the phone"
