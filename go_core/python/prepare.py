"""Run once in the fresh interpreter, before MetaCall or anything heavy is imported.

In: `options`, JSON bytes {"path": [...], "module": ...}. Out: `result`, a status byte and JSON.
"""


def prepare(options):
    """Set sys.path, slim the interpreter down, import the module that is called."""
    import importlib
    import json
    import sys

    try:
        wanted = json.loads(options)
        sys.path[:0] = wanted["path"]
        sys.stdout.reconfigure(line_buffering=True)  # a handler's print reaches the log at once
        from edged.embedded import imports

        imports.slim()
        if wanted["host"] == "metacall":
            imports.asyncio_when_needed()
        module = importlib.import_module(wanted["module"])
        for function in ("load", "process_batch", "unload", "memory"):
            getattr(module, function)
        return b"\0" + json.dumps({"executable": sys.executable, "prefix": sys.prefix}).encode()
    except BaseException as error:
        import traceback

        report = {
            "type": type(error).__name__,
            "message": str(error),
            "name": getattr(error, "name", None),
            "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
            "executable": sys.executable,
            "path": sys.path,
        }
        return b"\1" + json.dumps(report).encode()


result = prepare(options)  # noqa: F821
