"""Benchmarks: `make bench`, `make bench-peers`. README.md here says what is measured, and how."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "edged" / "models" / "edged.tflite"
