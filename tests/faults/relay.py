"""A way over TCP that can go dead without a word, as Wi-Fi does: both ends keep what leads nowhere."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Relay:
    """Listens at `port` and hands on all bytes to and from another port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._dead = threading.Event()
        self._thread = threading.Thread(target=self._accept)

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._open) // 2

    def go_dead(self) -> int:
        """Hand on nothing more over the connections there are, nor close them; gives their number."""
        self._dead.set()
        self._dead = threading.Event()
        return self.connections

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the end
                return
            dead = self._dead
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._hand_on, args=(*pair, dead), daemon=True).start()

    def _hand_on(self, source: socket.socket, to: socket.socket, dead: threading.Event) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not dead.is_set():
                to.sendall(data)
        if not dead.is_set():
            for end in (source, to):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Relay:  # noqa: PYI034
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for end in self._open:
            end.close()
