"""What the embedded interpreter loads late is there all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def slim(code: str) -> str:
    """Run code in a fresh interpreter after imports.slim(), and give what it prints."""
    program = f"from edged.embedded import imports\nimports.slim()\n{code}"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_numpy_arrives_without_what_nobody_asked_for() -> None:
    loaded = slim("import numpy, sys\nprint(*sys.modules)").split()
    assert "numpy.linalg.linalg" in loaded
    for late in (
        "numpy.random.mtrand",
        "numpy.ma.core",
        "numpy.fft._pocketfft",
        "numpy.polynomial.polynomial",
        "_pickle",
        "tempfile",
    ):
        assert late not in loaded


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("np.random.default_rng(1).integers(5, 6)", "5"),
        ("np.ma.masked_array([1, 2], [True, False]).sum()", "2"),
        ("np.fft.fft([1.0, 1.0]).real", "[2. 0.]"),
        ("np.polynomial.Polynomial([1, 2])(3)", "7.0"),
        ("np.ctypeslib.as_array((__import__('ctypes').c_int * 2)(4, 5))", "[4 5]"),
        ("__import__('pickle').loads(__import__('pickle').dumps(np.arange(3)))", "[0 1 2]"),
        ("__import__('ast').literal_eval('[1]')", "[1]"),
        ("__import__('ipaddress').ip_address('::1')", "::1"),
        ("__import__('platform').system()", "Linux"),
        ("__import__('locale').localeconv()['decimal_point']", "."),
        ("__import__('ntpath').join('a', 'b')", "a\\b"),
        ("__import__('linecache').getline(__import__('os').__file__, 1)[:1]", "r"),
        ("'seed' in dir(np.random)", "True"),
        ("np.random.__name__, np.random.__file__.endswith('__init__.py')", "numpy.random True"),
    ],
)
def test_it_works_when_it_is_asked_for(expression: str, value: str) -> None:
    assert slim(f"import numpy as np\nprint({expression})") == value


def test_asyncio_does_not_bring_openssl() -> None:
    assert slim("import asyncio, sys\nprint('_ssl' in sys.modules)") == "False"


def test_openssl_comes_with_the_first_use() -> None:
    code = """
import asyncio, ssl
print(ssl.create_default_context().check_hostname, asyncio.sslproto.SSLProtocol)
"""
    assert slim(code) == "True <class 'asyncio.sslproto.SSLProtocol'>"


def test_a_second_import_wakes_nothing() -> None:
    code = "import ssl\nimport ssl as again, sys\nprint(ssl is again, '_ssl' in sys.modules)"
    assert slim(code) == "True False"


def test_threads_that_ask_at_once_all_get_it() -> None:
    code = """
import numpy as np, threading
from concurrent.futures import ThreadPoolExecutor
barrier = threading.Barrier(8)
def ask(i):
    barrier.wait()
    return int(np.random.default_rng(i).integers(0, 1)) + int(np.ma.sum([1]))
with ThreadPoolExecutor(8) as pool:
    print(*pool.map(ask, range(8)))
"""
    assert slim(code) == "1 1 1 1 1 1 1 1"


def test_a_module_that_fails_to_run_may_be_asked_again() -> None:
    code = """
import sys
import ssl
sys.modules["_ssl"] = None
try:
    ssl.SSLContext
except ImportError as error:
    print("refused")
del sys.modules["_ssl"]
print(ssl.SSLContext.__name__)
"""
    assert slim(code) == "refused\nSSLContext"


def test_docstrings_go_and_everything_else_of_a_function_stays() -> None:
    code = """
import numpy as np
from numpy.lib import twodim_base
print(repr(twodim_base.tri.__doc__))
print(np.eye(1), np.pad([1], 1), np.einsum("ii", np.eye(2)), [s for s in ("a", "b") if s != "a"])
assert np.percentile([1, 2, 3], 50) == 2
"""
    assert slim(code).splitlines() == ["''", "[[1.]] [0 1 0] 2.0 ['b']"]


def test_only_docstrings_are_dropped() -> None:
    from edged.embedded.imports import _without_docstrings

    source = '''
def documented(a="kept"):
    """Gone."""
    return a, "kept too", [c for c in "xy" if c != "x"], (lambda: "lambda")(), list(g for g in "z")
class Some:
    """Stays."""
    def method(self):
        "gone"
        return "kept"
def bare(): return "kept"
'''
    names: dict[str, object] = {}
    exec(_without_docstrings(compile(source, "source", "exec")), names)
    documented, some, bare = names["documented"], names["Some"], names["bare"]
    assert callable(documented)
    assert callable(some)
    assert callable(bare)
    assert documented() == ("kept", "kept too", ["y"], "lambda", ["z"])
    assert not documented.__doc__
    assert some.__doc__ == "Stays."
    assert some().method() == bare() == "kept"
    assert not some().method.__doc__


def core_first(code: str) -> str:
    """What code prints in an interpreter that has loaded the built-in model and scored reviews with it."""
    return slim(
        f"""
import json, struct, sys
from edged.embedded import entry
def load(**options):
    reply = entry.load(json.dumps(options).encode())
    assert reply[0] == 0, reply
    return json.loads(reply[1:])["handle"]
