"""Fixtures that start the real daemon, on every host that is installed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Callable

import hypothesis
import pytest

from tests.daemon import NO_METACALL, Daemon, has_metacall

# A busy machine is no fault of the code: no example has a deadline. The examples are always the same ones,
# but where so and so many are asked for, as `make fuzz` does.
hypothesis.settings.register_profile(
    "edged",
    deadline=None,
    derandomize="EDGED_EXAMPLES" not in os.environ,
    max_examples=int(os.environ.get("EDGED_EXAMPLES", "100")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("edged")

# A shell ignores it for what it runs in the background, and all that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["cpython", "metacall"])
def host(request: pytest.FixtureRequest) -> str:
    """Each host in turn; MetaCall only where it is installed."""
    name = str(request.param)
    if name == "metacall" and not has_metacall():
        pytest.skip(NO_METACALL)
    return name


@pytest.fixture
def make_daemon(host: str) -> Iterator[Callable[..., Daemon]]:
    """Make daemons that are not started yet; whatever still runs at the end is killed."""
    made: list[Daemon] = []

    def make(**settings: Any) -> Daemon:
        daemon = Daemon(host=host, **settings)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.close()


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that serves the shipped model with the default settings."""
    return make_daemon().start()


@pytest.fixture(scope="session")
def shared_daemon() -> Iterator[Daemon]:
    """One daemon for many small tests that leave it as it was."""
    daemon = Daemon()
    yield daemon.start()
    daemon.close()
