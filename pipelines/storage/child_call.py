"""`call_in_child`: calls a function in a separate process.

For functions that may crash, hang, or load a driver that can't be unloaded.
"""

from __future__ import annotations

import importlib
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from models.errors import VsrError

__all__ = ["ChildFailedError", "answer", "call_in_child"]


class ChildFailedError(Exception):
    """The child crashed, hung, or raised an unexpected error; the message says which."""


def call_in_child(target: str, *arguments: Any, seconds: float) -> Any:
    """Call "module:function" in a child with the same imports; returns its result.

    Raises the function's errors of `models.errors` unchanged; for anything else, ChildFailedError.
    """
    path = [p for p in sys.path if p]
    with tempfile.TemporaryDirectory(prefix="vsr-call-") as folder:
        result = Path(folder) / "result"
        code = (
            f"import sys; sys.path[:] = {path!r}; from pipelines.storage.child_call import answer;"
            f" answer({target!r}, {str(result)!r})"
        )
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", code],
                input=pickle.dumps(arguments),
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ChildFailedError(f"hung: it was ended after {seconds:.0f} s") from error
        if done.returncode or not result.exists():
            raise ChildFailedError(f"crashed: {_ended_by(done.returncode)}")
        found = pickle.loads(result.read_bytes())  # noqa: S301 - from our child
    if isinstance(found, VsrError):
        raise found
    if isinstance(found, _Raised):
        raise ChildFailedError(found.text)
    return found


class _Raised:
    """An unexpected error, in words."""

    def __init__(self, text: str) -> None:
        self.text = text


def answer(target: str, result: str) -> None:
    """The child's side: call the function and store its result or error."""
    module, _, name = target.partition(":")
    arguments = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - from our parent
    found: Any
    try:
        found = getattr(importlib.import_module(module), name)(*arguments)
    except VsrError as error:
        found = error
    except Exception as error:  # noqa: BLE001 - reported to the parent
        text = (str(error).splitlines() or ["?"])[0]
        found = _Raised(f"failed with {type(error).__name__}: {text}")
    Path(result).write_bytes(pickle.dumps(found))


def _ended_by(code: int) -> str:
    if code >= 0:
        return f"it ended with code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
