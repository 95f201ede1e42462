"""Every exception edged raises, the whole tree on one screen.

    EdgedError                   message, hint
    ├── EndpointError            the endpoint or a key cannot be used as written
    ├── ClosedError              the client was closed
    ├── DataError                a file of reviews cannot be read as what it is taken for
    ├── NoAnswer                 nothing came back in time (also a TimeoutError)
    ├── HandshakeError           the daemon was reached, the handshake failed
    │   ├── WrongServerKey       what answers does not hold the server's key
    │   └── KeyNotAllowed        the daemon does not allow this client's key
    ├── ReplyNotUnderstood       what answers does not speak edged's wire format
    └── ReplyError               the daemon answered with an error: code, retry_after_ms
        ├── BadRequest           bad_request
        ├── TooLarge             too_large
        ├── Busy                 busy
        ├── DeadlineExceeded     deadline
        ├── Draining             draining
        ├── Denied               denied
        ├── Unavailable          unavailable
        ├── ModelError           model
        └── InternalError        internal

Standard library only: protocol, clients, command line and baselines all share it.
"""

from __future__ import annotations

from typing import ClassVar


class EdgedError(Exception):
    """Base of all; `str()` gives the message and, on a second line, the hint."""

    default_hint: ClassVar[str] = "run `edgectl doctor` to see what is wrong"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class EndpointError(EdgedError, ValueError):
    """The endpoint, or a key given with it, cannot be used as written."""

    default_hint = "write ipc:///path/to/socket or tcp://host:port"


class ClosedError(EdgedError):
    """The client was used after `close()`."""

    default_hint = "make a new Client, or keep the calls inside its `with` block"


class DataError(EdgedError, ValueError):
    """A file of reviews cannot be read as what it is taken for."""

    default_hint = "check its format, and the name of the column with the texts"


class NoAnswer(EdgedError, TimeoutError):
    """Nothing came back within the client's timeout."""

    default_hint = "is the daemon running? `edgectl doctor` checks socket, permissions and daemon"


class HandshakeError(EdgedError):
    """The daemon's socket was reached, but the ZeroMQ handshake failed."""

    default_hint = (
        "does only one side use CURVE keys? compare the client's keys with curve.* in the daemon's config"
    )


class WrongServerKey(HandshakeError):
    """What answers at the endpoint does not hold the secret of the server key given."""

    default_hint = "copy the daemon's public key again; `edgectl keys show` prints it on the board"


class KeyNotAllowed(HandshakeError):
    """The daemon's allow-list does not hold this client's public key."""

    default_hint = "allow it on the board with `edgectl keys allow`"


class ReplyNotUnderstood(EdgedError):
    """A reply came that is not edged's wire format."""

    default_hint = "is something else than edged listening at this endpoint?"


class ReplyError(EdgedError):
    """The daemon answered with an error. `retry_after_ms`: when to try again, if the daemon said so."""

    code: ClassVar[str] = ""

    def __init__(self, message: str, hint: str | None = None, retry_after_ms: int | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after_ms = retry_after_ms


class BadRequest(ReplyError):
    """The request breaks the wire format."""

    code = "bad_request"
    default_hint = "see the wire format for the fields and their limits"


class TooLarge(ReplyError):
    """More reviews in one request, or a longer review, than the daemon takes."""

    code = "too_large"
    default_hint = (
        "send fewer reviews in one request (classify_many does), or raise max_reviews or max_review_bytes"
    )


class Busy(ReplyError):
    """The daemon's queue, or this client's share of it, is full."""

    code = "busy"
    default_hint = "send again after retry_after_ms, with fewer requests outstanding"


class DeadlineExceeded(ReplyError):
    """The request waited past its deadline_ms and was not classified."""

    code = "deadline"
    default_hint = "give a longer deadline_ms, or send less at once"


class Draining(ReplyError):
    """The daemon is stopping and takes no new requests."""

    code = "draining"
    default_hint = "send again once it has started anew"


class Denied(ReplyError):
    """This client's key was revoked."""

    code = "denied"
    default_hint = "allow the key on the board with `edgectl keys allow`, then connect again"


class Unavailable(ReplyError):
    """The daemon has no model yet."""

    code = "unavailable"
    default_hint = "it may still be loading: send again in a moment, or see the daemon's log"


class ModelError(ReplyError):
    """The model or handler failed on this request."""

    code = "model"
    default_hint = "the daemon's log has the Python traceback"


class InternalError(ReplyError):
    """The daemon failed in a way that is a bug of edged."""

    code = "internal"
    default_hint = "the daemon's log says more; please report it"


REPLY_ERRORS: dict[str, type[ReplyError]] = {error.code: error for error in ReplyError.__subclasses__()}
"""Wire error code -> class."""


def reply_error(
    code: str, message: str, hint: str | None = None, retry_after_ms: int | None = None
) -> ReplyError:
    """The exception for an error reply; an unknown code becomes a plain `ReplyError`."""
    known = REPLY_ERRORS.get(code)
    if known is None:
        return ReplyError(f"{code}: {message}", hint, retry_after_ms)
    return known(message, hint, retry_after_ms)
