"""Mutated requests: the daemon's parser in Go and the one in Python agree on each.

The short form runs in `make test`. The long form:
EDGED_DIFFERENTIAL=1000000 pytest tests/test_protocol_differential.py
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import zmq

from edged.protocol import RequestError, parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.daemon import Daemon

COUNT = int(os.environ.get("EDGED_DIFFERENTIAL", "20000"))
WINDOW = 32
VECTORS = json.loads((Path(__file__).parent / "vectors" / "protocol.json").read_text())["parse"]
PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\t", b"\r", b"\0", b"\x7f", b"\x80",
    b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x8d\xb7", b"\xef\xbb\xbf", b"-", b"0", b"1", b"12", b"0.5", b"1e5",
    b"-0", b"null", b"true", b"NaN", b"\\u", b"\\ud83d", b"\\ude00", b"\\n", b"\\/", b'"id":', b'"id":7,',
    b'"text":"a"', b'"texts":["b"]', b'"op":"health"', b'"v":1', b'"deadline_ms":9000', b'{"text":"a"}',
    b'"x":[[]]', b'"x":{"y":1}',
]  # fmt: skip


class Verdict(NamedTuple):
    """What a parser made of a body: the error's code or the op, the id's token, the number of results."""

    outcome: str
    id: str | None
    results: int = 0


def mutated(seed: int) -> Iterator[bytes]:
    """`COUNT` bodies, each a vector with a few pieces put in, taken out, doubled or swapped."""
    chance = random.Random(seed)
    bodies = [
        bytes.fromhex(case["body_hex"]) if "body_hex" in case else case["body"].encode() for case in VECTORS
    ]
    bodies = [body for body in bodies if len(body) < 400]
    for _ in range(COUNT):
        body = bytearray(chance.choice(bodies))
        for _ in range(chance.randint(0, 3)):
            at, end = sorted((chance.randint(0, len(body)), chance.randint(0, len(body))))
            body[at:end] = chance.choice(
                (
                    b"",
                    chance.choice(PIECES),
                    body[at:end] * 2,
                    body[at:end] + chance.choice(PIECES),
                    body[at:end],
                )
            )
            if chance.random() < 0.5:
                body[at:at] = chance.choice(PIECES)
        if body:  # an empty last frame is refused before any parser sees it
            yield bytes(body)


def python_says(body: bytes) -> Verdict:
    try:
        request = parse_request(body)
    except RequestError as error:
        return Verdict(error.error.code, error.request_id)
    return Verdict(request.op, request.id, len(request.texts))


def daemon_said(reply: bytes) -> Verdict:
    fields = json.loads(reply)
    token = None
    if "id" in fields:
        # The token as it stands: what a client would match its own against.
        end = min(
            at
            for key in ("label", "results", "error", "stats", "health", "info")
            if (at := reply.find(b',"%s":' % key.encode())) > 0
        )
        token = reply[len('{"id":') : end].decode()
    if "error" in fields:
        return Verdict(fields["error"]["code"], token)
    if "label" in fields or "results" in fields:
        return Verdict("classify", token, len(fields.get("results", [1])))
    return Verdict(next(key for key in fields if key != "id"), token)


@pytest.mark.timeout(300 + COUNT // 100)
def test_go_and_python_agree(shared_daemon: Daemon) -> None:
    disagreed: list[tuple[bytes, Verdict, Verdict]] = []
    verdicts: set[str] = set()
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.rcvtimeo = 60_000
        dealer.connect(shared_daemon.endpoint)
        waiting: dict[bytes, bytes] = {}

        def receive() -> None:
            number, reply = dealer.recv_multipart()
            body = waiting.pop(number)
            expected, got = python_says(body), daemon_said(reply)
            if got.outcome == "deadline" and expected.outcome == "classify":
                return  # parsed alike; a deadline of a millisecond may well pass
            verdicts.add(got.outcome)
            if expected != got:
                disagreed.append((body, expected, got))

        for number, body in enumerate(mutated(seed=20)):
            if len(waiting) == WINDOW:
                receive()
            # The number travels in the envelope, which comes back whatever becomes of the body.
            waiting[b"%d" % number] = body
            dealer.send_multipart([b"%d" % number, body])
        while waiting:
            receive()
    assert disagreed == []
    assert {"classify", "bad_request", "health", "stats"} <= verdicts
