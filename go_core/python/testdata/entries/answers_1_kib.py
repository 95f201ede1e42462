"""An entry module that answers anything with 1 KiB, to measure what a call costs beside its work."""

_REPLY = bytes(1024)


def load(options):
    return b"\0{}"


def unload(options):
    return b"\0{}"


def memory(stats):
    return b"\0{}"


def process_batch(record):
    return _REPLY
