"""docs/wire-format.md says what the daemon does: its examples are sent, its tables compared with the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from edged import Client, errors, protocol

if TYPE_CHECKING:
    from tests.daemon import Daemon

PAGE = (Path(__file__).parents[1] / "docs" / "wire-format.md").read_text()
EXAMPLES = re.findall(r"^    > (.*)\n    < (.*)$", PAGE, re.MULTILINE)
SCORE = re.compile(r'"score":(\d\.\d{4})')


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE))


def test_examples_were_found() -> None:
    assert len(EXAMPLES) >= 10
    assert PAGE.count("\n    > ") == PAGE.count("\n    < ") == len(EXAMPLES)


@pytest.mark.parametrize(("request_line", "reply_line"), EXAMPLES)
def test_example(request_line: str, reply_line: str, shared_daemon: Daemon) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.rcvtimeo = 20_000
        socket.connect(shared_daemon.endpoint)
        socket.send(request_line.encode())
        reply = socket.recv().decode()
    pattern = re.escape(SCORE.sub('"score":S', reply_line)).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, SCORE.sub('"score":S', reply)), reply


def test_the_tables_name_every_key_code_and_flag() -> None:
    assert first_column("Request") == {"op", "text", "texts", "id", "deadline_ms", "v"}
    assert first_column("Result") == set(protocol.Prediction._fields)
    assert first_column("Error") == set(errors.REPLY_ERRORS)
    for op in protocol.OPS:
        assert f"`{op}`" in section("Request")


def test_the_limits_are_those_of_the_code(shared_daemon: Daemon) -> None:
    assert f"1 to {protocol.MAX_DEADLINE_MS}" in PAGE
    assert f"at most {protocol.MAX_ID_BYTES} bytes as written" in PAGE
    assert f"nested at most {protocol.MAX_NESTING} deep" in PAGE
    with Client(shared_daemon.endpoint, timeout=60) as client:
        limits = client.info()["limits"]
    for name in ("max_reviews", "max_review_bytes"):
        assert f"`{name}`, by default {limits[name]} " in section("Limits")
