"""The ordinary command as a child process of the server; it ends when the server does.

`python -m vsr.server.child COMMAND...` is `vsr COMMAND...`, and ends at once when standard input closes, as
it does if the server is killed. Finished chunks are on disk, so a run resumes.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ask_to_stop", "end_now", "end_with_server", "start"]


_ORPHANED = 137
"""Exit code of a child that has lost its server."""
_PACKAGES = Path(__file__).resolve().parents[2]


COMMAND = "vsr.server.child"
"""The module of the command."""


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    module: str = "",
    errors: int = subprocess.DEVNULL,
    inherited: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start the command in its own session; its standard input is a pipe that keeps it alive.

    folder: its working directory. module: instead of the command. errors: destination of standard error.
    inherited: descriptors that it keeps open, such as that of a lock.
    """
    path = os.pathsep.join([str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
    is_windows = sys.platform == "win32"
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module or COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=not is_windows,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        pass_fds=() if is_windows else tuple(inherited),
    )


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Send Ctrl-C: the first lets a command finish its current chunk, the second ends it at once."""
    if process.poll() is None:
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))


def end_now(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and its child processes."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_with_server() -> None:
    """End this process when standard input closes."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(_ORPHANED)

    threading.Thread(target=watch, name="server-watch", daemon=True).start()


if __name__ == "__main__":
    end_with_server()
    sys.argv[0] = "vsr"
    runpy.run_module("vsr", run_name="__main__", alter_sys=True)
