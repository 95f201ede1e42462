"""The sample: wine reviews composed for this project, to try a daemon with."""

from pathlib import Path

WINE = Path(__file__).with_name("wine.jsonl.gz")
"""Gzipped JSON Lines, one `{"text", "tone"}` a line; tone is positive, middling or negative."""
