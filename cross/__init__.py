"""Cross builds for the boards: sysroots from Debian packages, the daemon per architecture, and the gate."""


class CrossError(Exception):
    """Something for a board can't be built; the message says why, and what to do."""
