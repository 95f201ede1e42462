"""The service as it is installed: the .deb under a real systemd, started, hung, flooded, reloaded, killed."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from edged import Client, errors
from tests.daemon import NO_METACALL, free_port, has_metacall
from tests.machine import NEEDS_MACHINE, Machine, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = NEEDS_MACHINE

CONFIG = "/etc/edged/edged.toml"
DROP_IN = "/etc/systemd/system/edged.service.d/test.conf"
SECRET = "Unspeakable words about a certain red wine"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with opened() as machine:
        machine.run("useradd kiosk; useradd --groups edged till")
        yield machine


class Service:
    """The service on the machine, set up for one test."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.default = machine.path(CONFIG).read_text()

    def start(self, config: str = "", drop_in: str = "") -> None:
        """Start it anew, with lines of configuration and of the unit."""
        self.configure(config)
        self.machine.write(DROP_IN, f"[Service]\n{drop_in}\n")
        self.machine.run("systemctl daemon-reload && systemctl restart edged.service")

    def configure(self, config: str) -> None:
        self.machine.write(CONFIG, config)

    def handler(self, source: str) -> str:
        """Install a handler file; gives the configuration line that names it."""
        self.machine.write("/etc/edged/handlers/test.py", source)
        return 'handler = "/etc/edged/handlers/test.py"\n'

    def client(self, **options: Any) -> Client:
        return Client(self.machine.socket, **{"timeout": 60, **options})

    def ask(self, name: str) -> str:
        return self.machine.show("edged.service", name)[name]

    @property
    def restarts(self) -> int:
        return int(self.ask("NRestarts"))

    @property
    def pid(self) -> int:
        """Of the daemon, in the machine."""
        return int(self.ask("MainPID"))

    def log(self) -> list[dict[str, Any]]:
        """What the present run of the daemon has logged."""
        return self.machine.journal(f"_SYSTEMD_INVOCATION_ID={self.ask('InvocationID')}")

    def events(self) -> list[str | None]:
        return [entry.get("EDGED_EVENT") for entry in self.log()]


@pytest.fixture
def service(machine: Machine) -> Iterator[Service]:
    service = Service(machine)
    yield service
    machine.run(
        "systemctl disable --now --quiet edged-tcp.socket edged-metrics.socket; systemctl reset-failed"
    )
    sockets = [f"/etc/systemd/system/edged-{name}.socket.d/test.conf" for name in ("tcp", "metrics")]
    for path in (DROP_IN, "/etc/edged/handlers/test.py", *sockets):
        machine.remove(path)
    machine.write(CONFIG, service.default)
    machine.run(
        "systemctl daemon-reload; systemctl stop edged.service; systemctl start edged.socket edged.service"
    )


# --- the units ----------------------------------------------------------------------------------------------


def test_the_units_are_clean_and_hardened(machine: Machine, service: Service) -> None:
    assert (
        machine.run("systemd-analyze verify edged.service edged.socket edged-tcp.socket edged-metrics.socket")
        == ""
    )
    machine.run("systemd-analyze security --offline=true --threshold=5 --no-pager edged.service")  # tenths
    drop_in = (Path(__file__).parents[1] / "systemd/edged.service.d/tcp.conf").read_text()
    machine.write("/etc/systemd/system/edged.service.d/tcp.conf", drop_in)
    machine.run("systemd-analyze security --offline=true --threshold=12 --no-pager edged.service")
    machine.remove("/etc/systemd/system/edged.service.d/tcp.conf")


@pytest.mark.parametrize("host", ["cpython", "metacall"])
def test_both_hosts_run_in_the_sandbox(service: Service, host: str) -> None:
    if host == "metacall" and not has_metacall():
        pytest.skip(NO_METACALL)
    service.start(f'embed = "{host}"')
    with service.client() as client:
        assert client.info()["host"] == host
        assert client.classify("A wonderful wine, a joy to drink.").label == "positive"
    status = service.machine.run(f"grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/{service.pid}/status")
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status


