"""The synchronous client against services that misbehave in ways the daemon does not."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

import edged
from edged import Client, Prediction, errors
from edged.protocol import encode_error, encode_payload, encode_results
from tests.scripted import positive, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edged.protocol import Request


@pytest.fixture
def endpoint() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="edged") as folder:
        yield f"ipc://{folder}/s"


def answering(*errors_first: errors.ReplyError) -> Any:
    """A script: these errors first, then results."""
    waiting = list(errors_first)

    def script(request: Request) -> bytes:
        return encode_error(request.id, waiting.pop(0)) if waiting else positive(request)

    return script


def test_one_text_gives_a_prediction_and_a_list_gives_a_list(endpoint: str) -> None:
    with scripted(endpoint), Client(endpoint, timeout=60) as client:
        assert client.classify("four") == Prediction("positive", 0.0004)
        assert client.classify(["a", "bb"]) == [
            Prediction("positive", 0.0001),
            Prediction("positive", 0.0002),
        ]
        assert client.classify([]) == []


def test_predictions_are_small_and_frozen() -> None:
    prediction = Prediction("positive", 0.9)
    assert (prediction.uncertain, prediction.truncated) == (False, False)
    with pytest.raises(AttributeError):
        prediction.label = "negative"  # type: ignore[misc]
    assert sys.getsizeof(prediction) <= 96


def test_the_endpoint_comes_from_the_environment(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGED_ENDPOINT", endpoint)
    with scripted(endpoint), Client() as client:
        assert client.endpoint == endpoint
        assert client.classify("a").label == "positive"
    monkeypatch.delenv("EDGED_ENDPOINT")
    with Client() as client:
        assert client.endpoint == "ipc:///run/edged/edged.sock"


@pytest.mark.parametrize("code", sorted(errors.REPLY_ERRORS))
def test_each_wire_error_is_raised_as_its_class(endpoint: str, code: str) -> None:
    sent = errors.reply_error(code, "it is so", "do this", 5)
    with scripted(endpoint, answering(sent)), Client(endpoint, timeout=60, retries=0) as client:
        with pytest.raises(errors.REPLY_ERRORS[code], match=r"^it is so\nhint: do this$") as caught:
            client.classify("a")
        assert (caught.value.code, caught.value.retry_after_ms) == (code, 5)
        assert client.classify("the next one works").label == "positive"


@pytest.mark.parametrize("kind", [errors.Busy, errors.Draining, errors.Unavailable])
def test_a_refusal_is_retried_with_the_same_id_and_not_before_its_time(
    endpoint: str, kind: type[errors.ReplyError]
) -> None:
    refusals = [kind("not now", retry_after_ms=30) for _ in range(3)]
    with scripted(endpoint, answering(*refusals)) as service, Client(endpoint, timeout=60) as client:
        start = time.monotonic()
        assert client.classify("a").label == "positive"
        # 30 ms, then doubled at each refusal
        assert time.monotonic() - start >= 0.030 + 0.060 + 0.120
        assert {request.id for request in service.requests} == {"1"}
        assert len(service.requests) >= 4


def test_a_refusal_that_outlasts_the_timeout_is_what_is_raised(endpoint: str) -> None:
    script = answering(*(errors.Busy("full", retry_after_ms=50) for _ in range(100)))
    with scripted(endpoint, script), Client(endpoint, timeout=6) as client:
        with pytest.raises(errors.Busy, match="full"):
            client.classify("a")


def test_other_errors_are_not_retried(endpoint: str) -> None:
    script = answering(errors.ModelError("broke"))
    with scripted(endpoint, script) as service, Client(endpoint, timeout=60) as client:
        with pytest.raises(errors.ModelError):
            client.classify("a")
        assert len(service.requests) == 1


def test_silence_is_answered_by_resending_with_the_same_id(endpoint: str) -> None:
    count = itertools.count()
    with (
        scripted(endpoint, lambda request: positive(request) if next(count) >= 2 else None) as service,
        Client(endpoint, timeout=60, retries=119) as client,
    ):
        assert client.classify("a").label == "positive"
        assert len(service.requests) >= 3
        assert {request.id for request in service.requests} == {"1"}


def test_silence_for_good_ends_in_no_answer(endpoint: str) -> None:
    def script(request: Request) -> bytes | None:
        return None if request.texts == ["silence"] else positive(request)

    with scripted(endpoint, script) as service, Client(endpoint, timeout=4, retries=3) as client:
        client.classify("connects")
        with pytest.raises(errors.NoAnswer, match=r"took the request \d times.*\nhint: .*log") as caught:
            client.classify("silence")
        assert isinstance(caught.value, TimeoutError)
        assert 1 <= sum(request.texts == ["silence"] for request in service.requests) <= 4


def test_a_late_reply_to_a_resolved_id_is_dropped(endpoint: str) -> None:
    def script(request: Request) -> list[bytes]:
        wrong = encode_results(request.id, [Prediction("late", 1.0)], single=True)
        return [positive(request), wrong, wrong]

    with scripted(endpoint, script), Client(endpoint, timeout=60) as client:
        assert [client.classify(f"text {n}").label for n in range(20)] == ["positive"] * 20


def test_replies_may_come_in_any_order(endpoint: str) -> None:
    held: list[bytes] = []

    def script(request: Request) -> list[bytes]:
        held.append(positive(request))
        if len(held) < 4:
            return []
        ready = held[::-1]
        held.clear()
        return ready

    texts = ["x" * n for n in range(1, 33)]
    with scripted(endpoint, script), Client(endpoint, timeout=60) as client:
        got = list(client.classify_many(texts, batch=1, window=4))
    assert [prediction.score for prediction in got] == [len(text) / 10_000 for text in texts]


@pytest.mark.parametrize("body", [b"\xff", b"[]", b'{"id":1}', b'{"id":1,"results":[]}'])
def test_rubbish_in_reply_is_named(endpoint: str, body: bytes) -> None:
    with scripted(endpoint, lambda _: body), Client(endpoint, timeout=60) as client:
        with pytest.raises(errors.ReplyNotUnderstood, match=r"\nhint: "):
            client.classify("a")


def test_an_error_without_id_belongs_to_the_only_request(endpoint: str) -> None:
    error = encode_error(None, errors.BadRequest("unreadable"))
    with scripted(endpoint, lambda _: error), Client(endpoint, timeout=60) as client:
        with pytest.raises(errors.BadRequest, match="unreadable"):
            client.classify("a")


def test_stats_info_and_health(endpoint: str) -> None:
    def script(request: Request) -> bytes:
        return encode_payload(request.id, request.op, {"op": request.op})

    with scripted(endpoint, script), Client(endpoint, timeout=60) as client:
        assert (client.stats(), client.info(), client.health()) == (
            {"op": "stats"},
            {"op": "info"},
            {"op": "health"},
        )


def test_a_service_that_starts_late_is_found(endpoint: str) -> None:
    with Client(endpoint, timeout=60) as client:
        services: list[Any] = []
        context = scripted(endpoint)
        timer = threading.Timer(0.3, lambda: services.append(context.__enter__()))
        timer.start()
        assert client.classify("a").label == "positive"
        timer.join()
        context.__exit__(None, None, None)


def test_a_restart_between_and_within_calls_goes_unnoticed(endpoint: str) -> None:
    with Client(endpoint, timeout=80, retries=1) as client:
        with scripted(endpoint):
            assert client.classify("a").label == "positive"
        with scripted(endpoint):
            assert client.classify("b").label == "positive"
        result: list[Prediction] = []
        with scripted(endpoint, lambda _: None) as dying:
            caller = threading.Thread(target=lambda: result.append(client.classify("c")))
            caller.start()
            while not dying.requests:
                time.sleep(0.01)
        with scripted(endpoint) as next_one:
            # Long before the 40 s after which silence alone would have sent it again.
            caller.join(35)
            assert [request.id for request in next_one.requests] == [dying.requests[0].id]
        assert result == [Prediction("positive", 0.0001)]


class Cutting:
    """A poller that, once armed, has the service die between "there is a reply" and its reading."""

    def __init__(self, real: zmq.Poller, die: Callable[[], None]) -> None:
        self._real = real
        self._die = die
        self.armed = False

    def poll(self, timeout: int) -> list[tuple[Any, int]]:
        ready = self._real.poll(timeout)
        if self.armed and any(socket.type == zmq.DEALER and event & zmq.POLLIN for socket, event in ready):
            self.armed = False
            self._die()
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


# libzmq looks for lost connections at each 100th recv; the reply that was announced before is dropped then.
@pytest.mark.parametrize("replies", [98, 99, 100])
def test_a_reply_that_is_lost_after_it_was_announced(endpoint: str, replies: int) -> None:
    with ExitStack() as services, Client(endpoint, timeout=60) as client:
        services.enter_context(scripted(endpoint))

        def restart() -> None:
            services.close()
            time.sleep(0.2)
            services.enter_context(scripted(endpoint))

        for _ in range(replies):
            client.classify("a")
        client._poller = cutting = Cutting(client._poller, restart)  # type: ignore[assignment]
        cutting.armed = True
        assert client.classify("a").label == "positive"


def test_a_request_the_service_cuts_off_is_too_large(endpoint: str) -> None:
    with scripted(endpoint, maxmsgsize=100_000), Client(endpoint, timeout=60) as client:
        with pytest.raises(errors.TooLarge, match=r"request of 2,000,0\d\d bytes.*\nhint: .*fewer reviews"):
            client.classify("x" * 2_000_000)
        assert client.classify("a").label == "positive"


def refuse_long(request: Request) -> bytes:
    """A script that refuses any request that holds the text "long"."""
    if "long" in request.texts:
        return encode_error(request.id, errors.TooLarge("a review is too long"))
    return positive(request)


def test_bulk_keeps_order_over_batches(endpoint: str) -> None:
    texts = ["x" * (n % 97) for n in range(1000)]
    with scripted(endpoint) as service, Client(endpoint, timeout=60) as client:
        got = [prediction.score for prediction in client.classify_many(iter(texts), batch=7, window=3)]
        assert got == [len(text) / 10_000 for text in texts]
        assert [len(request.texts) for request in service.requests] == [7] * 142 + [6]


def test_bulk_reads_no_further_ahead_than_its_window(endpoint: str) -> None:
    taken = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for _taken in range(1, 1001):
            yield "a"

    with scripted(endpoint), Client(endpoint, timeout=60) as client:
        for given, _ in enumerate(client.classify_many(texts(), batch=5, window=4)):
            assert taken - given <= 5 * 4
    assert given == 999


def test_bulk_cuts_batches_by_bytes_too(endpoint: str) -> None:
    with scripted(endpoint) as service, Client(endpoint, timeout=60) as client:
        texts = ["x" * 20_000] * 7 + ["é" * 10_000] * 4 + ["x" * 100_000] * 2 + ["short"]
        assert len(list(client.classify_many(texts, batch=64))) == len(texts)
        assert [len(request.texts) for request in service.requests] == [3, 3, 3, 2, 1, 1, 1]


def test_bulk_ends_when_it_is_only_refused(endpoint: str) -> None:
    def refuse(request: Request) -> bytes:
        return encode_error(request.id, errors.Busy("full", retry_after_ms=5))

    with scripted(endpoint, refuse), Client(endpoint, timeout=6) as client:
        with pytest.raises(errors.Busy):
            list(client.classify_many(["a"] * 20, batch=1, window=8))


def test_bulk_of_nothing_sends_nothing(endpoint: str) -> None:
    with scripted(endpoint) as service, Client(endpoint, timeout=60) as client:
        assert list(client.classify_many([])) == []
        assert service.requests == []


def test_one_bad_review_spoils_only_itself(endpoint: str) -> None:
    texts = ["a", "bb", "long", "dddd", "long"] * 5
    with scripted(endpoint, refuse_long), Client(endpoint, timeout=60) as client:
        got = list(client.classify_many(texts, batch=8, window=2, return_errors=True))
        for text, outcome in zip(texts, got):
            if text == "long":
                assert isinstance(outcome, errors.TooLarge)
            else:
                assert outcome == Prediction("positive", len(text) / 10_000)
        assert len(got) == len(texts)
        with pytest.raises(errors.TooLarge):
            list(client.classify_many(texts, batch=8))


def test_a_bulk_run_left_halfway_leaves_the_client_usable(endpoint: str) -> None:
    with scripted(endpoint), Client(endpoint, timeout=60) as client:
        run = client.classify_many(["a"] * 1000, batch=10, window=4)
        assert next(run).label == "positive"
        assert client.classify("in between").label == "positive"
        run.close()  # type: ignore[attr-defined]
        assert client.classify("after").label == "positive"


def test_bulk_arguments_are_checked_at_once() -> None:
    with Client("ipc:///nowhere") as client:
        with pytest.raises(TypeError, match="call classify"):
            client.classify_many("a text")
        with pytest.raises(ValueError, match="at least 1"):
            client.classify_many(["a"], window=0)


def test_a_closed_client_says_so(endpoint: str) -> None:
    client = Client(endpoint)
    client.close()
    client.close()
    with pytest.raises(errors.ClosedError, match="closed"):
        client.classify("a")


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("nonsense", "nonsense: "),
        ("ipc://" + "x" * 120, r"107 bytes"),
        ("tcp://localhost:no", "tcp://localhost:no: "),
        ("quic://localhost:1", "quic://localhost:1: "),
    ],
)
def test_an_endpoint_that_cannot_be(endpoint: str, message: str) -> None:
    with pytest.raises(errors.EndpointError, match=message):
        Client(endpoint)


def test_nobody_listens_and_the_reason_is_said(endpoint: str) -> None:
    path = Path(endpoint.removeprefix("ipc://"))
    with Client(endpoint, timeout=0.2) as client:
        with pytest.raises(errors.NoAnswer, match=r"nobody listens.*\nhint: there is no socket"):
            client.classify("a")
        path.touch()
        with pytest.raises(errors.NoAnswer, match=r"\nhint: .* is no socket: remove it"):
            client.classify("a")
        path.unlink()
        # What a crashed daemon leaves behind: a socket's file without a process.
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(path))
        left.close()
        with pytest.raises(errors.NoAnswer, match=r"\nhint: is the daemon running"):
            client.classify("a")


def test_a_lost_connection_is_said_to_be_one(endpoint: str) -> None:
    with Client(endpoint, timeout=6) as client:
        with scripted(endpoint):
            client.classify("a")
        with pytest.raises(errors.NoAnswer, match="was lost"):
            client.classify("a")


def test_timeouts_and_retries_make_sense() -> None:
    with pytest.raises(ValueError, match="timeout"):
        Client(timeout=0)
    with pytest.raises(ValueError, match="retries"):
        Client(retries=-1)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, edged; before = set(sys.modules); assert 'zmq' not in before;"
        "edged.Client; loaded = set(sys.modules);"
        "assert 'zmq' in loaded;"
        "print(sorted(name for name in loaded if name.split('.')[0] in "
        "('numpy', 'tflite_runtime', 'ai_edge_litert', 'asyncio', 'psutil', 'systemd')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_door() -> None:
    assert sorted(edged.__all__) == [
        "AsyncClient",
        "Client",
        "EdgedError",
        "Prediction",
        "__version__",
        "errors",
    ]
    for name in edged.__all__:
        assert getattr(edged, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        _ = edged.Klient
    assert set(edged.__all__) <= set(dir(edged))
