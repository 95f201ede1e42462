"""edgectl status: the service since when, what ended it before, and its last errors."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from edged.cli import exits
from edged.cli.exits import CommandError
from edged.cli.journal import FAILED, RESTARTED, STARTED, Entry, Journal
from edged.cli.table import duration, nested, size

if TYPE_CHECKING:
    import argparse

PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "StatusText", "MemoryCurrent", "MemoryMax", "ExecMainPID",
)  # fmt: skip
ENDS = {  # systemd's UNIT_RESULT
    "watchdog": "watchdog: no canary passed in time",
    "oom-kill": "out of memory",
    "exit-code": "exit code",
    "signal": "signal",
    "core-dump": "crash",
    "timeout": "timeout",
    "start-limit-hit": "too many restarts: systemctl reset-failed edged, then start it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `edgectl status`."""
    parser.add_argument("--unit", default="edged.service", help="the service (default: %(default)s)")
    parser.add_argument("--days", type=int, default=7, help="how far to look back (default: %(default)s)")
    parser.add_argument(
        "--errors", type=int, default=5, metavar="N", help="the last N errors (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the service's state; exit code 69 where it does not run."""
    report = compose(args.unit, args.days, args.errors)
    print(json.dumps(report, default=str) if args.json else text(report))
    return exits.OK if report["state"] == "active" else exits.UNAVAILABLE


def compose(unit: str, days: int, errors: int) -> dict[str, Any]:
    """What systemd and the journal know of a service; times are aware, sizes in bytes, None where unknown.

    Raises:
        CommandError: systemd or its journal can't be asked, or knows no such service.
    """
    shown = _show(unit)
    entries = list(Journal(unit, all_boots=True).since(datetime.now(timezone.utc) - timedelta(days=days)))
    starts = [entry.at for entry in entries if entry.message_id == STARTED]
    ends = [entry for entry in entries if entry.message_id == FAILED]
    return {
        "state": shown["ActiveState"],
        "detail": shown["SubState"],
        "status": shown["StatusText"],
        "pid": _number(shown["ExecMainPID"]),
        "started": starts[-1] if starts else None,
        "memory": _number(shown["MemoryCurrent"]),
        "memory_max": _number(shown["MemoryMax"]),
        "days": days,
        "starts": len(starts),
        "restarts": sum(entry.message_id == RESTARTED for entry in entries),
        "ends": dict(Counter(_result(entry) for entry in ends)),
        "last_end": {"at": ends[-1].at, "result": _result(ends[-1])} if ends else None,
        "errors": [
            {"at": entry.at, "event": entry.event, "message": entry.message}
            for entry in [entry for entry in entries if entry.level <= 3][-errors:]
        ],
    }


def _show(unit: str) -> dict[str, str]:
    try:
        done = subprocess.run(  # noqa: S603 - a unit's name is all that varies
            ["systemctl",  # noqa: S607 - wherever systemd has it
              "show", unit, f"--property={','.join(PROPERTIES)}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise CommandError(
            exits.UNAVAILABLE, "no systemctl on this machine", "edgectl info asks the daemon itself"
        ) from None
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if done.returncode or "ActiveState" not in shown:
        raise CommandError(
            exits.UNAVAILABLE, f"systemd does not answer: {done.stderr.strip()}", "is it PID 1 here?"
        )
    if shown["LoadState"] == "not-found":
        raise CommandError(
            exits.NO_INPUT, f"systemd knows no {unit}", "install the package, or name it with --unit"
        )
    return shown


def _number(value: str) -> int | None:
    return int(value) if value.isdigit() and int(value) < 2**63 else None


def _result(entry: Entry) -> str:
    return str(entry.fields.get("UNIT_RESULT", "unknown"))


def text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines: dict[str, Any] = {"service": f"{report['state']} ({report['detail']})"}
    if report["started"] is not None and report["state"] == "active":
        age = (datetime.now(timezone.utc) - report["started"]).total_seconds()
        lines["since"] = f"{report['started']:%Y-%m-%d %H:%M:%S}Z, {duration(age)} ago"
    lines["status"] = report["status"]
    if report["memory"] is not None:
        lines["memory"] = size(report["memory"]) + (
            f" of {size(report['memory_max'])}" if report["memory_max"] else ""
        )
    lines[f"in {report['days']} days"] = (
        f"{report['starts']} starts, {report['restarts']} of them restarts by systemd"
    )
    if report["ends"]:
        lines["ended by"] = "; ".join(
            f"{ENDS.get(name, name)} {count}x" for name, count in report["ends"].items()
        )
        lines["last end"] = f"{report['last_end']['at']:%Y-%m-%d %H:%M:%S}Z {report['last_end']['result']}"
    table = nested(lines)
    if not report["errors"]:
        return f"{table}\nno errors in the log"
    errors = [
        f"  {error['at']:%Y-%m-%d %H:%M:%S}Z {error['event'] or 'systemd'}: {error['message']}"
        for error in report["errors"]
    ]
    return "\n".join([table, "last errors:", *errors])