def test_ready_after_a_review_went_through(service: Service) -> None:
    service.start()
    entries = service.machine.journal("_SYSTEMD_UNIT=edged.service", "+", "UNIT=edged.service")
    ready = max(n for n, entry in enumerate(entries) if entry.get("EDGED_EVENT") == "ready")
    started = max(n for n, entry in enumerate(entries) if str(entry["MESSAGE"]).startswith("Started edged"))
    assert ready < started
    assert service.ask("StatusText").startswith("edged-")


def test_the_status_line_has_model_queue_and_pss(service: Service) -> None:
    service.start(drop_in="WatchdogSec=8s")
    service.machine.wait("PSS in the status line", lambda: "PSS" in service.ask("StatusText"))
    assert "host, 0 reviews waiting, PSS" in service.ask("StatusText")


# --- who may connect ----------------------------------------------------------------------------------------


def test_the_socket_is_for_the_group(machine: Machine, service: Service) -> None:
    service.start()
    assert (
        machine.run("stat -c '%a %U %G' /run/edged /run/edged/edged.sock")
        == "750 edged edged\n660 edged edged\n"
    )
    assert "no permission to enter /run/edged" in machine.run("edgectl info", user="kiosk", check=False)
    assert "version" in machine.run("edgectl info", user="till")


def test_a_restart_refuses_no_connection(service: Service) -> None:
    service.start()
    path = service.machine.socket.removeprefix("ipc://")
    refused: list[OSError] = []
    answered = 0
    stop = threading.Event()

    def knock() -> None:
        while not stop.is_set():
            with socket.socket(socket.AF_UNIX) as caller:
                try:
                    caller.connect(path)
                except OSError as error:
                    refused.append(error)
            time.sleep(0.002)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        with service.client(timeout=100) as client:
            for _ in range(3):
                service.machine.run("systemctl restart --no-block edged.service")
                for _ in range(50):
                    client.classify("good")
                    answered += 1
                service.machine.wait("the restart", lambda: service.ask("ActiveState") == "active")
    finally:
        stop.set()
        thread.join()
    assert refused == []
    assert answered == 150


@pytest.fixture
def tcp(service: Service) -> int:
    """edged-tcp.socket on a free port of loopback."""
    port = free_port()
    drop_in = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n"
    service.machine.write("/etc/systemd/system/edged-tcp.socket.d/test.conf", drop_in)
    return port


def test_tcp_through_a_socket_without_a_network(service: Service, tcp: int) -> None:
    service.machine.run("systemctl daemon-reload && systemctl enable --quiet edged-tcp.socket")
    service.start()  # a restart takes up what was enabled
    with Client(f"tcp://127.0.0.1:{tcp}", timeout=60) as client:
        assert client.classify("good").label == "positive"
    assert f"tcp://127.0.0.1:{tcp}" in str(service.log())
    inside = service.machine.run(f"readlink /proc/{service.pid}/ns/net")
    assert inside != service.machine.run("readlink /proc/1/ns/net")


def test_metrics_through_a_socket_without_a_network(service: Service) -> None:
    port = free_port()
    drop_in = f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n"
    service.machine.write("/etc/systemd/system/edged-metrics.socket.d/test.conf", drop_in)
    service.machine.run("systemctl daemon-reload && systemctl enable --quiet edged-metrics.socket")
    service.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        assert "edged_" in response.read().decode()
    assert service.machine.run(f"readlink /proc/{service.pid}/ns/net") != service.machine.run(
        "readlink /proc/1/ns/net"
    )


