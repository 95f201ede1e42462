"""Which host runs, and what is said where the wanted one cannot be had."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Callable

import pytest

from edged import Client
from tests.daemon import NO_METACALL, Daemon, has_metacall

if TYPE_CHECKING:
    from collections.abc import Iterator

UNAVAILABLE = 69


@pytest.fixture
def some_daemon() -> Iterator[Callable[..., Daemon]]:
    """Make daemons of one host, whichever the test is about."""
    made: list[Daemon] = []

    def make(**settings: object) -> Daemon:
        made.append(Daemon(**settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


def test_info_and_the_log_say_which_host_runs(make_daemon: Callable[..., Daemon], host: str) -> None:
    daemon = make_daemon().start()
    with Client(daemon.endpoint, timeout=60) as client:
        info = client.info()
    assert info["host"] == host
    assert info["interpreter"] == sys.executable
    assert ("metacall" in info) == (host == "metacall")
    assert f'"host":"{host}"' in daemon.log


def test_auto_takes_metacall_where_it_is(some_daemon: Callable[..., Daemon]) -> None:
    with Client(some_daemon(host="auto").start().endpoint) as client:
        assert client.info()["host"] == ("metacall" if has_metacall() else "cpython")


def test_a_metacall_that_is_not_there_is_told(some_daemon: Callable[..., Daemon]) -> None:
    daemon = some_daemon(host="metacall", metacall_lib="/no/libmetacall.so").start(ready=False)
    assert daemon.wait() == UNAVAILABLE
    assert "/no/libmetacall.so" in daemon.log
    assert "github.com/metacall/install" in daemon.log


def test_a_metacall_without_its_python_loader_is_told(some_daemon: Callable[..., Daemon]) -> None:
    if not has_metacall():
        pytest.skip(NO_METACALL)
    daemon = some_daemon(host="metacall", env={"LOADER_LIBRARY_PATH": "/tmp"}).start(ready=False)
    assert daemon.wait() == UNAVAILABLE
    assert "MetaCall does not start" in daemon.log
    assert "LOADER_LIBRARY_PATH" in daemon.log


def test_an_unknown_host_is_a_mistake_of_configuration(some_daemon: Callable[..., Daemon]) -> None:
    daemon = some_daemon(host="pypy").start(ready=False)
    assert daemon.wait() == 78
    assert "embed" in daemon.log


def test_a_handler_may_run_coroutines(make_daemon: Callable[..., Daemon]) -> None:
    """On either host: MetaCall's own use of asyncio, which waits until it is needed, is not in the way."""
    daemon = make_daemon()
    daemon.handler(
        "import asyncio\n"
        "async def score(text):\n"
        "    await asyncio.sleep(0.01)\n"
        "    return 'positive', len(text) / 100\n"
        "async def scores(texts):\n"
        "    return await asyncio.gather(*map(score, texts))\n"
        "def process_batch(texts):\n"
        "    return list(asyncio.run(scores(texts)))\n"
    )
    daemon.start()
    with Client(daemon.endpoint, timeout=60) as client:
        assert [result.score for result in client.classify(["four", "sixsix"])] == [0.04, 0.06]
