"""How each peer is started, and how load reaches it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import ROOT, load, memory
from tests.bench.servers import Edged, Server

if TYPE_CHECKING:
    from collections.abc import Sequence

PEERS, MLSERVER = (ROOT / name / "bin" for name in (".venv-peers", ".venv-mlserver"))
HERE = Path(__file__).parent


class Peer:
    """One way to serve the model. A context manager; `start_s` is the time from exec to the first answer."""

    protocol = "zmq"

    def __init__(self, server: Server, *options: str) -> None:
        self.server = server
        self._options = options
        self.start_s = 0.0

    @property
    def pid(self) -> int:
        """The process id of the parent."""
        return self.server.pid

    def __enter__(self) -> Peer:  # noqa: PYI034 - Self is not in Python 3.9's typing
        began = time.monotonic()
        self.server.launch()
        self.first()
        self.start_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__(None, None, None)

    def first(self) -> None:
        """Wait for the first answer."""
        bodies = load.write_bodies(self.server.folder / "first", load.wine()[:1])
        self.finish(self.begin(bodies, 1, 0.0, messages=1))

    def bodies(self, folder: Path) -> Path:
        """The sample as requests."""
        return load.write_bodies(folder / "zmq", load.wine())

    def begin(self, bodies: Path, clients: int, seconds: float, messages: int = 0) -> subprocess.Popen[str]:
        """Start the generator."""
        line = load.command(
            self.server.endpoint,
            bodies,
            clients=clients,
            seconds=seconds or 60,
            messages=messages,
            warmup=0.2 if seconds else 0,
        )
        return subprocess.Popen([*line, *self._options], stdout=subprocess.PIPE, text=True)

    def finish(self, generator: subprocess.Popen[str]) -> dict[str, float]:
        """What the generator saw: requests a second, and latencies in microseconds."""
        run = load.parse(generator.communicate()[0])
        return {"per_second": run.per_second, **{f"{name}_us": us for name, us in run.latency_us.items()}}


class HttpPeer(Peer):
    """An HTTP server, loaded by wrk over connections that stay open."""

    protocol = "http"

    def __init__(self, arguments: Sequence[str], path: str = "/predict") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.port = port
        self._url = f"http://127.0.0.1:{port}{path}"
        words = [word.replace("<port>", str(port)) for word in arguments]
        super().__init__(Server(["env", f"PYTHONPATH={ROOT}", *words]))

    def request(self, text: str) -> dict[str, Any]:
        """One request."""
        return {"text": text}

    def first(self) -> None:
        """Wait for the first answer."""
        body = json.dumps(self.request("Is anybody there?")).encode()
        for _ in range(3000):
            question = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(question, timeout=5) as answer:
                    answer.read()
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        raise TimeoutError((self.server.folder / "log").read_text()[-2000:])

    def bodies(self, folder: Path) -> Path:
        """The sample as requests."""
        path = folder / type(self).__name__
        path.write_text("".join(json.dumps(self.request(text)) + "\n" for text in load.wine()))
        return path

    def begin(self, bodies: Path, clients: int, seconds: float, messages: int = 0) -> subprocess.Popen[str]:
        """Start wrk, which counts in whole seconds."""
        del messages
        options = ["-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        line = ["wrk", *options, "-s", str(HERE / "post.lua"), self._url, "--", str(bodies)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)

    def finish(self, generator: subprocess.Popen[str]) -> dict[str, float]:
        """What wrk saw."""
        output = generator.communicate()[0]
        found = re.search(r"JSON (.+)", output)
        if not found:
            raise RuntimeError(f"wrk said: {output}")
        run = json.loads(found.group(1))
        if run["errors"] or not run["replies"]:
            raise RuntimeError(f"{run['errors']} errors and {run['replies']} good replies from {self._url}")
        rate = run["replies"] / run["seconds"]
        return {"per_second": rate, **{f"{name}_us": run[name] for name in ("p50", "p95", "p99")}}


class MlServer(HttpPeer):
    """MLServer, which speaks the Open Inference Protocol and wants its settings in a folder."""

    def __init__(self) -> None:
        super().__init__([f"{MLSERVER}/mlserver", "start", "{endpoint}"], "/v2/models/sentiment/infer")
        folder = self.server.folder
        settings = {"name": "sentiment", "implementation": "tests.bench.peers.mlserver_model.Sentiment"}
        (folder / "model-settings.json").write_text(json.dumps(settings))
        ports = {"http_port": self.port, "grpc_port": self.port + 1, "metrics_port": self.port + 2}
        ports |= {"host": "127.0.0.1", "debug": False}
        (folder / "settings.json").write_text(json.dumps(ports))
        self.server.command[-1] = str(folder)

    def request(self, text: str) -> dict[str, Any]:
        """One request."""
        return {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]}


def fastapi(workers: int) -> HttpPeer:
    """FastAPI under uvicorn."""
    options = ["--host", "127.0.0.1", "--port", "<port>", "--workers", str(workers), "--no-access-log"]
    return HttpPeer([f"{PEERS}/uvicorn", "tests.bench.peers.fastapi_app:app", *options])


def litserve() -> HttpPeer:
    """LitServe."""
    return HttpPeer([f"{PEERS}/python", "-m", "tests.bench.peers.litserve_app", "<port>"])


def pyzmq() -> Peer:
    """A REP socket in a loop."""
    line = ["env", f"PYTHONPATH={ROOT}", f"{PEERS}/python", "-m", "tests.bench.peers.zmq_rep", "{endpoint}"]
    return Peer(Server(line), "--delimiter")


def edged() -> Peer:
    """The daemon as shipped."""
    return Peer(Edged())


def settled(peer: Peer, bodies: Path, seconds: float) -> memory.Memory:
    """Memory under 64 clients, towards the end of a run."""
    generator = peer.begin(bodies, 64, seconds)
    time.sleep(seconds * 0.8)
    held = memory.read(peer.pid)
    peer.finish(generator)
    return held
