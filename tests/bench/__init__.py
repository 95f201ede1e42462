"""Benchmarks: `make bench`, `make bench-peers`. README.md here says what is measured, and how."""
