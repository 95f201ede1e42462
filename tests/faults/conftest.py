"""The load that the faults are done under, and the verdict over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import pytest

from tests.faults.load import ECHO, Account, Load

if TYPE_CHECKING:
    from tests.daemon import Daemon

ACCOUNTS = pytest.StashKey["dict[str, Account]"]()


@pytest.fixture
def echo(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon, not yet started, that answers each text with itself."""
    daemon = make_daemon()
    daemon.handler(ECHO)
    return daemon


@pytest.fixture
def under_load(request: pytest.FixtureRequest) -> Callable[..., Load]:
    """Make the test's `Load`, whose account goes into the verdict."""
    accounts = request.config.stash.setdefault(ACCOUNTS, {})

    def make(*args: Any, **options: Any) -> Load:
        load = Load(*args, **options)
        accounts[request.node.name.removeprefix("test_")] = load.account
        return load

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what became of the reviews, fault by fault."""
    accounts = config.stash.get(ACCOUNTS, {})
    if not accounts:
        return
    columns = "{:<60}{:>8}{:>12}{:>12}{:>10}{:>6}{:>8}"
    line = terminalreporter.write_line
    terminalreporter.section("reviews asked under faults")
    line(columns.format("fault", "times", "asked", "answered", "refused", "lost", "wrong"))
    total = sum(accounts.values(), Account())
    for name, account in [*accounts.items(), ("all", total)]:
        figures = (account.faults, account.asked, account.answered, account.refused, account.lost)
        line(columns.format(name, *(f"{figure:,}" for figure in figures), len(account.wrong)))
    if total.lost or total.wrong:
        line(f"verdict: {total.lost:,} reviews got no final result, {len(total.wrong):,} a wrong one")
    else:
        line(f"verdict: each of {total.asked:,} reviews got exactly one final result")