def test_what_readme_says_to_open_it_to_the_network(service: Service, tcp: int) -> None:
    run = service.machine.run
    run("edgectl keys new --server")
    run(f"sed -i 's|^#server_key = .*|server_key = \"/etc/edged/server.key_secret\"|' {CONFIG}")
    run("systemctl daemon-reload && systemctl enable --quiet edged-tcp.socket && systemctl restart edged")
    run("cd /root && edgectl keys new till-3 && edgectl keys allow till-3.key")
    keys = "--server-key /etc/edged/server.key --client-key /root/till-3.key_secret"
    reach = f"edgectl info --endpoint tcp://127.0.0.1:{tcp} {keys}"
    service.machine.wait("the new key", lambda: "model" in run(reach, check=False))
    assert run("stat -c '%a %U' /etc/edged/server.key_secret") == "600 edged\n"
    assert "Permission denied" in run("cat /etc/edged/server.key_secret", user="kiosk", check=False)
    assert "Permission denied" in run("cat /etc/edged/server.key_secret", user="till", check=False)
    run("edgectl keys revoke till-3")
    service.machine.wait("its end", lambda: "not allowed" in run(reach, check=False))
    run("rm /etc/edged/server.key* /root/till-3.key*")


def test_tcp_that_the_daemon_binds_itself(service: Service) -> None:
    port = free_port()
    drop_in = (Path(__file__).parents[1] / "systemd/edged.service.d/tcp.conf").read_text()
    service.start(f'endpoints = ["tcp://127.0.0.1:{port}"]', drop_in.replace("[Service]", ""))
    with Client(f"tcp://127.0.0.1:{port}", timeout=60) as client:
        assert client.classify("good").label == "positive"


def test_an_open_network_socket_is_refused_once_and_for_all(service: Service, tcp: int) -> None:
    service.machine.write(
        "/etc/systemd/system/edged-tcp.socket.d/test.conf",
        f"[Socket]\nListenStream=\nListenStream=0.0.0.0:{tcp}\n",
    )
    service.machine.run(
        "systemctl daemon-reload && systemctl stop edged.service && systemctl start edged-tcp.socket"
    )
    service.machine.run("systemctl start edged.service", check=False)
    service.machine.wait("the refusal", lambda: service.ask("ActiveState") == "failed")
    assert service.ask("ExecMainStatus") == "78"
    assert service.restarts == 0
    assert "without CURVE keys" in str(service.log())
    service.start("insecure = true")
    with Client(f"tcp://127.0.0.1:{tcp}", timeout=60) as client:
        assert client.health()["status"] == "ok"


# --- alive or not -------------------------------------------------------------------------------------------

OK = "def process_batch(texts):\n    return [('ok', 1.0) for _ in texts]\n"
HANGS = """\
import time

def process_batch(texts):
    if any("hang" in text for text in texts):
        print("it hangs now")
        time.sleep(3600)
    return [("ok", 1.0) for _ in texts]
"""


def hang(service: Service) -> None:
    """Have a call hang, and wait until it does."""
    pid = service.pid
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(service.machine.socket)
        dealer.send(b'{"text":"hang"}')
        service.machine.wait(
            "a call that hangs",
            lambda: "it hangs now" in service.machine.run(f"journalctl --sync; journalctl _PID={pid}"),
        )


def test_a_hung_call_ends_the_daemon_and_systemd_starts_it_again(service: Service) -> None:
    service.start(service.handler(HANGS) + 'handler_timeout = "5s"')
    pid = service.pid
    hang(service)
    await_restart(service)
    assert service.pid != pid
    said = service.machine.run(f"journalctl --no-pager _PID={pid}")
    assert "handler_timeout" in said
    assert "test.py" in said  # the Python stack: where it hung
    assert "exit-code" in service.machine.run("edgectl status --json")


def test_a_serving_loop_that_hangs_is_the_watchdog_s(service: Service) -> None:
    config = service.handler(HANGS) + 'inline = true\nhandler_timeout = "1h"'
    service.start(config, "WatchdogSec=8s\nTimeoutAbortSec=2s")
    hang(service)
    await_restart(service)
    assert "watchdog" in service.machine.run("edgectl status")


