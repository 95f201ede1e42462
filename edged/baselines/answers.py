"""A request body to a reply body: what both baselines do, whoever moves the frames."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from edged import __version__
from edged.errors import BadRequest, InternalError, ReplyError, TooLarge
from edged.protocol import (
    Prediction,
    Request,
    RequestError,
    encode_error,
    encode_payload,
    encode_results,
    parse_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence, Sequence
    from contextlib import AbstractContextManager
    from multiprocessing.sharedctypes import SynchronizedArray

MAX_FRAMES = 8
MAX_REVIEWS = 1024
MAX_REVIEW_BYTES = 64 * 1024

log = logging.getLogger("edged.baselines")


class Counters:
    """Requests, reviews and errors, in shared memory where there are several processes."""

    NAMES = ("requests", "reviews", "errors")

    def __init__(
        self, values: MutableSequence[int] | SynchronizedArray[int], lock: AbstractContextManager[Any]
    ) -> None:
        self._values = values
        self._lock = lock

    def add(self, name: str, count: int = 1) -> None:
        """Count."""
        with self._lock:
            self._values[self.NAMES.index(name)] += count

    def read(self) -> dict[str, int]:
        """All of them."""
        return {name: self._values[at] for at, name in enumerate(self.NAMES)}


class Answers:
    """Answers requests with `score`; `processes` gives the ids of all processes of the service."""

    def __init__(
        self,
        score: Callable[[Sequence[str]], list[Prediction]],
        name: str,
        model: dict[str, Any],
        counters: Counters,
        processes: Callable[[], list[int]],
    ) -> None:
        self._score = score
        self._name = name
        self._model = model
        self._counters = counters
        self._processes = processes

    def reply(self, frames: list[bytes]) -> list[bytes]:
        """The reply to a message of the ROUTER: its envelope, then the answer. Never raises."""
        if len(frames) > 1 + MAX_FRAMES:
            body = encode_error(
                None, BadRequest(f"more than {MAX_FRAMES} frames", "send the JSON in one frame")
            )
        else:
            body = self._answer(frames[-1])
        return [*frames[:-1], body]

    def _answer(self, body: bytes) -> bytes:
        request_id = None
        self._counters.add("requests")
        try:
            request = parse_request(body)
            request_id = request.id
            return self._result(request)
        except RequestError as error:
            self._counters.add("errors")
            return encode_error(error.request_id, error.error)
        except ReplyError as error:
            self._counters.add("errors")
            return encode_error(request_id, error)
        except Exception:  # whatever it is, one request must not end the service
            log.exception("a request failed")
            self._counters.add("errors")
            return encode_error(request_id, InternalError("the service failed on this request"))

    def _result(self, request: Request) -> bytes:
        if request.op == "classify":
            _check_size(request.texts)
            self._counters.add("reviews", len(request.texts))
            return encode_results(request.id, self._score(request.texts), single=request.single)
        payload = {"stats": self._stats, "health": self._health, "info": self._info}[request.op]()
        return encode_payload(request.id, request.op, payload)

    def _health(self) -> dict[str, Any]:
        return {"status": "ok"}

    def _info(self) -> dict[str, Any]:
        limits = {"max_reviews": MAX_REVIEWS, "max_review_bytes": MAX_REVIEW_BYTES}
        return {"service": self._name, "version": __version__, "model": self._model, "limits": limits}

    def _stats(self) -> dict[str, Any]:
        """Memory in bytes, summed over all processes: PSS counts shared pages once, RSS does not."""
        import psutil  # noqa: PLC0415 - not needed to serve

        memory = [psutil.Process(process).memory_full_info() for process in self._processes()]
        return {
            "process": {
                "processes": len(memory),
                "pss": sum(reading.pss for reading in memory),
                "rss": sum(reading.rss for reading in memory),
                "uss": sum(reading.uss for reading in memory),
            },
            "counters": self._counters.read(),
        }


def _check_size(texts: Sequence[str]) -> None:
    if len(texts) > MAX_REVIEWS:
        raise TooLarge(f"{len(texts)} reviews in one request", f"send at most {MAX_REVIEWS}")
    for index, text in enumerate(texts):
        size = len(text.encode())
        if size > MAX_REVIEW_BYTES:
            raise TooLarge(f"review {index} has {size} bytes", f"send at most {MAX_REVIEW_BYTES}")
