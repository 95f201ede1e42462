"""What a handler logs through `logging` reaches the daemon's log with its level.

The module is never imported here: a handler that does not use it does not pay for it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    import logging
    from typing import Any

# sd-daemon(3): a line of stderr that starts with <N> has syslog's level N in the journal.
_PRIORITIES = ((40, 3), (30, 4), (20, 6), (0, 7))


def connect() -> None:
    """Send logging's records to stderr, if somebody imported logging and nobody has configured it."""
    logging: Any = sys.modules.get("logging")
    if logging is None or logging.root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    if _is_journal(os.environ.get("JOURNAL_STREAM", ""), 2):
        handler.format = _with_priority
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.root.addHandler(handler)


def _with_priority(record: logging.LogRecord) -> str:
    """A record with its level before every line: each line becomes an entry of the journal."""
    logging: Any = sys.modules["logging"]
    text = logging.Formatter("%(name)s: %(message)s").format(record)
    prefix = next(f"<{priority}>" for level, priority in _PRIORITIES if record.levelno >= level)
    return "\n".join(prefix + line for line in text.splitlines())


def _is_journal(stream: str, descriptor: int) -> bool:
    """Whether a descriptor is the journal's that systemd named in JOURNAL_STREAM ("device:inode")."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"
