"""Exit codes of edgectl, after sysexits.h where that has one; scripts may rely on them."""

from __future__ import annotations

from edged import errors
from edged.errors import EdgedError

OK = 0
FAILED = 1
USAGE = 64
DATA = 65
NO_INPUT = 66
UNAVAILABLE = 69
CANNOT_CREATE = 73
IO = 74
TRY_LATER = 75
DENIED = 77
CONFIG = 78
INTERRUPTED = 130
BROKEN_PIPE = 141

TABLE = """exit codes:
    0  all done
    1  an error of the daemon or of edgectl itself
   64  wrong usage
   65  the input cannot be read as what it is, or some of its reviews could not be scored
   66  no such input
   69  the daemon does not answer, or has no model
   73  the output cannot be created
   74  reading or writing failed
   75  the daemon is busy or stopping: try again later
   77  the keys do not fit, or the client is not allowed in
   78  a setting (endpoint, key, config) cannot be used
  130  interrupted; `--resume` goes on from there"""


class CommandError(EdgedError):
    """Ends edgectl with an exit code of its own."""

    default_hint = ""

    def __init__(self, code: int, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.code = code


_CODES: list[tuple[type[Exception], int]] = [
    (errors.EndpointError, CONFIG),
    (errors.NoAnswer, UNAVAILABLE),
    (errors.Unavailable, UNAVAILABLE),
    (errors.HandshakeError, DENIED),
    (errors.Denied, DENIED),
    (errors.Busy, TRY_LATER),
    (errors.Draining, TRY_LATER),
    (errors.DeadlineExceeded, TRY_LATER),
    (errors.BadRequest, DATA),
    (errors.TooLarge, DATA),
    (errors.DataError, DATA),
    (errors.EdgedError, FAILED),
    (FileNotFoundError, NO_INPUT),
    (OSError, IO),
]


def of(error: Exception) -> int:
    """The exit code for an exception."""
    if isinstance(error, CommandError):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
