"""Start a daemon, classify a file of reviews through it, say what came out and what it cost, stop it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from demo.measure import classify_all, classify_one_by_one, memory_of
from demo.summary import summary
from edged import Client
from edged.errors import DataError, EdgedError
from edged.reviews import ReviewFile
from edged.sample import WINE
from tests.daemon import Daemon


def run(reviews: Path) -> None:
    """Classify the reviews through a daemon of our own, and print the summary."""
    with ReviewFile(reviews):
        pass  # a file that can't be read is told before anything starts
    print("starting the daemon", flush=True)
    with Daemon() as daemon, Client(daemon.endpoint, timeout=30) as client:
        print(f"classifying {os.path.relpath(reviews)} over {daemon.endpoint}", flush=True)
        latencies = classify_one_by_one(client, reviews)
        result = classify_all(client, reviews)
        print(summary(result, latencies, memory_of(daemon.pid)), flush=True)
        status = daemon.stop()
        if status != 0:
            raise RuntimeError(f"the daemon ended with status {status}:\n{daemon.log}")
    print("the daemon has stopped cleanly")


def main() -> int:
    """Run the demonstration; what goes wrong is told in words."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "reviews",
        nargs="?",
        type=Path,
        default=WINE,
        help="CSV, JSONL or plain text, also .gz (default: our own)",
    )
    try:
        run(parser.parse_args().reviews)
    except (EdgedError, DataError, OSError, RuntimeError) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
