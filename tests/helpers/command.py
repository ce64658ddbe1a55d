"""Runs the command line in a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COPIED_AS_H264 = ("--scale", "1", "--model", "identity", "--codec", "h264", "--preset", "ultrafast")
COPIED_AS_FFV1 = ("--scale", "1", "--model", "identity", "--codec", "ffv1")
"""Options of runs that only decode and encode, for tests of all around them."""
ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 180


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    def event(self, kind: str) -> dict[str, Any]:
        """The only event of that kind."""
        (found,) = [e for e in self.events if e["event"] == kind]
        return found

    def refused(self, code: int, *words: str) -> None:
        """Assert that it ended with `code` and one line that has all of `words`."""
        assert self.code == code, f"exit {self.code}, expected {code}: {self.err}"
        lines = [line for line in self.err.splitlines() if line.startswith("vsr: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in lines[0], lines[0]


def arguments(*given: str | bytes | os.PathLike[str], worker: str = "") -> list[Any]:
    """The command's argument list: this interpreter, our package, wherever the working directory is.

    worker: a class of tests/pipelines/pool/fast_workers.py.
    """
    return [
        sys.executable,
        "-P",
        "-m",
        *(("tests.helpers.with_worker", worker) if worker else ("vsr",)),
        *given,
    ]


def environment(**extra: str) -> dict[str, str]:
    """The test's environment with our packages in front and no model of the user's."""
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, "PYTHONPATH": path, "VSR_DATA_HOME": "/nonexistent", **extra}


def python(program: str, *, seconds: float = _SECONDS, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new interpreter, in which nothing of ours is loaded yet."""
    return subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def vsr(
    *given: str | bytes | os.PathLike[str],
    cwd: Path | None = None,
    seconds: float = _SECONDS,
    worker: str = "",
    **extra: str,
) -> Outcome:
    """Run the command to its end."""
    done = subprocess.run(
        arguments(*given, worker=worker),
        cwd=cwd,
        env=environment(**extra),
        capture_output=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Outcome(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


def started(
    *given: str | bytes | os.PathLike[str], cwd: Path | None = None, worker: str = "", **extra: str
) -> subprocess.Popen[str]:
    """The command, running, with JSON lines to be read from its standard output."""
    return subprocess.Popen(
        arguments(*given, worker=worker), cwd=cwd, env=environment(**extra), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
