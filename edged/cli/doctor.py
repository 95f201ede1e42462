"""edgectl doctor: what is there, what is missing, and what to do about it.

The client's side is looked at everywhere, the daemon's where its binary is. If no daemon answers, the binary
is started for a moment on a socket of its own with the real config: what it says then is the reason.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edged import __version__
from edged.cli import board, connect, exits
from edged.cli.findings import NOTE, OK, WRONG, Finding

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from edged.client import Client

SYMBOLS = {OK: "ok    ", NOTE: "note  ", WRONG: "WRONG "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl doctor`."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--daemon", metavar="FILE", help="the daemon's binary (default: edged on the PATH)")
    parser.add_argument("--config", metavar="FILE", help="its config (default: /etc/edged/edged.toml)")
    connect.add_arguments(parser, timeout=3.0)


def run(args: argparse.Namespace) -> int:
    """Print the findings; the exit code says whether anything is wrong."""
    wrong = False
    for finding in _findings(args):
        wrong |= finding.state == WRONG
        if args.json:
            print(json.dumps(finding._asdict()))
        else:
            print(f"{SYMBOLS[finding.state]}{finding.name:12} {finding.text}")
            if finding.remedy:
                print(f"{'':19}-> {finding.remedy}")
        sys.stdout.flush()
    return exits.UNAVAILABLE if wrong else exits.OK


def _findings(args: argparse.Namespace) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(OK, "edgectl", f"edged {__version__}, Python {version} ({sys.executable})")
    libzmq = _libzmq()
    yield libzmq
    answers = False
    if libzmq.state == OK:
        for finding in _daemon(args):
            answers |= finding.name == "daemon" and finding.state == OK
            yield finding
    binary = args.daemon or shutil.which("edged") or _installed_here()
    if binary is None:
        yield Finding(NOTE, "board", "no daemon on this machine: only the client's side was checked")
    else:
        yield from board.findings(binary, args.config, dry_run=not answers)


def _installed_here() -> str | None:
    """The daemon beside this interpreter, where a wheel puts it, or build/edged of this source tree."""
    places = [Path(sys.executable).with_name("edged"), Path(__file__).parents[2] / "build" / "edged"]
    return next((str(place) for place in places if place.is_file()), None)


def _libzmq() -> Finding:
    try:
        import zmq  # noqa: PLC0415 - whether it can be is the question
    except ImportError as error:
        return Finding(
            WRONG,
            "libzmq",
            f"pyzmq cannot be loaded: {error}",
            "pip install pyzmq, or apt install python3-zmq",
        )
    curve = "with CURVE" if zmq.has("curve") else "without CURVE: no keys over the network"
    return Finding(OK, "libzmq", f"{zmq.zmq_version()} {curve} (pyzmq {zmq.__version__})")


def _daemon(args: argparse.Namespace) -> Iterator[Finding]:
    from edged.client import Client  # noqa: PLC0415 - needs pyzmq
    from edged.errors import EdgedError  # noqa: PLC0415

    try:
        with Client(
            args.endpoint,
            timeout=args.timeout,
            server_key=args.server_key or None,
            client_key=args.client_key or None,
        ) as client:
            socket = _socket(client.endpoint)
            yield socket
            if socket.state == OK:
                yield from _answers(client)
    except EdgedError as error:
        yield Finding(WRONG, "daemon", error.message, error.hint)


def _socket(endpoint: str) -> Finding:
    """The file behind an ipc endpoint, and whether this user may use it."""
    from edged.connection import socket_fault  # noqa: PLC0415 - needs pyzmq

    fault = socket_fault(endpoint)
    return Finding(WRONG, "socket", *fault) if fault else Finding(OK, "socket", endpoint)


def _answers(client: Client) -> Iterator[Finding]:
    health = client.health()
    info = client.info()
    status = str(health.get("status"))
    names = ("version", "host", "python", "model")
    told = ", ".join(f"{name} {info[name]}" for name in names if info.get(name))
    well = status == "ok"
    yield Finding(OK if well else WRONG, "daemon", f"{status}; {told}", "" if well else "see its log")
    if info.get("version") not in (None, __version__):
        text = f"the daemon is {info['version']}, edgectl {__version__}"
        yield Finding(NOTE, "versions", text, "update both together")
    prediction = client.classify("edgectl doctor asks: a wonderful wine?")
    yield Finding(
        OK, "review", f"classified through the whole path: {prediction.label} {prediction.score:.4f}"
    )
