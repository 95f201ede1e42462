"""The C load generator (native/load.c), and the request bodies it sends."""

from __future__ import annotations

import gzip
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edged.sample import WINE

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT = Path(__file__).parents[2] / "build" / "bench"
FIRST_ID = 10_000_000  # load.c writes its own ids over this one


@dataclass(frozen=True)
class Load:
    """What one run of the generator saw. `seconds` is without the warm-up, `ended` on the monotonic clock."""

    replies: int
    errors: int
    unsent: int
    seconds: float
    per_second: float
    cpu_seconds: float
    ended: float
    latency_us: dict[str, float]


def wine() -> list[str]:
    """The thousand wine reviews that edged ships."""
    with gzip.open(WINE, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def write_bodies(path: Path, texts: Sequence[str], size: int = 1) -> Path:
    """Write requests of `size` reviews each, one a line, through all texts; a request of one has a "text"."""
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, len(texts), size):
            chunk = [texts[(start + i) % len(texts)] for i in range(size)]
            content = {"text": chunk[0]} if size == 1 else {"texts": chunk}
            request = {"id": FIRST_ID, **content}
            file.write(json.dumps(request, ensure_ascii=False, separators=(",", ":")) + "\n")
    return path


def command(
    endpoint: str,
    bodies: Path,
    *,
    clients: int = 1,
    outstanding: int = 1,
    seconds: float = 2.0,
    warmup: float = 0.3,
    messages: int = 0,
    rate: float = 0.0,
    cpus: str = "",
) -> list[str]:
    """The generator's command line, pinned to `cpus` where given."""
    pin = ["taskset", "-c", cpus] if cpus else []
    options = {
        "clients": clients,
        "outstanding": outstanding,
        "seconds": seconds,
        "warmup": warmup,
        "messages": messages,
        "rate": rate,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return [*pin, str(BUILT / "load"), endpoint, str(bodies), *words]


def parse(output: str) -> Load:
    """Read what the generator printed. Raises RuntimeError when a request was answered with an error."""
    load = Load(**json.loads(output))
    if load.errors or not load.replies:
        raise RuntimeError(f"{load.errors} errors and {load.replies} good replies: this run measures nothing")
    return load


def run(line: Sequence[str]) -> Load:
    """Run a generator to its end."""
    return parse(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)
