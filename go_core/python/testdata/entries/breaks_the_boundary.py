"""An entry module that breaks the contract: what it does is the first byte of what it is given."""


def load(options):
    return b"\0{}"


def unload(options):
    return b"\0{}"


def memory(stats):
    return b"\0{}"


def process_batch(record):
    what = record[:1]
    if what == b"r":
        raise ValueError("raised on purpose")
    if what == b"x":
        raise SystemExit(3)
    if what == b"s":
        return "a str"
    if what == b"n":
        return None
    if what == b"i":
        return 2**70
    if what == b"e":
        return b""
    return b"\0fine"
