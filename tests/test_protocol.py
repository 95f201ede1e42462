"""The wire format in Python: every vector that Go reads too, and what only one direction can show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged import errors, protocol

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "protocol.json").read_text())


def cases(section: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[section]]


def body_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["body_hex"]) if "body_hex" in case else case["body"].encode()


def test_vectors_are_there() -> None:
    assert len(VECTORS["parse"]) >= 150
    assert len(VECTORS["encode"]) >= 25
    for section in ("parse", "encode"):
        names = [case["name"] for case in VECTORS[section]]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", cases("parse"))
def test_parse(case: dict[str, Any]) -> None:
    if "request" in case:
        assert protocol.parse_request(body_of(case))._asdict() == case["request"]
        return
    with pytest.raises(protocol.RequestError) as caught:
        protocol.parse_request(body_of(case))
    expected = case["error"]
    assert (caught.value.error.code, caught.value.request_id) == (expected["code"], expected["id"])
    assert caught.value.error.hint
    if "offset" in expected:
        assert f"byte {expected['offset']} " in caught.value.error.message


@pytest.mark.parametrize("case", cases("encode"))
def test_encode(case: dict[str, Any]) -> None:
    assert encoded(case).decode() == case["reply"]


def encoded(case: dict[str, Any]) -> bytes:
    if case["kind"] == "classify":
        results = [protocol.Prediction(**result) for result in case["results"]]
        return protocol.encode_results(case["id"], results, single=case["single"])
    if case["kind"] == "error":
        error = errors.reply_error(case["code"], case["message"], case["hint"], case["retry_after_ms"])
        return protocol.encode_error(case["id"], error)
    return protocol.encode_payload(case["id"], case["kind"], json.loads(case["payload"]))


@pytest.mark.parametrize("case", cases("encode"))
def test_a_client_reads_every_reply(case: dict[str, Any]) -> None:
    reply = protocol.decode_reply(case["reply"].encode())
    assert reply.id == (None if case["id"] is None else json.loads(case["id"]))
    if case["kind"] == "classify":
        assert reply.results is not None
        assert len(reply.results) == len(case["results"])
        for got, sent in zip(reply.results, case["results"]):
            assert tuple(got) == (
                sent["label"],
                pytest.approx(sent["score"], abs=5.0001e-5),
                sent["uncertain"],
                sent["truncated"],
            )
    elif case["kind"] == "error":
        assert type(reply.error) is errors.REPLY_ERRORS[case["code"]]
        assert (reply.error.message, reply.error.hint) == (case["message"], case["hint"])
        assert reply.error.retry_after_ms == case["retry_after_ms"]
    else:
        assert reply.payload == json.loads(case["payload"])


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ({"texts": "one"}, {"texts": ["one"], "single": True}),
        ({"texts": ["a", 'b"\\\n\0é😀']}, {"texts": ["a", 'b"\\\n\0é😀'], "single": False}),
        ({"texts": ()}, {"texts": [], "single": False}),
        ({"texts": "cut \ud83d off"}, {"texts": ["cut \ufffd off"], "single": True}),
        ({"texts": "a", "deadline_ms": 50}, {"texts": ["a"], "single": True, "deadline_ms": 50}),
        ({"op": "stats"}, {"op": "stats"}),
    ],
)
def test_what_a_client_sends_a_service_reads(sent: dict[str, Any], received: dict[str, Any]) -> None:
    expected = {"op": "classify", "id": "7", "texts": [], "single": False, "deadline_ms": None, **received}
    assert protocol.parse_request(protocol.encode_request(7, **sent))._asdict() == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"{}", b'{"label":"a"}', b'{"results":[{}]}', b'{"results":5}', b'{"error":{}}',
     b'{"stats":1}', b'{"error":"x"}', b'{"label":"a","score":"high"}', b'{"x":' + b"[" * 100_000],
)  # fmt: skip
def test_a_reply_that_is_none(body: bytes) -> None:
    with pytest.raises(errors.ReplyNotUnderstood, match="not edged's wire format"):
        protocol.decode_reply(body)


def test_an_error_code_from_a_newer_daemon() -> None:
    reply = protocol.decode_reply(b'{"error":{"code":"asleep","message":"night","hint":"wait"}}')
    assert type(reply.error) is errors.ReplyError
    assert str(reply.error) == "asleep: night\nhint: wait"


def test_syntax_errors_name_the_byte_not_the_character() -> None:
    with pytest.raises(protocol.RequestError, match="at byte 14"):
        protocol.parse_request('{"text":"éé"; }'.encode())
