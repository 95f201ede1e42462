"""What MetaCall loads and calls: the entry module's functions as plain functions that it can look at."""

from edged.embedded import entry


def load(options):
    return entry.load(options)


def process_batch(record):
    return entry.process_batch(record)


def unload(options):
    return entry.unload(options)


def memory(stats):
    return entry.memory(stats)
