"""edgectl reload: have the daemon read its configuration and model again, and wait for the outcome."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from edged.cli import connect, exits

if TYPE_CHECKING:
    import argparse

    from edged.client import Client

POLL_S = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl reload`."""
    connect.add_arguments(parser, timeout=60.0)


def run(args: argparse.Namespace) -> int:
    """Send SIGHUP, then ask until the daemon tells of one more attempt.

    Raises:
        CommandError: It runs as another user or elsewhere, refused what it read, or took too long.
    """
    with connect.client(args) as client:
        before = client.info()
        _signal(int(before["pid"]))
        after = _wait(client, before["reload"]["attempts"], args.timeout)
    outcome = after["reload"]
    if outcome["error"]:
        raise exits.CommandError(
            exits.CONFIG,
            f"refused: {outcome['error']}",
            f"generation {after['generation']} ({after['model']}) goes on; correct it and reload again",
        )
    print(f"generation {after['generation']}: {after['model']} {after.get('model_sha256', '')[:12]}".rstrip())
    if outcome["needs_restart"]:
        print("not taken over until a restart: " + ", ".join(outcome["needs_restart"]))
    return exits.OK


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGHUP)
    except ProcessLookupError:
        raise exits.CommandError(
            exits.UNAVAILABLE, f"no process {pid} here", "run edgectl reload on the daemon's own machine"
        ) from None
    except PermissionError:
        raise exits.CommandError(
            exits.DENIED, f"process {pid} belongs to another user", "use sudo, or: systemctl reload edged"
        ) from None


def _wait(client: Client, attempts: int, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while True:
        info = client.info()
        if info["reload"]["attempts"] > attempts:
            return info
        if time.monotonic() > deadline:
            raise exits.CommandError(
                exits.FAILED, f"no outcome within {timeout:g} s", "the daemon's log says what it waits for"
            )
        time.sleep(POLL_S)
