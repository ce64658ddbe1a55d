"""The child's side of a process pool: the code between the pipe and a worker."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from models.sandbox import with_bounded_memory, without_network
from pipelines.pool.interface import ReadyForNext, make_worker, pulse_of, to_sendable_error
from pipelines.pool.pipe_connection import PipeConnection
from pipelines.pool.process_pool import PULSE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.pool.interface import Worker


def child_main(descriptor: int) -> None:
    """Main function of the child: create the worker, then run tasks until the connection closes.

    descriptor: file descriptor of the connection to the parent; -1 for standard input and output.
    """
    # A terminal, `timeout` and systemd send signals to the whole group; only the parent reacts, and kills
    # this process if necessary.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "win32" and hasattr(signal, "SIGBREAK"):
        signal.signal(signal.SIGBREAK, signal.SIG_IGN)
    _die_with_parent()
    without_network()
    line = _Line(Connection(descriptor) if descriptor >= 0 else _standard_streams())
    try:
        _, name, setup = line.receive()
        worker = make_worker(name, pickle.loads(setup))  # noqa: S301 - from our parent
        gc.freeze()  # what is there now stays; later collections need not look through all of torch
        # drivers of GPUs reserve more addresses than any machine has memory
        if worker.facts.get("device") in {
            None,
            "cpu",
        }:
            with_bounded_memory()
        line.tell("hello", 0, worker.facts)
        threading.Thread(target=_tell_pulse, args=(line, worker), daemon=True).start()
        while True:
            _, key, payload = line.receive()
            incoming = _pieces(line)
            _tell_items(line, key, worker.run(payload, incoming), incoming)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except BaseException as error:  # noqa: BLE001 - reported to the parent, which ends us
        with contextlib.suppress(OSError):
            line.tell("error", 0, to_sendable_error(error))


def _standard_streams() -> PipeConnection:
    """The line to the parent over standard streams; output of libraries is redirected to standard error."""
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return PipeConnection(sys.stdin.buffer, outgoing)


class _Line:
    """The child's end. Only one thread at a time receives; the end of a task and the next one may send."""

    def __init__(self, connection: Connection | PipeConnection) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self.receive = connection.recv

    def tell(self, kind: str, key: int, value: Any) -> None:
        with self._lock:
            self._connection.send((kind, key, value))


def _tell_pulse(line: _Line, worker: Worker) -> None:
    """Report progress at intervals, as a single frame may take an hour.

    Nothing is sent for a worker that makes no progress.
    """
    told = pulse_of(worker)
    with contextlib.suppress(OSError):
        while True:
            time.sleep(PULSE_SECONDS)
            now = pulse_of(worker)
            if now != told:
                line.tell("pulse", 0, now)
                told = now


def _pieces(line: _Line) -> Iterator[Any]:
    """The input of a task, to its end."""
    while (message := line.receive())[0] != "end":
        yield message[1]


def _tell_items(line: _Line, key: int, made: Iterator[Any], incoming: Iterator[Any]) -> None:
    """Run a task up to its end, or until the next one can begin; a thread then finishes the rest."""
    try:
        for item in made:
            line.tell("item", key, item.value if isinstance(item, ReadyForNext) else item)
            if isinstance(item, ReadyForNext):
                deque(incoming, 0)
                line.tell("free", key, None)
                threading.Thread(target=_tell_items, args=(line, key, made, incoming), daemon=True).start()
                return
        deque(incoming, 0)
        line.tell("done", key, None)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone, as the next `receive` will find
    except BaseException as error:  # noqa: BLE001
        with contextlib.suppress(OSError):
            line.tell("error", key, to_sendable_error(error))


def _die_with_parent() -> None:
    """Linux: be killed when the parent ends, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
