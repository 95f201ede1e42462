"""Commands in an emulated board, through the QEMU guest agent's socket."""

from __future__ import annotations

import base64
import json
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class AgentError(Exception):
    """The agent refused a command, or a command in the board failed."""


@dataclass(frozen=True)
class Ended:
    """A command that ended in the board."""

    code: int
    stdout: str
    stderr: str


class Agent:
    """The guest agent of one board (https://www.qemu.org/docs/master/interop/qemu-ga-ref.html)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def close(self) -> None:
        """Leave the board alone."""
        self._lines.close()
        self._socket.close()

    def wait(self, timeout: float) -> None:
        """Wait until the board has booted so far that it answers.

        Raises:
            TimeoutError: it doesn't within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._socket.settimeout(2)
            try:
                # Replies to earlier attempts may still arrive: only the one to this attempt counts.
                number = time.monotonic_ns() % 2**31
                self._send({"execute": "guest-sync", "arguments": {"id": number}})
                while json.loads(self._lines.readline()).get("return") != number:
                    pass
            except (TimeoutError, ValueError):
                self._lines = self._socket.makefile("rb")
                continue
            self._socket.settimeout(None)
            return
        raise TimeoutError(f"the board didn't boot within {timeout:.0f} s")

    def run(self, command: str, stdin: bytes = b"", timeout: float = 120) -> Ended:
        """Run a shell command as root to its end.

        Raises:
            TimeoutError: it doesn't end within ``timeout`` seconds.
            AgentError: the agent doesn't take it.
        """
        arguments: dict[str, Any] = {"path": "/bin/sh", "arg": ["-c", command], "capture-output": True}
        if stdin:
            arguments["input-data"] = base64.b64encode(stdin).decode()
        pid = self._ask("guest-exec", arguments)["pid"]
        deadline, pause = time.monotonic() + timeout, 0.05
        while not (status := self._ask("guest-exec-status", {"pid": pid}))["exited"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{command!r} didn't end within {timeout:.0f} s")
            time.sleep(pause)
            pause = min(1.5 * pause, 1.0)  # each question costs the board time
        texts = [base64.b64decode(status.get(name, "")).decode() for name in ("out-data", "err-data")]
        return Ended(status.get("exitcode", 128 + status.get("signal", 0)), *texts)

    def check(self, command: str, stdin: bytes = b"", timeout: float = 120) -> str:
        """Run a command that must succeed; return what it printed.

        Raises:
            AgentError: it failed; the message holds its output.
        """
        ended = self.run(command, stdin, timeout)
        if ended.code:
            raise AgentError(f"{command!r} ended with {ended.code}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout.strip()

    def _ask(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self._send({"execute": name, "arguments": arguments})
        reply = json.loads(self._lines.readline())
        if "return" not in reply:
            raise AgentError(f"{name}: {reply}")
        answer: dict[str, Any] = reply["return"]
        return answer

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")
