"""Interface of a bounded parallel map over workers.

It is shared by `process_pool` and `ray_pool`, and knows nothing of video.
"""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from models.errors import NoMemoryError, ResourceError, VsrError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "ATTEMPTS",
    "SILENCE_SECONDS",
    "Done",
    "NoneAdmittedError",
    "Outcome",
    "ReadyForNext",
    "Task",
    "WorkItem",
    "Worker",
    "WorkerLost",
    "WorkerPool",
    "WorkerReady",
    "WorkerRejected",
    "attempts_exhausted",
    "make_worker",
    "pulse_of",
    "to_sendable_error",
]


ATTEMPTS = 3
"""A task that fails this many times is given up."""
_NO_MEMORY = ("can't allocate memory", "can't start new thread", "out of memory", "ALLOC_FAILED")
"""Messages of torch's allocators, Python's threads, CUDA and its libraries in place of MemoryError."""
SILENCE_SECONDS = 900.0
"""Seconds of silence, without a pulse, after which a worker counts as hung."""


@dataclass(frozen=True)
class ReadyForNext:
    """Wraps an item after which a worker can begin its next task, although this task is not finished.

    Afterwards two threads iterate concurrently: one over the rest of this task, one over the next task.
    """

    value: Any


class Worker(Protocol):
    """Created by a child process or an actor from its setup.

    Runs one task after another, and yields items.
    """

    facts: dict[str, str]
    """Sent before the first task."""
    # pulse: int, if a worker has it: increases with every progress, also during a step that reports nothing
    # for hours.

    def run(self, task: Any, pieces: Iterator[Any]) -> Iterator[Any]:
        """Run a task; `pieces` are its input, fetched on demand.

        One of the items may be `ReadyForNext`: `run` is then called for the next task before this one has
        ended. Before yielding it again, a worker must make sure that the earlier task needs nothing more.
        """
        ...


@dataclass(frozen=True)
class Task:
    """A unit of work: `payload` and `pieces` are for the worker, `name` is for error messages."""

    key: int
    name: str
    payload: Any


@dataclass(frozen=True)
class WorkerReady:
    """A worker is ready."""

    worker: int
    pid: int
    facts: dict[str, str]
    host: str = ""
    """Empty: this machine."""


@dataclass(frozen=True)
class WorkerRejected:
    """A worker was rejected, for example because its numerics differ."""

    worker: int
    reason: str
    host: str = ""


@dataclass(frozen=True)
class WorkItem:
    """A worker yielded an item."""

    worker: int
    key: int
    value: Any
    host: str = ""


@dataclass(frozen=True)
class Done:
    """A task is finished."""

    worker: int
    key: int
    host: str = ""


@dataclass(frozen=True)
class WorkerLost:
    """A worker died or hung; this task, which it had begun, will be tried again."""

    worker: int
    key: int
    reason: str
    host: str = ""


Outcome = WorkerReady | WorkerRejected | WorkItem | Done | WorkerLost


class NoneAdmittedError(Exception):
    """No worker was admitted; the message has the first one's reason."""


class WorkerPool(Protocol):
    """The common interface of `ProcessPool` and `RayPool`."""

    def run_tasks(
        self,
        tasks: Sequence[Task],
        *,
        worker: str,
        setup: Any,
        feed: Callable[[int, Task], Iterable[Any]],
        admit: Callable[[dict[str, str]], str] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Outcome]:
        """Run all tasks, and yield outcomes as they happen.

        worker: "module:Class" of a `Worker`, called with the setup. feed: called in this process with a
        number below the count of workers and a task; returns the pieces of its input; never called twice at
        once with the same number. admit: called with the facts of a new worker; a returned text is the reason
        to reject it. stop: when set, no further task is begun, and current ones are finished. Raises what a
        worker raises; ResourceError for a task that failed in every attempt, NoMemoryError if memory ran out;
        NoneAdmittedError.
        """
        ...

    def waiting(self) -> int:
        """Number of pending tasks."""
        ...


def pulse_of(worker: Worker | None) -> int:
    """A worker's progress since its creation, in arbitrary steps; 0 if it does not count them."""
    found: int = getattr(worker, "pulse", 0)
    return found


def make_worker(name: str, setup: Any) -> Worker:
    """Call "module:Class" with its setup."""
    module, _, attribute = name.partition(":")
    worker: Worker = getattr(importlib.import_module(module), attribute)(setup)
    return worker


def to_sendable_error(error: BaseException) -> VsrError | RuntimeError:
    """Convert an error of a worker to one that can be sent.

    A `VsrError` stays as it is. Out of memory becomes NoMemoryError, and a corrupted CUDA context becomes
    ResourceError: both can be retried in a new process. Any other error becomes a RuntimeError with its
    traceback as text.
    """
    if isinstance(error, VsrError):
        return error
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    ):
        return NoMemoryError(
            f"memory ran out in the worker ({(str(error).splitlines() or ['MemoryError'])[0]})"
        )
    if "CUDA error" in str(error) or type(error).__name__ == "AcceleratorError":
        return ResourceError(f"the worker's device failed ({(str(error).splitlines() or ['?'])[0]})")
    return RuntimeError("".join(traceback.format_exception(error)))


def attempts_exhausted(task: Task, why: Exception) -> ResourceError:
    """The error for a task that failed in every attempt, the last time by `why`."""
    said = f"{task.name} failed {ATTEMPTS} times, the last time because {why}; what is done is kept"
    if isinstance(why, NoMemoryError):
        return NoMemoryError(f"{said}, free some memory and give the same command again")
    return ResourceError(said)