def test_a_stopped_process_is_the_watchdog_s(service: Service) -> None:
    service.start(drop_in="WatchdogSec=8s\nTimeoutAbortSec=2s")
    service.machine.run(f"kill -STOP {service.pid}")
    await_restart(service)


def test_busy_is_not_hung(service: Service) -> None:
    slow = OK.replace("return", "__import__('time').sleep(5)\n    return")
    service.start(service.handler(slow) + 'handler_timeout = "60s"\nmax_batch_size = 1', "WatchdogSec=4s")
    with service.client(timeout=100, retries=0) as client:
        client.classify(["a", "b", "c"])  # three calls of 5 s each, one after the other, canaries between
    assert service.restarts == 0
    assert "canary_failed" not in service.events()


def test_an_overloaded_daemon_is_not_hung(service: Service) -> None:
    service.start("queue_reviews = 64\nclient_reviews = 64\nmax_reviews = 64", "WatchdogSec=6s")
    end = time.monotonic() + 15
    clients = [service.client(timeout=1, retries=0) for _ in range(4)]

    def load(client: Client) -> None:
        while time.monotonic() < end:
            with suppress(errors.EdgedError):
                list(client.classify_many(["word " * 200] * 512, batch=64, window=8))

    threads = [threading.Thread(target=load, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    with service.client() as client:
        refused = client.stats()["counters"]["failed"]
    assert refused["busy"] > 0
    assert service.restarts == 0


def await_restart(service: Service) -> None:
    """Wait until systemd has started the daemon again."""
    service.machine.wait(
        "the restart", lambda: service.restarts >= 1 and service.ask("ActiveState") == "active"
    )


def ended(service: Service, pid: int) -> bool:
    return service.pid != pid or service.ask("ActiveState") == "failed"


def test_too_many_crashes_end_it_and_status_says_so(service: Service) -> None:
    service.start(drop_in="RestartSec=0\n[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=3")
    service.machine.run("systemctl reset-failed edged.service")
    for _ in range(4):
        if service.ask("ActiveState") == "failed":
            break
        pid = service.machine.wait(
            "a running daemon", lambda: service.ask("ActiveState") == "active" and service.pid
        )
        service.machine.run(f"kill -KILL {pid}")
        service.machine.wait("its end", partial(ended, service, pid))
    service.machine.wait("the limit", lambda: service.ask("ActiveState") == "failed")
    said = service.machine.run("edgectl status", check=False)
    assert "service" in said
    assert "failed" in said
    assert "signal" in said


# --- start, reload, stop ------------------------------------------------------------------------------------


def test_a_slow_load_is_given_time(service: Service) -> None:
    slow = "import time\n\ndef load(options):\n    time.sleep(12)\n\n" + OK
    service.start(service.handler(slow), "TimeoutStartSec=6s")
    assert service.ask("ActiveState") == "active"
    assert service.restarts == 0


def test_reload_takes_a_new_handler_and_refuses_a_broken_one(service: Service) -> None:
    say = "def process_batch(texts):\n    return [({!r}, 1.0) for _ in texts]\n"
    service.start(service.handler(say.format("first")))
    pid = service.pid
    with service.client() as client:
        assert client.classify("x").label == "first"
        service.handler(say.format("second"))
        service.machine.run("systemctl reload edged.service")
        service.machine.wait("the new one", lambda: client.classify("x").label == "second")
        service.handler("def process_batch(texts):\n    raise ValueError('broken')\n")
        service.machine.run("systemctl reload edged.service")
        service.machine.wait("the refusal", lambda: "reload_failed" in service.events())
        assert client.classify("x").label == "second"
    assert service.pid == pid
    assert service.ask("ActiveState") == "active"
    assert "reloaded" in service.events()


def test_stop_answers_what_was_admitted(service: Service) -> None:
    slow = OK.replace("return", "__import__('time').sleep(2)\n    return")
    service.start(service.handler(slow))
    replies: list[str] = []

    def ask() -> None:
        with service.client(timeout=100, retries=0) as client:
            replies.append(client.classify("in flight").label)

    thread = threading.Thread(target=ask)
    thread.start()
    with service.client() as other:
        service.machine.wait("its admission", lambda: other.stats()["counters"]["admitted"] > 0)
    service.machine.run("systemctl stop edged.socket edged.service")
    thread.join()
    assert replies == ["ok"]
    assert service.ask("Result") == "success"
    assert service.ask("ExecMainStatus") == "0"


def test_a_second_signal_ends_it_for_good(service: Service) -> None:
    service.start(service.handler(HANGS) + 'drain_timeout = "200s"\nhandler_timeout = "200s"')
    pid = service.pid
    hang(service)
    service.machine.run(f"kill -TERM {pid}")
    service.machine.wait("the drain", lambda: "drain" in service.events())
    service.machine.run(f"kill -TERM {pid}")
    service.machine.wait("its end", lambda: service.ask("ActiveState") == "inactive")
    assert service.ask("ExecMainStatus") == "143"
    assert service.restarts == 0


# --- the journal --------------------------------------------------------------------------------------------


def test_the_journal_has_fields(service: Service) -> None:
    service.start()
    ready = next(entry for entry in service.log() if entry.get("EDGED_EVENT") == "ready")
    assert ready["PRIORITY"] == "6"
    assert ready["SYSLOG_IDENTIFIER"] == "edged"
    assert ready["_TRANSPORT"] == "journal"
    assert ready["EDGED_HOST"] in {"cpython", "metacall"}
    assert "edged is ready" in service.machine.run("edgectl logs --event ready -n 1")
    with service.client() as client:
        client.stats()


def test_a_flood_of_bad_requests_writes_a_few_lines_and_no_review(service: Service) -> None:
    service.start()
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(service.machine.socket)
        for n in range(5000):
            dealer.send(f'{{"op":"{SECRET}","text":"{SECRET} {n}"}}'.encode())
            if n % 50 == 49:
                for _ in range(50):
                    assert b"bad_request" in dealer.recv()
    refused = [entry for entry in service.log() if entry.get("EDGED_EVENT") == "refused"]
    assert 1 <= len(refused) <= 20
    assert refused[0]["EDGED_CODE"] == "bad_request"
    service.machine.wait("the summary", lambda: "EDGED_SUPPRESSED" in str(service.log()))
    summary = next(entry for entry in service.log() if "EDGED_SUPPRESSED" in entry)
    assert int(summary["EDGED_SUPPRESSED"]) > 1000
    assert SECRET not in str(service.log())


def test_python_s_own_lines_arrive_with_their_level(service: Service) -> None:
    source = (
        "import logging\n\ndef process_batch(texts):\n"
        "    logging.getLogger('shop').warning('stock is low')\n    logging.error('no stock\\nat all')\n"
        "    print('a plain line')\n    return [('ok', 1.0) for _ in texts]\n"
    )
    service.start(service.handler(source))
    # What Python prints comes by a way of its own, not necessarily before the daemon is ready.
    service.machine.wait("its last line", lambda: "a plain line" in str(service.log()))
    by_message = {str(entry["MESSAGE"]): entry for entry in service.log()}
    assert by_message["shop: stock is low"]["PRIORITY"] == "4"
    assert by_message["root: no stock"]["PRIORITY"] == "3"
    assert by_message["at all"]["PRIORITY"] == "3"
    assert by_message["a plain line"]["PRIORITY"] == "6"


def test_edgectl_status_counts_what_ended_the_service(service: Service) -> None:
    service.start(drop_in="RestartSec=0")
    os_killed = service.pid
    service.machine.run(f"kill -KILL {os_killed}")
    await_restart(service)
    said = service.machine.run("edgectl status")
    assert "active (running)" in said
    assert "restarts by systemd" in said
    assert "signal" in said
