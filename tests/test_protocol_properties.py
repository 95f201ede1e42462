"""What must hold of the wire format in Python for any bytes, whoever sent them.

EDGED_EXAMPLES says how many of them each test tries; `make fuzz` asks for many.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edged import errors, protocol

IDS = st.one_of(st.integers(), st.text(max_size=15))  # below the 128 bytes that an id may have
TOKENS = st.none() | IDS.map(json.dumps)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
REQUEST_KEYS = st.sampled_from(["id", "text", "texts", "op", "v", "deadline_ms", "x"])
REPLY_KEYS = st.sampled_from(["id", "label", "score", "uncertain", "truncated", "results", "error", "stats"])
ERROR = st.dictionaries(st.sampled_from(["code", "message", "hint", "retry_after_ms"]), VALUES)
RESULT = st.dictionaries(st.sampled_from(["label", "score", "uncertain", "truncated"]), VALUES)
WORDS = st.text(max_size=20)
PREDICTIONS = st.builds(
    protocol.Prediction, WORDS, st.integers(0, 10_000).map(lambda n: n / 10_000), st.booleans(), st.booleans()
)


def bodies(keys: st.SearchStrategy[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Objects with the keys that mean something, mostly with the wrong values, and bytes of any kind."""
    objects = st.dictionaries(keys, values, max_size=6).map(lambda fields: json.dumps(fields).encode())
    cut = st.builds(
        lambda body, at, put: body[:at] + put + body[at:], objects, st.integers(0, 80), st.binary()
    )
    return objects | cut | st.binary(max_size=60)


@given(bodies(REQUEST_KEYS, VALUES))
def test_any_bytes_are_a_request_or_a_bad_one(body: bytes) -> None:
    try:
        request = protocol.parse_request(body)
    except protocol.RequestError as refused:
        error = refused.error
    else:
        check(request)
        return
    assert error.code == "bad_request"
    assert error.message
    assert error.hint


def check(request: protocol.Request) -> None:
    assert request.op in protocol.OPS
    assert all(text.encode() is not None for text in request.texts)
    assert request.id is None or isinstance(json.loads(request.id), (str, int))
    assert request.deadline_ms is None or 1 <= request.deadline_ms <= protocol.MAX_DEADLINE_MS


@given(bodies(REPLY_KEYS, VALUES | ERROR | RESULT | st.lists(RESULT)))
@example(b'{"label":"a","score":1' + b"0" * 400 + b"}")
def test_any_bytes_are_a_reply_or_not_understood(body: bytes) -> None:
    try:
        reply = protocol.decode_reply(body)
    except errors.ReplyNotUnderstood:
        return
    for label, score, *marks in reply.results or ():
        assert (type(label), type(score), *map(type, marks)) == (str, float, bool, bool)
        assert 0 <= score <= 1
    if reply.error is not None:
        assert isinstance(str(reply.error), str)
        assert reply.error.retry_after_ms is None or reply.error.retry_after_ms >= 0
    assert (reply.results is not None) + (reply.error is not None) + (reply.payload is not None) == 1


@given(IDS, WORDS | st.lists(WORDS, max_size=5), st.none() | st.integers(1, protocol.MAX_DEADLINE_MS))
def test_what_is_asked_arrives(request_id: int | str, texts: str | list[str], deadline: int | None) -> None:
    got = protocol.parse_request(protocol.encode_request(request_id, texts, deadline_ms=deadline))
    assert got.texts == ([texts] if isinstance(texts, str) else texts)
    assert (got.single, got.deadline_ms) == (isinstance(texts, str), deadline)


@given(st.text(st.characters(), max_size=30))  # halves of characters too, which UTF-8 cannot carry
def test_any_text_can_be_sent(text: str) -> None:
    (got,) = protocol.parse_request(protocol.encode_request(1, text)).texts
    assert got == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(TOKENS, st.lists(PREDICTIONS, max_size=5))
def test_results_arrive_as_they_were_sent(token: str | None, predictions: list[protocol.Prediction]) -> None:
    reply = protocol.decode_reply(protocol.encode_results(token, predictions, single=False))
    assert reply.results == predictions
    assert reply.id == (None if token is None else json.loads(token))


@pytest.mark.parametrize("code", sorted(errors.REPLY_ERRORS))
@given(message=WORDS, hint=WORDS, retry=st.none() | st.integers(0, 100_000))
def test_errors_arrive_as_they_were_sent(code: str, message: str, hint: str, retry: int | None) -> None:
    sent = errors.reply_error(code, message, hint, retry)
    got = protocol.decode_reply(protocol.encode_error('"7"', sent)).error
    assert (type(got), str(got)) == (type(sent), str(sent))
    assert got is not None
    assert got.retry_after_ms == retry
