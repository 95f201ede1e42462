"""What `edgectl doctor` finds."""

from __future__ import annotations

from typing import NamedTuple

OK, NOTE, WRONG = "ok", "note", "wrong"


class Finding(NamedTuple):
    """One thing looked at: its state (`OK`, `NOTE` or `WRONG`), its name, what was found, what to do."""

    state: str
    name: str
    text: str
    remedy: str = ""
