"""The page on handlers shows one that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest

from edged import Client

if TYPE_CHECKING:
    from tests.daemon import Daemon

DOCS = Path(__file__).parents[1] / "docs"


def shown(page: str, language: str) -> str:
    """The first block of code on a page."""
    found = re.search(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", ["handlers.md", "metacall.md"])
def test_the_handler_shown_answers(page: str, make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon()
    daemon.handler(shown(page, "python"))
    daemon.start()
    with Client(daemon.endpoint) as client:
        results = client.classify(["STOP IT", "as you like"])
    assert [result.label for result in results] == ["loud", "calm"]


def test_its_options_reach_it(make_daemon: Callable[..., Daemon]) -> None:
    assert "threshold = 0.6" in shown("handlers.md", "toml")
    daemon = make_daemon(handler_options={"threshold": 0.99})
    daemon.handler(shown("handlers.md", "python"))
    daemon.start()
    with Client(daemon.endpoint) as client:
        assert client.classify("STOP it").label == "calm"
        info = client.info()
    assert (info["model"], info["labels"]) == ("loudness", ["calm", "loud"])
