"""What MetaCall loads: the functions of the entry module, to be found by name."""

import sys

from edged.embedded import imports
from edged.embedded.entry import load, memory, process_batch, unload

sys.executable = imports.executable  # MetaCall puts the daemon's own there

__all__ = ["load", "memory", "process_batch", "unload"]
