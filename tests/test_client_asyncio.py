"""The asyncio client: with the real daemon, and with services that misbehave."""

from __future__ import annotations

import asyncio
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from edged import AsyncClient, Client, Prediction, errors
from edged.protocol import encode_error
from tests.scripted import positive, scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from edged.protocol import Request
    from tests.daemon import Daemon


@pytest.fixture
def endpoint() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="edged") as folder:
        yield f"ipc://{folder}/s"


def test_it_gives_what_the_other_client_gives(shared_daemon: Daemon) -> None:
    texts = [f"The {n}th glass was {'great' if n % 2 else 'awful'}." for n in range(300)]

    async def main() -> list[Prediction]:
        async with AsyncClient(shared_daemon.endpoint, timeout=60) as client:
            assert await client.classify(texts[0]) == expected[0]
            assert await client.classify(texts[:5]) == expected[:5]
            assert (await client.info())["labels"] == ["negative", "positive"]
            assert (await client.health())["status"] == "ok"
            assert (await client.stats())["counters"]["received"] > 0
            return [prediction async for prediction in client.classify_many(texts, batch=7, window=3)]

    with Client(shared_daemon.endpoint, timeout=60) as client:
        expected = client.classify(texts)
    assert asyncio.run(main()) == expected


def test_a_thousand_calls_at_once_each_get_their_own_answer(shared_daemon: Daemon) -> None:
    texts = [f"{'good ' * (n % 7)}{'bad ' * (n % 5)}{n}" for n in range(1000)]

    async def main() -> list[Prediction]:
        async with AsyncClient(shared_daemon.endpoint, timeout=100) as client:
            return await asyncio.gather(*map(client.classify, texts))

    with Client(shared_daemon.endpoint, timeout=60) as client:
        assert asyncio.run(main()) == client.classify(texts)


def test_a_restart_of_the_daemon_goes_unnoticed(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon().start()

    async def main() -> None:
        async with AsyncClient(daemon.endpoint, timeout=100) as client:
            assert (await client.classify("great wine")).label == "positive"
            await asyncio.to_thread(daemon.kill)
            calls = [asyncio.create_task(client.classify("great wine")) for _ in range(10)]
            await asyncio.sleep(0.2)
            assert not any(call.done() for call in calls)
            await asyncio.to_thread(daemon.start)
            assert {prediction.label for prediction in await asyncio.gather(*calls)} == {"positive"}

    asyncio.run(main())


def test_bulk_takes_async_iterables_and_reads_no_further_than_its_window(endpoint: str) -> None:
    taken = 0

    async def texts() -> AsyncIterator[str]:
        nonlocal taken
        for taken in range(1, 501):
            await asyncio.sleep(0)
            yield "x" * (taken % 50)

    async def main() -> None:
        given = 0
        async with AsyncClient(endpoint, timeout=60) as client:
            async for prediction in client.classify_many(texts(), batch=5, window=4):
                given += 1
                assert prediction.score == given % 50 / 10_000
                assert taken - given <= 5 * 4
        assert given == 500

    with scripted(endpoint):
        asyncio.run(main())


def test_one_bad_review_spoils_only_itself(endpoint: str) -> None:
    def script(request: Request) -> bytes:
        if "long" in request.texts:
            return encode_error(request.id, errors.TooLarge("a review is too long"))
        return positive(request)

    async def main() -> None:
        async with AsyncClient(endpoint, timeout=60) as client:
            texts = ["a", "long", "b"] * 7
            run = client.classify_many(texts, batch=8, return_errors=True)
            assert [type(outcome) for outcome in [outcome async for outcome in run]] == [
                Prediction,
                errors.TooLarge,
                Prediction,
            ] * 7
            with pytest.raises(errors.TooLarge):
                _ = [prediction async for prediction in client.classify_many(texts)]
            assert (await client.classify("after")).label == "positive"

    with scripted(endpoint, script):
        asyncio.run(main())


def test_a_cancelled_call_leaves_the_others_alone(endpoint: str) -> None:
    held: list[bytes] = []

    def script(request: Request) -> list[bytes]:
        held.append(positive(request))
        return held if len(held) == 2 else []

    async def main() -> None:
        async with AsyncClient(endpoint, timeout=60) as client:
            first = asyncio.create_task(client.classify("first"))
            while not held:
                await asyncio.sleep(0.01)
            first.cancel()
            assert (await client.classify("second")).score == 0.0006
            with pytest.raises(asyncio.CancelledError):
                await first

    with scripted(endpoint, script):
        asyncio.run(main())


def test_refusals_are_retried_and_silence_ends_in_no_answer(endpoint: str) -> None:
    refusals = [errors.Busy("full", retry_after_ms=20), errors.Draining("stopping", retry_after_ms=20)]

    def script(request: Request) -> bytes | None:
        if request.texts == ["silence"]:
            return None
        return encode_error(request.id, refusals.pop()) if refusals else positive(request)

    async def main() -> None:
        # Silence would be answered by resending after four minutes, longer than this test may take.
        async with AsyncClient(endpoint, timeout=1000) as client:
            assert (await client.classify("a")).label == "positive"
        async with AsyncClient(endpoint, timeout=4) as client:
            await client.classify("connects")
            start = time.monotonic()
            with pytest.raises(errors.NoAnswer, match=r"took the request \d times"):
                await client.classify("silence")
            assert time.monotonic() - start >= 4
        async with AsyncClient(endpoint + "x", timeout=0.2) as client:
            with pytest.raises(errors.NoAnswer, match="nobody listens"):
                await client.classify("a")

    with scripted(endpoint, script):
        asyncio.run(main())


def test_rubbish_in_reply_ends_the_calls_in_flight_and_not_the_client(endpoint: str) -> None:
    async def main() -> None:
        async with AsyncClient(endpoint, timeout=60) as client:
            with pytest.raises(errors.ReplyNotUnderstood):
                await client.classify("rubbish")
            assert (await client.classify("a")).label == "positive"

    with scripted(endpoint, lambda request: b"?" if "rubbish" in request.texts else positive(request)):
        asyncio.run(main())


def test_closing_ends_what_is_in_flight(endpoint: str) -> None:
    async def main() -> None:
        client = AsyncClient(endpoint)
        call = asyncio.create_task(client.classify("a"))
        await asyncio.sleep(0.1)
        await client.close()
        await client.close()
        with pytest.raises(errors.ClosedError, match="in flight"):
            await call
        with pytest.raises(errors.ClosedError, match="is closed"):
            await client.classify("a")

    with scripted(endpoint, lambda _: None):
        asyncio.run(main())


def test_closing_in_the_moment_that_a_call_begins(endpoint: str) -> None:
    async def main() -> None:
        client = AsyncClient(endpoint, timeout=60)
        await client.classify("a")
        call = asyncio.create_task(client.classify("b"))
        await asyncio.sleep(0)  # it begins, which wakes the client's own tasks
        await client.close()
        with pytest.raises(errors.ClosedError, match="in flight"):
            await call

    with scripted(endpoint, lambda request: positive(request) if request.texts == ["a"] else None):
        asyncio.run(main())


def test_an_endpoint_that_cannot_be() -> None:
    async def main() -> None:
        async with AsyncClient("nonsense") as client:
            with pytest.raises(errors.EndpointError, match="nonsense"):
                await client.classify("a")

    asyncio.run(main())
