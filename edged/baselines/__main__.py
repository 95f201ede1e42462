"""`python -m edged.baselines single|multiprocessing --endpoint ipc:///tmp/baseline.sock`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edged.baselines import multiprocess, serving, single

SHIPPED_MODEL = Path(__file__).parents[1] / "models" / "edged.tflite"


def main() -> int:
    """Run one of the baselines until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m edged.baselines", description=__doc__)
    parser.add_argument("kind", choices=["single", "multiprocessing"])
    parser.add_argument("--endpoint", required=True, help="where clients connect")
    parser.add_argument("--model", default=str(SHIPPED_MODEL), help="a .tflite file (default: the shipped)")
    parser.add_argument("--handler", default="", help="a handler file, in place of the model")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: one per core")
    args = parser.parse_args()
    serving.log_to_journal_or_stderr(f"edged-python-{args.kind}")
    try:
        if args.kind == "single":
            single.serve(args.endpoint, args.model, args.handler)
        else:
            multiprocess.serve(args.endpoint, args.model, args.workers, args.handler)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"edged baseline: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
