"""The functions the daemon calls: bytes in, bytes out, and nothing ever raised."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.embedded import entry, memory, record, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "edged" / "models" / "edged.tflite"


def ok(reply: bytes) -> Any:
    """Give the JSON of a reply that must be one of success."""
    assert reply[:1] == b"\0", reply
    return json.loads(reply[1:])


def refused(reply: bytes) -> dict[str, str]:
    """Give the error of a reply that must be one."""
    assert reply[:1] == b"\1", reply
    error: dict[str, str] = json.loads(reply[1:])
    assert set(error) == {"type", "message", "traceback"}
    return error


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Any]:
    """Load handler files, and unload them at the end."""
    handles: list[int] = []

    def load(source: str, **options: Any) -> dict[str, Any]:
        path = tmp_path / f"handler{len(handles)}.py"
        path.write_text(source)
        path.chmod(0o600)
        tmp_path.chmod(0o700)
        description: dict[str, Any] = ok(
            entry.load(json.dumps({"handler": str(path), "options": options}).encode())
        )
        handles.append(description["handle"])
        return description

    yield load
    for handle in handles:
        ok(entry.unload(json.dumps({"handle": handle}).encode()))


def texts_record(handle: int, *texts: str) -> bytes:
    """Pack a record of texts."""
    encoded = [text.encode() for text in texts]
    offsets = [0]
    for text in encoded:
        offsets.append(offsets[-1] + len(text))
    head = struct.pack(f"<BBHI{len(offsets)}I", 1, record.TEXTS, handle, len(texts), *offsets)
    return head + b"".join(encoded)


def ids_record(handle: int, wide: list[list[int]], words: list[list[int]]) -> bytes:
    """Pack a record of ids."""
    packed = struct.pack("<BBHI", 1, record.IDS, handle, len(wide))
    for rows in (wide, words):
        packed += np.cumsum([0, *map(len, rows)], dtype="<u4").tobytes()
    for rows in (wide, words):
        packed += np.array([number for row in rows for number in row], "<i4").tobytes()
    return packed


@given(st.binary(max_size=64))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_any_function_raise(argument: bytes) -> None:
    for function in (entry.load, entry.unload, entry.process_batch):
        assert function(argument)[:1] in (b"\0", b"\1")


@pytest.mark.parametrize(
    "exception", ["SystemExit(3)", "KeyboardInterrupt()", "MemoryError()", "GeneratorExit()"]
)
def test_exceptions_that_are_no_errors_stay_inside_too(loaded: Any, exception: str) -> None:
    handle = loaded(f"def process_batch(texts): raise {exception}")["handle"]
    assert refused(entry.process_batch(texts_record(handle, "x")))["type"] == exception.partition("(")[0]


def test_an_exception_that_cannot_describe_itself_is_still_reported(loaded: Any) -> None:
    source = """
class Bad(Exception):
    def __str__(self): raise RuntimeError
