"""The short form, part of `make test`, and the long one of `make faults` (EDGED_FAULTS=long)."""

from __future__ import annotations

import os

import pytest

LONG = os.environ.get("EDGED_FAULTS") == "long"
PATIENCE = pytest.mark.timeout(3600 if LONG else 600)


def rounds(short: int, long: int) -> range:
    """How often a fault is repeated."""
    return range(long if LONG else short)
