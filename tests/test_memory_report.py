"""The interpreter's account of its memory is taken while handlers work: it must not get in their way."""

from __future__ import annotations

import threading
from pathlib import Path

from tflite_runtime.interpreter import Interpreter

from edged.embedded import memory

MODEL = Path(__file__).parents[1] / "edged" / "models" / "edged.tflite"


def test_a_handler_s_own_tflite_interpreter_works_on() -> None:
    interpreter = Interpreter(str(MODEL))
    interpreter.allocate_tensors()
    faults: list[Exception] = []
    done = threading.Event()

    def handle() -> None:
        while not done.is_set():
            try:
                interpreter.invoke()  # refuses when anybody else refers to what is inside it
            except RuntimeError as error:
                faults.append(error)

    thread = threading.Thread(target=handle)
    thread.start()
    try:
        for _ in range(50):
            memory.report(b"", [interpreter, {"held": [interpreter]}], 0)
    finally:
        done.set()
        thread.join()
    assert not faults, f"{len(faults)} calls failed: {faults[0]}"