def process_batch(texts): raise Bad
"""
    error = refused(entry.process_batch(texts_record(loaded(source)["handle"], "x")))
    assert error["type"] == "Bad"


def test_endless_recursion_is_reported_in_a_bounded_text(loaded: Any) -> None:
    handle = loaded("def process_batch(texts): return process_batch(texts)")["handle"]
    error = refused(entry.process_batch(texts_record(handle, "x")))
    assert error["type"] == "RecursionError"
    assert len(error["traceback"]) < 10_000


def test_a_traceback_begins_in_the_users_file(loaded: Any) -> None:
    handle = loaded("def process_batch(texts):\n    return texts.nothing")["handle"]
    lines = refused(entry.process_batch(texts_record(handle, "x")))["traceback"].splitlines()
    assert "handler0.py" in lines[1]
    assert "entry.py" not in "".join(lines)


def test_ids_become_probabilities_in_the_reviews_order() -> None:
    description = ok(entry.load(json.dumps({"model": str(MODEL)}).encode()))
    assert (description["kind"], description["model"]) == ("ids", str(MODEL))
    handle = description["handle"]
    rows = [[5, 9, 1200], [], [77], list(range(1, 400)), [5, 9, 1200]]
    reply = entry.process_batch(ids_record(handle, rows, [[]] * 5))
    status, form, labels, n = struct.unpack_from("<BBHI", reply)
    assert (status, form, labels, n) == (0, record.PROBABILITIES, 2, 5)
    together = np.frombuffer(reply, "<f4", offset=8)
    alone = [
        np.frombuffer(entry.process_batch(ids_record(handle, [row], [[]])), "<f4", offset=8)[0]
        for row in rows
    ]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert ok(entry.unload(json.dumps({"handle": handle}).encode())) == {}


def test_a_record_of_the_other_kind_is_refused(loaded: Any) -> None:
    texts = loaded("def process_batch(texts): return []")["handle"]
    assert "takes texts" in refused(entry.process_batch(ids_record(texts, [[1]], [[]])))["message"]
    ids = ok(entry.load(json.dumps({"model": str(MODEL)}).encode()))["handle"]
    assert "takes ids" in refused(entry.process_batch(texts_record(ids, "x")))["message"]
    entry.unload(json.dumps({"handle": ids}).encode())


@given(cut=st.integers(0, 60), flip=st.integers(0, 60), value=st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_a_record_reads_past_its_end(cut: int, flip: int, value: int) -> None:
    whole = bytearray(ids_record(1, [[1, 2], [3]], [[], [4]]))
    whole[flip % len(whole)] = value
    damaged = bytes(whole[: cut or None])
    try:
        kind, _, n = record.header(damaged)
        if kind == record.IDS:
            wide_offsets, wide, word_offsets, words = record.ids(damaged, n)
            assert len(wide) == wide_offsets[-1]
            assert len(words) == word_offsets[-1]
        else:
            record.texts(damaged, n)
    except record.RecordError:
        pass


def test_handles_take_turns(loaded: Any) -> None:
    first = loaded("def process_batch(texts): return []")["handle"]
    ok(entry.unload(json.dumps({"handle": first}).encode()))
    second = loaded("def process_batch(texts): return []")["handle"]
    assert second != first
    assert (
        f"no handler has handle {first}" in refused(entry.process_batch(texts_record(first, "x")))["message"]
    )
    loaded("def process_batch(texts): return []")
    entry._handlers[first] = entry._handlers[second]  # so that the fixture's unload finds it


def test_labels_are_stored_once_and_any_text_may_be_one() -> None:
    pairs = [("yes", 0.25), ("nö\0", 1.0), ("yes", 0.0)]
    packed = record.labelled(pairs)
    assert struct.unpack_from("<BBHI", packed) == (0, record.LABELLED, 2, 3)
    assert packed.count(b"yes") == 1
    assert packed.endswith(struct.pack("<3f3H", 0.25, 1.0, 0.0, 0, 1, 0))


def test_bytes_that_are_not_utf_8_reach_a_handler_as_replacements() -> None:
    packed = struct.pack("<BBHI2I", 1, record.TEXTS, 1, 1, 0, 2) + b"\xffa"
    assert record.texts(packed, 1) == ["\ufffda"]


PYTHON_3_11 = """\
2 arenas * 1048576 bytes/arena     =            2,097,152

