"""The command line in a fork of this process, which has loaded everything.

A run takes tenths of a second instead of seconds. The chunks are made in the fork itself
(`tests.helpers.inline`); everything else is as for a user: arguments, exit code, printed text.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import Outcome

_KILLED = 137


def vsr_forked(*given: str | os.PathLike[str], seconds: float = 300, processes: bool = False) -> Outcome:
    """Run the command to its end. processes: leave the chunks to child processes, as the command does."""
    _load()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if not child:
            gc.freeze()  # threads of the decoders that lie about do not exist here: to free one would hang
            _become(list(map(os.fspath, given)), out.fileno(), err.fileno(), processes=processes)
        code = _waited(child, seconds)
        out.seek(0)
        err.seek(0)
        return Outcome(code, out.read().decode(errors="replace"), err.read().decode(errors="replace"))


def told_by_fork(make: Callable[[], str]) -> str:
    """What a function says in a fork of this process; empty where it raises, or FFmpeg ends the process."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        gc.freeze()
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.write(writer, make().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        text = said.read().decode()
    os.waitpid(child, 0)
    return text


def _load() -> None:
    """What a run imports, once and on one thread, so that a fork finds no thread of torch's missing.

    With torch and the worker, which every fork would import anew, in 4 s of CPU time.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import pipelines.workers.chunk_worker  # noqa: F401
    import vsr.cli.main  # noqa: F401

    os.environ.setdefault("VSR_DATA_HOME", "/nonexistent")


def _become(given: list[str], out: int, err: int, *, processes: bool) -> None:
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        if not processes:
            from tests.helpers.inline import without_processes

            without_processes(pytest.MonkeyPatch())
        from vsr.cli.main import main

        main(given)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _waited(child: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return _KILLED


def only_file(folder: Path) -> Path | None:
    """The one result in a folder; None where there is none, or more."""
    made = [p for p in folder.iterdir() if p.is_file() and not p.name.endswith(".json")]
    return made[0] if len(made) == 1 else None