def score(handle, *reviews):
    wide = [i for review in reviews for i in review]
    ends = [0]
    for review in reviews:
        ends.append(ends[-1] + len(review))
    n = len(reviews)
    record = struct.pack(f"<BBHI{{2 * n + 2 + 2 * len(wide)}}I", 1, 1, handle, n, *ends, *ends, *wide, *wide)
    reply = entry.process_batch(record)
    assert reply[0] == 0, reply
    return struct.unpack_from(f"<{{n}}f", reply, 8)
def everything():
    found = []
    for cascade in ("off", "auto", "full"):
        handle = load(model="", cascade=cascade)
        for reviews in (([1, 2],), ([],), ([1, 2], [], [3]), ([], []), ([5] * 5000, [6] * 700)):
            found += score(handle, *reviews)
        for n in range(1, 2000, 97):
            found += score(handle, [7] * n)
    return found
{code}
"""
    )


def test_the_model_needs_numpy_s_core_alone() -> None:
    """Whatever sizes and cascades, and the account of its memory: nothing makes the rest of numpy run."""
    found = core_first("""
found = everything()
assert entry.memory(b"")[0] == 0
print("numpy.core.multiarray" in sys.modules, "numpy.lib" in sys.modules, "numpy.linalg" in sys.modules)
""")
    assert found == "True False False"


def test_whole_numpy_scores_the_same() -> None:
    assert core_first("print(everything())") == core_first(
        "from edged.embedded import imports\nimports.numpy_core_first = lambda: None\nprint(everything())"
    )


def test_numpy_is_whole_for_who_asks_for_more() -> None:
    """An attribute outside the core makes it run; it is then what it is without us, name by name."""
    names = "import numpy as np\nprint(sorted(np.__all__), sorted(dir(np)))"
    command = [sys.executable, "-c", names]
    plain = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout.strip()
    found = core_first(f"""
everything()
import numpy as np
assert "numpy.lib" not in sys.modules
print(np.linalg.norm([3.0, 4.0]), np.median([1, 2, 9]), type(np).__name__, np.finfo(np.float32).bits)
{names}
""")
    assert found.splitlines() == ["5.0 2.0 module 32", plain]


def test_a_handler_file_gets_the_whole_of_numpy(tmp_path: Path) -> None:
    """Also one that is loaded beside the built-in model, and imports a part of numpy before numpy."""
    handler = tmp_path / "handler.py"
    handler.write_text(
        "from numpy.lib.stride_tricks import sliding_window_view\nimport numpy.linalg\nimport numpy as np\n"
        "windows = sliding_window_view(np.arange(4), 2).tolist()\n"
        "def process_batch(texts): return [('positive', float(np.linalg.det(np.eye(2))))] * len(texts)\n"
    )
    handler.chmod(0o600)
    tmp_path.chmod(0o700)
    found = core_first(f"""
before = everything()
handle = load(handler={str(handler)!r})
print(sys.modules[f"edged_handler_{{handle}}"].windows, before == everything())
print(entry.process_batch(struct.pack("<BBHI2I", 1, 2, handle, 1, 0, 0))[8:18])
""")
    assert found.splitlines() == ["[[0, 1], [1, 2], [2, 3]] True", "b'\\x08\\x00positive'"]


def test_a_numpy_that_was_not_tried_is_loaded_whole() -> None:
    code = """
from edged.embedded import imports
imports.TRIED = ("1.9",)
load(model="")
print("numpy.lib" in sys.modules)
"""
    assert core_first(code) == "True"


LOADER = """
import inspect, sys, threading
imports.asyncio_when_needed()
import asyncio
assert asyncio.iscoroutinefunction(print) is False
def background(loop):
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
loop = asyncio.new_event_loop()
thread = threading.Thread(target=background, args=(loop,))
thread.start()
def end():
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    assert not thread.is_alive()
async def double(number):
    await asyncio.sleep(0)
    return 2 * number, asyncio.get_running_loop().is_running()
"""
"""What MetaCall's loader does with asyncio: at its start, and to end."""


def test_metacalls_event_loop_sleeps_and_ends_without_asyncio() -> None:
    code = LOADER + "end()\nprint(*(n for n in sys.modules if n.startswith(('asyncio.', 'logging'))))"
    assert slim(code) == ""


def test_metacalls_event_loop_wakes_for_a_coroutine() -> None:
    """As the loader sends one: by thread, with a callback, and as a future of its own loop."""
    code = f"""{LOADER}
called = threading.Event()
task = asyncio.run_coroutine_threadsafe(double(21), loop)
task.add_done_callback(lambda task: called.set())
future = asyncio.wrap_future(task, loop=loop)
print(task.result(60), called.wait(60), asyncio.isfuture(future))
end()
"""
    assert slim(code) == "(42, True) True True"


def test_asyncio_is_whole_for_who_asks_for_more() -> None:
    code = f"""{LOADER}
{{}}
print(asyncio.run(double(4)), type(asyncio).__name__, asyncio.new_event_loop.__module__)
import asyncio.subprocess
end()
"""
    for first in ("asyncio.Queue", "imports.whole()"):
        assert slim(code.format(first)) == "(8, True) module asyncio.events"
