"""Wire format, version 1: one JSON object (UTF-8) in the last frame, both ways.

Both directions live here: clients use `encode_request` and `decode_reply`, services `parse_request`,
`encode_results`, `encode_error` and `encode_payload`. The daemon's codec in Go gives the same bytes:
`tests/vectors/protocol.json` pins both. Standard library only.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from edged.errors import BadRequest, ReplyError, ReplyNotUnderstood, reply_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VERSION = 1
OPS = ("classify", "stats", "health", "info")
MAX_ID_BYTES = 128
MAX_DEADLINE_MS = 86_400_000
MAX_NESTING = 64


class Prediction(NamedTuple):
    """One review's result. `score` is the probability of `label`, 0 to 1, four decimals.

    `uncertain`: the score lies in the model's band of doubt.
    `truncated`: the text was longer than the model reads.
    """

    label: str
    score: float
    uncertain: bool = False
    truncated: bool = False


class Request(NamedTuple):
    """A request as a service sees it. `id` is the token as written (quotes included), or None."""

    op: str
    id: str | None
    texts: list[str]
    single: bool = False
    deadline_ms: int | None = None


class Reply(NamedTuple):
    """A reply as a client sees it: exactly one of `results`, `payload` and `error` is set."""

    id: Any
    results: list[Prediction] | None = None
    payload: dict[str, Any] | None = None
    error: ReplyError | None = None


class RequestError(Exception):
    """A body that is no valid request: the error to answer with, and the id token where it could be read."""

    def __init__(self, error: ReplyError, request_id: str | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.request_id = request_id


# --- client side ------------------------------------------------------------


def encode_request(
    request_id: int | str,
    texts: str | Sequence[str] | None = None,
    *,
    op: str = "classify",
    deadline_ms: int | None = None,
) -> bytes:
    """The body of a request: one text, a list of texts, or (with `op`) none.

    Lone surrogates, which no UTF-8 can carry, become U+FFFD.
    """
    fields: dict[str, Any] = {"id": request_id}
    if op != "classify":
        fields["op"] = op
    elif isinstance(texts, str):
        fields["text"] = texts
    else:
        fields["texts"] = list(texts or ())
    if deadline_ms is not None:
        fields["deadline_ms"] = deadline_ms
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode()


def decode_reply(body: bytes) -> Reply:
    """Read a reply's body. Raises `ReplyNotUnderstood` for anything that is not one."""
    try:
        fields = json.loads(body.decode())
        if not isinstance(fields, dict):
            raise TypeError("not an object")
        return _reply(fields)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        start = bytes(body[:60])
        raise ReplyNotUnderstood(f"the reply is not edged's wire format ({error!r}): {start!r}") from error


def _reply(fields: dict[str, Any]) -> Reply:
    request_id = fields.get("id")
    if "results" in fields:
        return Reply(request_id, results=[_prediction(result) for result in fields["results"]])
    if "label" in fields:
        return Reply(request_id, results=[_prediction(fields)])
    if "error" in fields:
        return Reply(request_id, error=_error(fields["error"]))
    for op in OPS:
        if isinstance(fields.get(op), dict):
            return Reply(request_id, payload=fields[op])
    raise KeyError("none of label, results, error, stats, health, info")


def _prediction(result: Mapping[str, Any]) -> Prediction:
    label, score = result["label"], result["score"]
    uncertain, truncated = result.get("uncertain", False), result.get("truncated", False)
    if not (
        isinstance(label, str)
        and type(score) in (float, int)
        and 0 <= score <= 1
        and isinstance(uncertain, bool)
        and isinstance(truncated, bool)
    ):
        raise TypeError("not a result")
    return Prediction(label, float(score), uncertain, truncated)


