"""An entry module without memory()."""


def load(options):
    return b"\0{}"


def unload(options):
    return b"\0{}"


def process_batch(record):
    return b"\0"
