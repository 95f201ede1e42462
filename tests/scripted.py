"""A ROUTER that answers as a test tells it to: for what a healthy daemon never does.

Everything else in the tests talks to the real daemon.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zmq

from edged.protocol import Prediction, encode_results, parse_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edged.protocol import Request

    Script = Callable[[Request], Any]


def positive(request: Request) -> bytes:
    """Every text is positive, by as much as its length says."""
    results = [Prediction("positive", min(len(text), 9999) / 10_000) for text in request.texts]
    return encode_results(request.id, results, single=request.single)


class Scripted:
    """Serves until closed; `requests` are all bodies it read, in order."""

    def __init__(self, endpoint: str, script: Script, **options: Any) -> None:
        self.requests: list[Request] = []
        self._script = script
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        for name, value in options.items():
            setattr(self._socket, name, value)
        self._socket.bind(endpoint)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(20):
                continue
            *envelope, body = self._socket.recv_multipart()
            request = parse_request(body)
            self.requests.append(request)
            answers = self._script(request)
            for answer in [answers] if isinstance(answers, bytes) else answers or []:
                self._socket.send_multipart([*envelope, answer])

    def close(self) -> None:
        """Stop, and close the socket as a process that ends does."""
        self._stop.set()
        self._thread.join()
        self._socket.close()
        self._context.term()


@contextmanager
def scripted(endpoint: str, script: Script = positive, **options: Any) -> Iterator[Scripted]:
    """A `Scripted` for the length of a block."""
    service = Scripted(endpoint, script, **options)
    try:
        yield service
    finally:
        service.close()
