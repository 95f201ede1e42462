"""MetaCall as the host of Python on a board: METACALL_PREFIX_arm64 and the like say where one is."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edged import Prediction
from tests.board.service import SAMPLE, SLOW, memory, shown, wait_for
from tests.scores import compare

if TYPE_CHECKING:
    from tests.board.machine import Machine

pytestmark = pytest.mark.timeout(3 * SLOW)


def packed(prefix: Path) -> bytes:
    """What MetaCall installs below its prefix, without what else may be there."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for path in [*prefix.glob("lib/*.so*"), prefix / "lib/plugins", prefix / "share/metacall"]:
            if path.exists():
                archive.add(path, str(path.relative_to(prefix)))
    return file.getvalue()


@pytest.fixture
def metacall(installed: Machine) -> Machine:
    """The board with MetaCall where its own installer puts it, and the daemon started anew."""
    name = installed.architecture.name
    prefix = os.environ.get(f"METACALL_PREFIX_{name}")
    if not prefix:
        pytest.skip(f"METACALL_PREFIX_{name} names no folder with an installed MetaCall for {name}")
    if not Path(prefix, "lib/libmetacall.so").exists():
        pytest.fail(f"METACALL_PREFIX_{name}: there is no {prefix}/lib/libmetacall.so")
    installed.agent.check("tar -xz -C /usr/local", packed(Path(prefix)), timeout=SLOW)
    installed.agent.check("systemctl restart edged.service", timeout=SLOW)
    wait_for(installed, "systemctl is-active edged.service", "active")
    return installed


def test_metacall_is_taken_and_scores_the_same(
    metacall: Machine, expected: list[Prediction], measured: dict[str, float]
) -> None:
    agent = metacall.agent
    source = "from edged import Client; print(Client(timeout=120).info()['host'])"
    assert agent.check(f'python3 -c "{source}"') == "metacall"
    classify = f"edgectl classify {SAMPLE} --to jsonl --no-text --no-progress --timeout 300"
    rows = [json.loads(line) for line in agent.check(classify, timeout=SLOW).splitlines()]
    got = [Prediction(row["label"], row["score"]) for row in rows]
    measured["largest_difference_metacall"] = round(compare(got, expected), 4)
    measured["pss_metacall_bytes"] = memory(metacall)["pss"]
    agent.check("systemctl stop edged.service", timeout=SLOW)
    assert shown(metacall, "Result") == "success"
    agent.check("systemctl start edged.service", timeout=SLOW)
