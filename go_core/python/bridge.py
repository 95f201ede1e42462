"""What MetaCall loads: the functions of the entry module, to be found by name."""

from edged.embedded.entry import load, memory, process_batch, unload

__all__ = ["load", "memory", "process_batch", "unload"]
