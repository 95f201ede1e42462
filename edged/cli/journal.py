"""What the journal holds of a service: its own entries, and systemd's about it."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edged.cli import exits
from edged.cli.exits import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")  # syslog's 0 to 7

# From systemd's sd-messages.h.
STARTED = "39f53479d3a045ac8e11786248231fbf"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"  # with UNIT_RESULT
RESTARTED = "5eb03494b6584870a536b337290809b3"  # with N_RESTARTS


class Entry(NamedTuple):
    """One entry. `level` is an index of LEVELS; `event` is EDGED_EVENT, or None."""

    at: datetime
    level: int
    event: str | None
    message: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Entry:
        """An entry from what systemd-python gives for it."""
        level = raw.get("PRIORITY", 6)
        return cls(
            raw["__REALTIME_TIMESTAMP"].astimezone(timezone.utc),
            level if isinstance(level, int) else 6,
            raw.get("EDGED_EVENT"),
            str(raw.get("MESSAGE", "")),
            raw,
        )

    @property
    def message_id(self) -> str | None:
        """The kind of entry, as systemd numbers its own."""
        given = self.fields.get("MESSAGE_ID")
        return None if given is None else str(getattr(given, "hex", given))


class Journal:
    """The entries of a service and those of systemd about it, this boot's or all."""

    def __init__(
        self, unit: str, *, level: int = 7, event: str | None = None, all_boots: bool = False
    ) -> None:
        try:
            from systemd import journal  # noqa: PLC0415 - only this needs it
        except ImportError:
            raise CommandError(
                exits.UNAVAILABLE,
                "the Python module systemd is missing, through which the journal is read",
                "apt-get install python3-systemd, or pip install systemd-python",
            ) from None
        _warn_if_partial()
        self._reader = journal.Reader()
        if not all_boots:
            self._reader.this_boot()
        own = {"_SYSTEMD_UNIT": unit} | ({"EDGED_EVENT": event} if event else {})
        for field, value in own.items():
            self._reader.add_match(f"{field}={value}")
        self._match_levels(level)
        if event is None:
            self._reader.add_disjunction()
            self._reader.add_match(f"UNIT={unit}")
            self._reader.add_match("_PID=1")
            self._match_levels(level)

    def _match_levels(self, level: int) -> None:
        for priority in range(level + 1):
            self._reader.add_match(f"PRIORITY={priority}")

    def last(self, count: int) -> list[Entry]:
        """The newest entries, oldest first."""
        self._reader.seek_tail()
        newest: list[Entry] = []
        while len(newest) < count and (raw := self._reader.get_previous()):
            newest.append(Entry.of(raw))
        return newest[::-1]

    def since(self, moment: datetime) -> Iterator[Entry]:
        """The entries from a moment on, oldest first."""
        self._reader.seek_realtime(moment)
        while raw := self._reader.get_next():
            yield Entry.of(raw)

    def follow(self) -> Iterator[Entry]:
        """The entries after the last one read, for ever."""
        while True:
            while raw := self._reader.get_next():
                yield Entry.of(raw)
            self._reader.wait(-1)


def _warn_if_partial() -> None:
    """Say so where this user sees only a part of the journal: an empty log would look like a quiet one."""
    files = [
        file
        for folder in ("/var/log/journal", "/run/log/journal")
        for file in Path(folder).glob("*/system.journal")
    ]
    if not any(os.access(file, os.R_OK) for file in files):
        print(
            "edgectl: this user can't read the system's journal\n"
            "hint: run it as root, or join the group: usermod -aG systemd-journal NAME",
            file=sys.stderr,
        )
