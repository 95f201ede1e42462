"""The TFLite runtime of this environment: tflite_runtime, or its successor ai_edge_litert."""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False  # see imports.py
if TYPE_CHECKING:
    from typing import Any

RUNTIMES = ("tflite_runtime", "ai_edge_litert")


class RuntimeMissingError(Exception):
    """No TFLite runtime works here; the text says what was found and what to do."""


def tflite() -> Any:
    """Return the module ``interpreter`` of the first runtime that works.

    Raises:
        RuntimeMissingError: None is installed, or what is installed does not fit.
    """
    problems = []
    for name in RUNTIMES:
        runtime, problem = _try(name)
        if runtime is not None:
            return runtime
        problems.append(problem)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise RuntimeMissingError(
        f"no TFLite runtime for Python {version} in {sys.prefix}: {'; '.join(problems)}; "
        "install one there: pip install 'edged[daemon]'"
    )


def _try(name: str) -> tuple[Any, str]:
    try:
        runtime = importlib.import_module(f"{name}.interpreter")
    except ModuleNotFoundError as error:
        return None, f"{name} is not installed" if error.name == name else f"{name} lacks {error.name}"
    except ImportError as error:
        return None, f"{name} cannot be loaded: {error}"
    if name == "tflite_runtime":
        _refuse_numpy_2()
    return runtime, ""


def _refuse_numpy_2() -> None:
    """tflite_runtime was compiled against numpy 1, and fails with a riddle on a newer one."""
    from numpy.version import version

    if int(version.partition(".")[0]) >= 2:
        raise RuntimeMissingError(
            f"tflite_runtime in {sys.prefix} needs numpy 1, and finds numpy {version}; "
            "install the older one there: pip install 'numpy<2'"
        )
