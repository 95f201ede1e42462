"""Reviews in over ZeroMQ, sentiment out: the real daemon, libzmq and model."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from edged import Client
from edged.errors import InternalError, ModelError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.daemon import Daemon

GOOD = "A wonderful wine: rich, elegant and beautifully balanced, with a long finish."
BAD = "Thin, sour and unpleasant. A terrible waste of money."
VECTORS = json.loads((Path(__file__).parent / "vectors" / "protocol.json").read_text())


def ask(plain: zmq.Socket[bytes], request: Any) -> Any:
    """Send one request and return the reply."""
    plain.send(request if isinstance(request, bytes) else json.dumps(request).encode())
    return json.loads(plain.recv())


def test_a_review_comes_back_with_label_and_score(daemon: Daemon) -> None:
    with Client(daemon.endpoint, timeout=60) as client:
        good, bad = client.classify([GOOD, BAD])
        assert (good.label, bad.label) == ("positive", "negative")
        assert client.classify(GOOD) == good
        assert 0.5 <= bad.score <= 1
        assert client.info()["host"] == daemon.settings["embed"]


def test_req_and_dealer_and_envelopes_of_proxies(daemon: Daemon) -> None:
    with daemon.socket(zmq.REQ) as req:
        assert ask(req, {"text": GOOD})["label"] == "positive"
    with daemon.socket() as dealer:
        reply = ask(dealer, {"id": "42", "texts": [GOOD, BAD]})
        assert [reply["id"], *(result["label"] for result in reply["results"])] == [
            "42",
            "positive",
            "negative",
        ]
        dealer.send_multipart([b"proxy", b"", b'{"text":"x"}'])
        assert dealer.recv_multipart()[:2] == [b"proxy", b""]


def test_scores_do_not_depend_on_the_batch(daemon: Daemon) -> None:
    texts = [f"{GOOD if i % 3 else BAD} Number {i}." for i in range(200)]
    with Client(daemon.endpoint, timeout=60) as client:
        together = client.classify(texts)
        for text, prediction in list(zip(texts, together))[::17]:
            assert client.classify(text) == prediction


@pytest.mark.parametrize("vector", [v for v in VECTORS["parse"] if "error" in v], ids=lambda v: v["name"])
def test_every_malformed_request_is_refused_with_a_hint(
    vector: dict[str, Any], shared_daemon: Daemon
) -> None:
    body = bytes.fromhex(vector["body_hex"]) if "body_hex" in vector else vector["body"].encode()
    with shared_daemon.socket() as dealer:
        error = ask(dealer, body)["error"]
        assert error["code"] == vector["error"]["code"]
        assert error["message"]
        assert error["hint"]


def test_binary_rubbish_and_too_many_frames(daemon: Daemon) -> None:
    noise = random.Random(7)
    with daemon.socket() as dealer:
        for size in (1, 2, 100, 5000):
            assert ask(dealer, noise.randbytes(size))["error"]["code"] == "bad_request"
        dealer.send_multipart([b"x"] * 50)
        *envelope, body = dealer.recv_multipart()
        assert envelope == [b"x"] * 7
        assert "8 frames" in json.loads(body)["error"]["message"]
        assert ask(dealer, {"text": GOOD})["label"] == "positive"


def test_too_much_is_refused_and_costs_nobody_else(daemon: Daemon) -> None:
    with Client(daemon.endpoint, timeout=60) as client, daemon.socket() as giant:
        with pytest.raises(TooLarge, match="10000 reviews") as refused:
            client.classify(["short"] * 10_000)
        assert "max_reviews" in str(refused.value.hint)
        with pytest.raises(TooLarge, match="max_review_bytes"):
            client.classify("x" * 70_000)
        giant.send(b'{"text":"' + b"x" * 10_000_000 + b'"}')  # libzmq closes the connection of such a peer
        assert client.classify(GOOD).label == "positive"


def test_odd_texts_are_answered(daemon: Daemon) -> None:
    texts = [
        "",
        " ",
        "\0",
        "🍷🍷🍷",
        "e\u0301\u0301" * 50,
        "שלום עולם",
        "1234567890" * 20,
        "<br/>&amp;",
        "\ud800".encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"),
        "word " * 5000,
    ]
    with Client(daemon.endpoint, timeout=60) as client:
        for prediction in client.classify(texts):
            assert prediction.label in ("positive", "negative")
        assert client.classify("").uncertain


def test_ids_are_not_remembered(daemon: Daemon) -> None:
    with daemon.socket() as dealer:
        for _ in range(3):
            dealer.send_json({"id": 7, "text": GOOD})
        assert [json.loads(dealer.recv())["id"] for _ in range(3)] == [7, 7, 7]


def test_a_client_that_vanishes_costs_nobody_else(daemon: Daemon) -> None:
    for _ in range(20):
        with daemon.socket() as dealer:
            for i in range(50):
                dealer.send_json({"id": i, "texts": [GOOD] * 20})
    with Client(daemon.endpoint, timeout=60) as client:
        assert client.classify(GOOD).label == "positive"
        assert client.stats()["counters"]["received"] > 0


def test_64_clients_each_get_their_own_answers(daemon: Daemon) -> None:
    wrong: list[str] = []

    def run(number: int) -> None:
        chosen = random.Random(number)
        with daemon.socket() as dealer:
            expected = {}
            for i in range(40):
                labels = chosen.choices(["positive", "negative"], k=chosen.randint(1, 5))
                identity = f"{number}-{i}"
                expected[identity] = labels
                dealer.send_json(
                    {"id": identity, "texts": [GOOD if x == "positive" else BAD for x in labels]}
                )
            for _ in range(40):
                reply = json.loads(dealer.recv())
                if expected.pop(reply["id"]) != [result["label"] for result in reply["results"]]:
                    wrong.append(reply["id"])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_sigterm_drains_and_exits_0(daemon: Daemon) -> None:
    with Client(daemon.endpoint, timeout=60) as client:
        client.classify(GOOD)
    assert daemon.stop() == 0
    assert '"event":"stopped","exit":0' in daemon.log
    assert not Path(daemon.endpoint.removeprefix("ipc://")).exists()


def test_a_handler_that_raises_fails_one_request_alone(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    daemon.handler(
        "def process_batch(texts):\n"
        "    if 'boom' in texts: raise ValueError('no wine here')\n"
        "    return [('good', 0.75)] * len(texts)\n"
    )
    with daemon.start(), Client(daemon.endpoint, timeout=60) as client:
        with pytest.raises(ModelError, match="ValueError: no wine here"):
            client.classify("boom")
        assert client.classify("fine").label == "good"
        daemon.says("Traceback")


@pytest.mark.parametrize(
    "result",
    ["None", "[]", "[('a', 'b')] * len(texts)", "[('a', 2.0)] * len(texts)", "[(1, 0.5)] * len(texts)", "7"],
)
def test_a_handler_that_returns_rubbish_is_refused(make_daemon: Callable[..., Daemon], result: str) -> None:
    daemon = make_daemon()
    daemon.handler(
        f"def process_batch(texts):\n    return [('ok', 0.5)] if 'wine' in texts[0] else {result}\n"
    )
    with daemon.start(), Client(daemon.endpoint, timeout=60, retries=0) as client:
        with pytest.raises((ModelError, InternalError)):
            client.classify("rubbish please")
        assert client.classify("wine").label == "ok"
