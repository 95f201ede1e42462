"""The end of the package on a board, after all tests that go on with it: an installation takes minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.board.machine import PATIENT
from tests.board.service import SLOW

if TYPE_CHECKING:
    from tests.board.machine import Machine

pytestmark = pytest.mark.timeout(3 * SLOW)


def test_removal_keeps_the_settings_and_purge_leaves_nothing(board: Machine) -> None:
    board.agent.check("apt-get remove --yes edged", timeout=SLOW)
    assert (
        board.agent.run("systemctl is-active edged.service edged.socket edged-tcp.socket").stdout.split()
        == ["inactive"] * 3
    )
    board.agent.check("test -e /etc/edged/server.key_secret")
    board.agent.check("apt-get purge --yes edged", timeout=SLOW)
    left = board.agent.check(
        "find / -xdev -iname '*edged*' -not -path '/root/*' -not -path '/proc/*' -not -path '/var/log/*' "
        "-not -path '/var/cache/*' -not -path '/var/lib/apt/*'"
    )
    # The administrator's own drop-ins are not the package's to remove.
    own = ["/etc/systemd/system/edged-tcp.socket.d", str(Path("/", PATIENT).parent)]
    assert sorted(left.split()) == own
    assert board.agent.run("getent passwd edged").code != 0
    assert board.agent.run("getent group edged").code != 0
