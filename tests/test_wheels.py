"""The wheels that carry the daemon, in environments that have nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from cross.architectures import ARCHITECTURES, ROOT
from cross.gate import inspect
from cross.tree import host
from edged import Client, __version__

if TYPE_CHECKING:
    from pathlib import Path

HOST = host()
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake: make wheels installs it"),
]
