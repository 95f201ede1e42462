"""The most PSS a host may have at each reading: the best that was reached and 1 MB. They only go down."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).with_name("bounds.json")
SLACK = 1_000_000
AIMS = {"cpython": 34_000_000, "metacall": 38_000_000}
"""What the project set out for: PSS after 100,000 reviews."""


def read() -> dict[str, dict[str, int]]:
    """Bytes of PSS by host and reading."""
    found: dict[str, dict[str, int]] = json.loads(FILE.read_text())
    return found
