"""Score reviews with the edged daemon, from Python."""

__version__ = "0.1.0"
