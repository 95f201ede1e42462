"""`make bench-peers`: the daemon beside other servers of the same model, at 1, 8 and 64 clients."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import ROOT, machine, memory, pairs, report
from tests.bench.limits import SERVED
from tests.bench.peers import serving

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENTS = (1, 8, 64)

PEERS: dict[str, Callable[[], serving.Peer]] = {
    SERVED: serving.edged,
    "pyzmq REP": serving.pyzmq,
    "FastAPI + uvicorn, 1 worker": partial(serving.fastapi, 1),
    "FastAPI + uvicorn, 2 workers": partial(serving.fastapi, 2),
    "LitServe": serving.litserve,
    "MLServer": serving.MlServer,
}


def alone(make: Callable[[], serving.Peer], folder: Path, seconds: float) -> dict[str, Any]:
    """Start-up, and memory with nobody else mapping the same libraries."""
    with make() as peer:
        bodies = peer.bodies(folder)
        held = serving.settled(peer, bodies, max(2.0, seconds))
        return {
            "protocol": peer.protocol,
            "start_s": peer.start_s,
            "pss": held.pss,
            "uss": held.uss,
            "processes": held.processes,
            "neighbours": memory.neighbours(peer.pid),
        }


def rates(folder: Path, rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Requests a second and latencies, interleaved, every server up."""
    with ExitStack() as stack:
        peers = {name: stack.enter_context(make()) for name, make in PEERS.items()}
        bodies = {name: peer.bodies(folder) for name, peer in peers.items()}
        seen: dict[str, dict[str, Any]] = {name: {} for name in peers}
        for clients in CLIENTS:

            def measure(name: str, clients: int = clients) -> dict[str, float]:
                return peers[name].finish(peers[name].begin(bodies[name], clients, seconds))

            runs = pairs.interleave({name: partial(measure, name) for name in peers}, rounds)
            for name, all_runs in runs.items():
                keys = ("per_second", "p50_us", "p95_us", "p99_us")
                seen[name][str(clients)] = {key: pairs.spread([run[key] for run in all_runs]) for key in keys}
        return seen


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=pairs.ROUNDS)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one run of a generator")
    parser.add_argument("--name", default="peers", help="of the files under results")
    args = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing. On Debian: apt-get install wrk")
    results: dict[str, Any] = {
        "title": "edged beside other servers",
        "machine": machine.describe(),
        "settings": {
            "command": "make bench-peers" if len(sys.argv) == 1 else shlex.join(["python -m", *sys.argv[1:]]),
            "rounds": args.rounds,
            "seconds": args.seconds,
            "pinning": "Nothing was pinned: server and generator share all cores as the kernel places them.",
            "note": machine.note(),
        },
    }
    with tempfile.TemporaryDirectory(prefix="edged") as temporary:
        folder = Path(temporary)
        found = {name: alone(make, folder, args.seconds) for name, make in PEERS.items()}
        for name, clients in rates(folder, args.rounds, args.seconds).items():
            found[name]["clients"] = clients
    results["peers"] = {"servers": found, "versions": _versions()}
    report.save(args.name, results)
    subprocess.run([sys.executable, "-m", "tests.bench.plots", args.name], cwd=ROOT, check=True)
    print(f"bench: {report.RESULTS / args.name}.md")


def _versions() -> list[str]:
    frozen: set[str] = set()
    for environment in (serving.PEERS, serving.MLSERVER):
        pip = [str(environment / "python"), "-m", "pip", "freeze"]
        frozen |= set(subprocess.run(pip, capture_output=True, text=True, check=True).stdout.split())
    wanted = ("fastapi", "uvicorn", "litserve", "mlserver", "pyzmq", "tflite-runtime", "numpy")
    return [line for line in sorted(frozen) if line.lower().split("==")[0] in wanted]


if __name__ == "__main__":
    main()
