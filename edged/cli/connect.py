"""The options by which every subcommand reaches the daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from edged.client import Client

FIRST_ANSWER_S = 3.0


def add_arguments(parser: argparse.ArgumentParser, *, timeout: float = 10.0) -> None:
    """Add --endpoint, --timeout and the keys."""
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--endpoint",
        help="where the daemon listens (default: $EDGED_ENDPOINT, else ipc:///run/edged/edged.sock)",
    )
    group.add_argument(
        "--timeout",
        type=float,
        default=timeout,
        metavar="SECONDS",
        help="how long to wait for an answer, retries included (default: %(default)g)",
    )
    group.add_argument(
        "--server-key",
        metavar="KEY|FILE",
        default=os.environ.get("EDGED_SERVER_KEY"),
        help="the daemon's public CURVE key (default: $EDGED_SERVER_KEY)",
    )
    group.add_argument(
        "--client-key",
        metavar="FILE",
        default=os.environ.get("EDGED_CLIENT_KEY"),
        help="file with this client's CURVE keys (default: $EDGED_CLIENT_KEY)",
    )


def client(args: argparse.Namespace) -> Client:
    """A client for what the options say, once the daemon has answered. Raises `EdgedError`.

    Whoever sits at a terminal wants to hear soon that nobody is there, however long the work itself may take.
    """
    from edged.client import Client  # noqa: PLC0415 - help and completion need no ZeroMQ

    def connect(timeout: float) -> Client:
        return Client(
            args.endpoint,
            timeout=timeout,
            server_key=args.server_key or None,
            client_key=args.client_key or None,
        )

    with connect(min(args.timeout, FIRST_ANSWER_S)) as probe:
        probe.health()
    return connect(args.timeout)