# bytes in allocated blocks        =              823,344
# bytes in available blocks        =              347,936
54 unused pools * 16384 bytes      =              884,736
"""


def test_pymallocs_account_is_read() -> None:
    assert memory.pymalloc(PYTHON_3_11) == {
        "arenas": 2,
        "arenas_bytes": 2_097_152,
        "blocks_bytes": 823_344,
        "free_bytes": 347_936,
        "free_pools": 54,
    }
    assert memory.pymalloc("something else") is None


def test_this_interpreters_account_is_of_that_form() -> None:
    program = "import sys; sys._debugmallocstats()"
    text = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    found = memory.pymalloc(text)
    assert found is not None
    assert set(found) == {"arenas", "arenas_bytes", "blocks_bytes", "free_bytes", "free_pools"}
    assert 0 < found["blocks_bytes"] < found["arenas_bytes"]


def environment(tmp_path: Path, **modules: str) -> str:
    """Try to load the model where only the given modules are, and give the error."""
    for name, source in modules.items():
        path = tmp_path / name / "__init__.py"
        path.parent.mkdir(parents=True)
        path.write_text(source)
        if "runtime" in name:
            path.with_name("interpreter.py").write_text(source)
    program = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "from edged.embedded import entry\nsys.stdout.buffer.write(entry.load(b'{}'))"
    )
    run = subprocess.run(["/usr/bin/python3", "-ISc", program], capture_output=True, check=True, timeout=100)
    return refused(run.stdout)["message"]


def test_a_missing_numpy_is_named(tmp_path: Path) -> None:
    assert "needs numpy, which" in environment(tmp_path)


def test_a_missing_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "RUNTIMES", ("no_such_runtime", "nor_this_one"))
    with pytest.raises(
        runtime.RuntimeMissingError, match=r"no_such_runtime is not installed; nor_this.*edged\[daemon\]"
    ):
        runtime.tflite()


def test_a_runtime_that_does_not_load_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "foreign_runtime"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "interpreter.py").write_text("raise ImportError('wrong ELF class: ELFCLASS32')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(runtime, "RUNTIMES", ("foreign_runtime",))
    with pytest.raises(
        runtime.RuntimeMissingError, match="foreign_runtime cannot be loaded: wrong ELF class"
    ):
        runtime.tflite()


def test_numpy_2_beside_tflite_runtime_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tflite_runtime", reason="only tflite_runtime is bound to numpy 1")
    monkeypatch.setattr("numpy.version.version", "2.2.6")
    with pytest.raises(runtime.RuntimeMissingError, match=r"needs numpy 1, and finds numpy 2\.2\.6.*numpy<2"):
        runtime.tflite()


def test_the_daemons_part_never_loads_the_clients() -> None:
    program = (
        "from edged.embedded import imports; imports.slim()\nfrom edged.embedded import entry\n"
        "import sys\nassert entry.load(b'{}')[0] == 0\n"
        "print('zmq' in sys.modules, 'edged.client' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False False"


INVOKES = """
import numpy as np
from edged.embedded import runtime

def load(options):
    global interpreter, ids
    interpreter = runtime.tflite().Interpreter(options["model"], num_threads=1)
    interpreter.allocate_tensors()
    ids = interpreter.get_input_details()

def process_batch(texts):
    for _ in range(100):
        for tensor in ids:
            interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
        interpreter.invoke()
    return [("positive", 1.0)] * len(texts)
"""

REPORTS_BESIDE = """
import json, struct, sys, threading
from edged.embedded import entry
wanted = {"handler": sys.argv[1], "options": {"model": sys.argv[2]}}
handle = json.loads(entry.load(json.dumps(wanted).encode())[1:])["handle"]
record = struct.pack("<BBHI2I", 1, 2, handle, 1, 0, 0)
sys.setswitchinterval(1e-6)
done, reports = threading.Event(), 0
def report():
    global reports
    while not done.is_set():
        assert entry.memory(b"")[0] == 0
        reports += 1
thread = threading.Thread(target=report)
thread.start()
while reports < 50 and (reply := entry.process_batch(record))[0] == 0:
    pass
done.set()
thread.join()
print("answered" if reply[0] == 0 else reply.decode())
"""


def test_the_report_keeps_out_of_a_handlers_interpreter(tmp_path: Path) -> None:
    """TFLite refuses to invoke while anybody refers to its inside, as the memory's report once did."""
    path = tmp_path / "handler.py"
    path.write_text(INVOKES)
    path.chmod(0o600)
    tmp_path.chmod(0o700)
    command = [sys.executable, "-c", REPORTS_BESIDE, str(path), str(MODEL)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "answered"
