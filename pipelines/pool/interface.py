"""What a bounded map over workers is told and tells.

`local.py` and `cluster.py` have it in common, and it knows nothing of video.
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
    "as_told",
    "exhausted",
    "make_worker",
    "pulse_of",
]


ATTEMPTS = 3
"""A task that fails so often is given up."""
_NO_MEMORY = ("can't allocate memory", "can't start new thread", "out of memory", "ALLOC_FAILED")
"""What torch's allocators, Python's threads, CUDA and its libraries say instead of MemoryError."""
SILENCE_SECONDS = 900.0
"""Seconds of silence, without a pulse, after which a worker counts as hung."""


@dataclass(frozen=True)
class ReadyForNext:
    """Around an item that a worker made: it can begin its next task now, though more will come of this one.

    The rest of this task and the next one are then asked for side by side, by two threads.
    """

    value: Any


class Worker(Protocol):
    """What a child or an actor makes of its setup and keeps: one task after another, items as they come."""

    facts: dict[str, str]
    """Told before the first task."""
    # pulse: int, where a worker has it: grows whenever it gets on, also in the midst of a step that has
    # nothing to tell for hours.

    def run(self, task: Any, pieces: Iterator[Any]) -> Iterator[Any]:
        """Work on a task; `pieces` are its input, fetched as they are asked for.

        One of the items may be `ReadyForNext`: then `run` is called for the next task before this one has
        ended, once; whoever frees itself a second time has seen to it that the earlier task needs nothing
        more.
        """
        ...


@dataclass(frozen=True)
class Task:
    """A unit of work: `payload` and `pieces` reach the worker, `name` the person who reads an error."""

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
    """A worker takes no part."""

    worker: int
    reason: str
    host: str = ""


@dataclass(frozen=True)
class WorkItem:
    """A worker made something."""

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
    """A worker died or hung, and this task, which it had begun, will be tried again."""

    worker: int
    key: int
    reason: str
    host: str = ""


Outcome = WorkerReady | WorkerRejected | WorkItem | Done | WorkerLost


class NoneAdmittedError(Exception):
    """Not one worker was admitted; the message has the first one's reason."""


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
        """Run all tasks; yield what happens, as it happens.

        worker: "module:Class" of a `Worker`, called with the setup. feed: called here with a number below the
        count of workers and a task, gives the pieces of its input; never twice at once with the same number.
        admit: called with the facts of a new worker; what it returns, if anything, is why that worker takes
        no part. stop: when set, no further task is begun, and those under way are finished.
        Raises what a worker raises; ResourceError for a task that failed in every attempt, NoMemoryError
        where memory was short; NoneAdmittedError.
        """
        ...

    def waiting(self) -> int:
        """Tasks that no worker has taken yet."""
        ...


def pulse_of(worker: Worker | None) -> int:
    """How far a worker has got since it was made, in steps of its own; 0 of one that does not count them."""
    found: int = getattr(worker, "pulse", 0)
    return found


def make_worker(name: str, setup: Any) -> Worker:
    """Call "module:Class" with its setup."""
    module, _, attribute = name.partition(":")
    worker: Worker = getattr(importlib.import_module(module), attribute)(setup)
    return worker


def as_told(error: BaseException) -> VsrError | RuntimeError:
    """An error as it travels: foreseen ones as they are; anything else with its traceback, for it is a bug.

    Out of memory is told as NoMemoryError, a CUDA context that is broken for good as ResourceError: a new
    process may have better luck.
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


def exhausted(task: Task, why: Exception) -> ResourceError:
    """What is said of a task that failed in every attempt, the last time by `why`."""
    said = f"{task.name} failed {ATTEMPTS} times, the last time because {why}; what is done is kept"
    if isinstance(why, NoMemoryError):
        return NoMemoryError(f"{said}, free some memory and give the same command again")
    return ResourceError(said)