def _error(error: Mapping[str, Any]) -> ReplyError:
    code, message = error["code"], error["message"]
    hint, retry_after_ms = error.get("hint"), error.get("retry_after_ms")
    if not (isinstance(code, str) and isinstance(message, str) and isinstance(hint, (str, type(None)))):
        raise TypeError("an error without words")
    if retry_after_ms is not None and not (type(retry_after_ms) is int and retry_after_ms >= 0):
        raise TypeError("retry_after_ms is no time")
    return reply_error(code, message, hint, retry_after_ms)


# --- service side ------------------------------------------------------------


def parse_request(body: bytes) -> Request:
    """Read a request's body. Raises `RequestError` (bad_request) with what is wrong and where."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _bad(
            f"byte {error.start} of the request is not valid UTF-8", "send one JSON object in UTF-8"
        ) from None
    fields = _top_level_fields(text)
    request_id = _id(fields)
    try:
        return _request(fields, request_id, escapes="\\u" in text)
    except BadRequest as error:
        raise RequestError(error, request_id) from None


class _Field(NamedTuple):
    value: Any
    token: str


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_NUMBER = object()
# Numbers are judged by their token, never converted: an ignored field may hold a million digits.
_DECODER = json.JSONDecoder(
    parse_int=lambda _: _NUMBER, parse_float=lambda _: _NUMBER, parse_constant=_refuse_constant
)
_SPACE = re.compile(r"[ \t\n\r]*")
_INTEGER = re.compile(r"-?[0-9]+")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_KNOWN = frozenset(("id", "v", "op", "text", "texts", "deadline_ms"))


def _top_level_fields(text: str) -> dict[str, _Field]:
    """The known fields of the object in `text`, each with its token; the last of duplicates wins."""
    fields: dict[str, _Field] = {}
    at = _skip_space(text, 0)
    if text[at : at + 1] != "{":
        raise _syntax(text, at, "expected a JSON object")
    at = _skip_space(text, at + 1)
    more = text[at : at + 1] != "}"
    while more:
        key_field, at = _value(text, at)
        if not isinstance(key_field.value, str):
            raise _syntax(text, at, "expected a key in double quotes")
        at = _expect(text, _skip_space(text, at), ":")
        field, at = _value(text, _skip_space(text, at))
        if key_field.value in _KNOWN:
            fields[key_field.value] = field
        if _nesting(field.token) > MAX_NESTING:
            raise _bad(
                f'field "{key_field.value[:40]}" is nested more than {MAX_NESTING} deep', "send flatter JSON"
            )
        at = _skip_space(text, at)
        more = text[at : at + 1] == ","
        if more:
            at = _skip_space(text, at + 1)
    at = _skip_space(text, _expect(text, at, "}"))
    if at != len(text):
        raise _syntax(text, at, "expected nothing after the object")
    return fields


def _value(text: str, at: int) -> tuple[_Field, int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _syntax(text, error.pos, error.msg) from None
    except RecursionError:
        raise _bad(f"the request is nested more than {MAX_NESTING} deep", "send flatter JSON") from None
    except ValueError as error:
        raise _syntax(text, at, str(error)) from None
    return _Field(value, text[at:end]), end


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, char: str) -> int:
    if text[at : at + 1] != char:
        raise _syntax(text, at, f"expected {char!r}")
    return at + 1


def _nesting(token: str) -> int:
    if token[0] not in "[{":
        return 0
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(token):
        char = match.group()
        if char in ("[", "{"):
            depth += 1
            deepest = max(deepest, depth)
        elif char in ("]", "}"):
            depth -= 1
    return deepest


def _id(fields: Mapping[str, _Field]) -> str | None:
    field = fields.get("id")
    if field is None:
        return None
    if not isinstance(field.value, str) and not _INTEGER.fullmatch(field.token):
        raise _bad('"id" must be a string or an integer', "leave it out, or send a string")
    if len(field.token.encode()) > MAX_ID_BYTES:
        raise _bad(f'"id" is longer than {MAX_ID_BYTES} bytes', "send a shorter id")
    return field.token


def _request(fields: Mapping[str, _Field], request_id: str | None, escapes: bool) -> Request:
    if "v" in fields and fields["v"].token != str(VERSION):
        raise BadRequest('"v" must be 1', "this service speaks version 1; leave the field out")
    op = fields["op"].value if "op" in fields else "classify"
    if op not in OPS:
        raise BadRequest('unknown "op"', "it must be one of " + ", ".join(OPS))
    deadline_ms = _deadline_ms(fields.get("deadline_ms"))
    texts, single = _texts(fields, op)
    if escapes:
        texts = [_LONE_SURROGATE.sub("\ufffd", text) for text in texts]
    return Request(op, request_id, texts, single, deadline_ms)


def _deadline_ms(field: _Field | None) -> int | None:
    if field is None:
        return None
    if (
        field.value is _NUMBER
        and _INTEGER.fullmatch(field.token)
        and len(field.token) <= len(str(MAX_DEADLINE_MS))
    ):
        deadline_ms = int(field.token)
        if 1 <= deadline_ms <= MAX_DEADLINE_MS:
            return deadline_ms
    raise BadRequest(
        f'"deadline_ms" must be an integer from 1 to {MAX_DEADLINE_MS}', "leave it out for no deadline"
    )


def _texts(fields: Mapping[str, _Field], op: str) -> tuple[list[str], bool]:
    """The reviews, and whether they came as "text". Both fields are judged, whatever the op makes of them."""
    text = fields["text"].value if "text" in fields else None
    texts = fields["texts"].value if "texts" in fields else []
    if "text" in fields and not isinstance(text, str):
        raise BadRequest('"text" must be a string', 'for several reviews send "texts"')
    if not isinstance(texts, list):
        raise BadRequest('"texts" must be an array of strings', 'for one review send "text"')
    for index, item in enumerate(texts):
        if not isinstance(item, str):
            raise BadRequest(f'"texts" must be an array of strings; element {index} is none', "send strings")
    if op != "classify":
        return [], False
    if "text" in fields and "texts" in fields:
        raise BadRequest('both "text" and "texts" are given', "send one of them")
    if isinstance(text, str):
        return [text], True
    if "texts" not in fields:
        raise BadRequest(
            'neither "text" nor "texts" is given', 'send {"text":"..."} or {"texts":["...","..."]}'
        )
    return texts, False


def _bad(message: str, hint: str) -> RequestError:
    return RequestError(BadRequest(message, hint))


def _syntax(text: str, at: int, message: str) -> RequestError:
    offset = len(text[:at].encode())
    return _bad(f"the request is not valid JSON: {message} at byte {offset}", "send one JSON object in UTF-8")


def encode_results(request_id: str | None, predictions: Iterable[Prediction], *, single: bool) -> bytes:
    """The reply to a classify request; `single` answers "text", otherwise "texts"."""
    objects = [_result(prediction) for prediction in predictions]
    body = objects[0] if single else f'"results":[{",".join(f"{{{fields}}}" for fields in objects)}]'
    return _wrap(request_id, body)


def encode_error(request_id: str | None, error: ReplyError) -> bytes:
    """The reply that carries `error`."""
    fields: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if error.retry_after_ms is not None:
        fields["retry_after_ms"] = error.retry_after_ms
    return _wrap(request_id, f'"error":{_compact(fields)}')


def encode_payload(request_id: str | None, op: str, payload: Mapping[str, Any]) -> bytes:
    """The reply to a stats, health or info request."""
    return _wrap(request_id, f'"{op}":{_compact(payload)}')


def _result(prediction: Prediction) -> str:
    fields = f'"label":{_compact(prediction.label)},"score":{prediction.score:.4f}'
    if prediction.uncertain:
        fields += ',"uncertain":true'
    if prediction.truncated:
        fields += ',"truncated":true'
    return fields


def _wrap(request_id: str | None, fields: str) -> bytes:
    prefix = "" if request_id is None else f'"id":{request_id},'
    return f"{{{prefix}{fields}}}".encode()


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
