"""The load that the faults are done under, and the verdict over all of them."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Callable

import pytest

from tests.faults.load import ECHO, Account, Load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.daemon import Daemon

ACCOUNT = "account of reviews"


@pytest.fixture
def echo(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon, not yet started, that answers each text with itself."""
    daemon = make_daemon()
    daemon.handler(ECHO)
    return daemon


@pytest.fixture
def under_load(request: pytest.FixtureRequest) -> Iterator[Callable[..., Load]]:
    """Make the test's `Load`, whose account goes into the verdict."""
    accounts = []

    def make(*args: Any, **options: Any) -> Load:
        load = Load(*args, **options)
        accounts.append(load.account)
        return load

    yield make
    # With the report, for tests may run in several processes.
    request.node.user_properties += [(ACCOUNT, asdict(account)) for account in accounts]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what became of the reviews, fault by fault."""
    reports = itertools.chain.from_iterable(terminalreporter.stats.values())
    accounts = [
        (report.nodeid.split("::test_")[-1], Account(**value))
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == ACCOUNT
    ]
    if not accounts:
        return
    columns = "{:<60}{:>8}{:>12}{:>12}{:>10}{:>6}{:>8}"
    line = terminalreporter.write_line
    terminalreporter.section("reviews asked under faults")
    line(columns.format("fault", "times", "asked", "answered", "refused", "lost", "wrong"))
    total = sum((account for _, account in accounts), Account())
    for name, account in [*accounts, ("all", total)]:
        figures = (account.faults, account.asked, account.answered, account.refused, account.lost)
        line(columns.format(name, *(f"{figure:,}" for figure in figures), len(account.wrong)))
    if total.lost or total.wrong:
        line(f"verdict: {total.lost:,} reviews got no final result, {len(total.wrong):,} a wrong one")
    else:
        line(f"verdict: each of {total.asked:,} reviews got exactly one final result")
