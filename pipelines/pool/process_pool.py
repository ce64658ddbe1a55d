"""A bounded, fault-tolerant parallel map over child processes; it knows nothing of video.

A child is spawned, never forked, with a separate environment. It creates one worker and runs one task after
another: input is sent while the worker asks for it, items are returned as they are made. If the worker allows
it, the next task begins while the last one finishes. A child that dies or hangs is replaced and its tasks are
tried again; the parent survives all of this. `ray_pool` has the same interface, `WorkerPool`, over Ray
actors.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from models.errors import NoMemoryError, ResourceError
from pipelines.pool.interface import (
    SILENCE_SECONDS,
    Done,
    NoneAdmittedError,
    Outcome,
    Task,
    WorkerLost,
    WorkerReady,
    WorkerRejected,
    WorkItem,
    attempts_exhausted,
)
from pipelines.pool.malloc import oom_kills
from pipelines.pool.pipe_connection import PipeConnection, child_command
from pipelines.pool.task_queue import TaskQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["PULSE_SECONDS", "ProcessPool"]


_WAITS = 90
PULSE_SECONDS = 5.0
"""Interval at which a child checks and reports its worker's progress."""


@dataclass
class _Shared:
    """Data shared by the threads that serve the children."""

    task_queue: TaskQueue
    out: queue.Queue[Any] = field(default_factory=lambda: queue.Queue(maxsize=64))
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    """Nobody reads results any more, so no child may be started or replaced."""
    children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    undecided: set[int] = field(default_factory=set)
    """Children not admitted yet; one that is rejected returns its task."""

    def next_task(self, held: Sequence[Task]) -> Task | None:
        """A task for a child that works on `held`.

        None if there will be none for it.
        """
        while not (self.stop.is_set() or self.closing.is_set()):
            with self.lock:
                task = self.task_queue.take(beside=held)
                if task is not None or held or not self.undecided:
                    return task
            self.closing.wait(0.05)
        return None


class ProcessPool:
    """A `WorkerPool` over one child process for each of `environments`, added to ours."""

    def __init__(
        self,
        environments: Sequence[dict[str, str]],
        surplus: Callable[[int, dict[str, str]], str] = lambda *_: "",
    ) -> None:
        """surplus: returns why a child is excluded, given its number and facts; empty for most."""
        self._environments, self._surplus = environments, surplus
        self._shared: _Shared | None = None

    def waiting(self) -> int:
        """Number of pending tasks."""
        return len(self._shared.task_queue) if self._shared is not None else 0

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
        """See `WorkerPool.run_tasks`. No child survives the call."""
        if not tasks:
            return
        shared = self._shared = _Shared(TaskQueue(tasks), stop=stop or threading.Event())
        setup = pickle.dumps(setup)
        servers = [
            threading.Thread(
                target=_Server(
                    number, worker, setup, feed, partial(self._refused, admit, number), environment, shared
                ).run,
                daemon=True,
            )
            for number, environment in enumerate(self._environments[: len(tasks)])
        ]
        shared.undecided.update(range(len(servers)))
        for server in servers:
            server.start()
        living, refused = len(servers), []
        try:
            while living:
                event = shared.out.get()
                if event is None:
                    living -= 1
                elif isinstance(event, BaseException):
                    raise event
                else:
                    if isinstance(event, WorkerRejected):
                        refused.append(event.reason)
                        if len(refused) == len(servers):
                            raise NoneAdmittedError(refused[0])
                    yield event
        finally:
            _end(servers, shared)

    def _refused(
        self, admit: Callable[[dict[str, str]], str] | None, number: int, facts: dict[str, str]
    ) -> str:
        return self._surplus(number, facts) or (admit(facts) if admit is not None else "")


def _end(servers: Sequence[threading.Thread], shared: _Shared) -> None:
    """Kill the children of a call until their threads have ended."""
    shared.closing.set()
    for server in servers:
        while server.is_alive():
            for child in list(shared.children.values()):
                child.kill()
            with contextlib.suppress(queue.Empty):
                shared.out.get(timeout=0.05)  # a thread may be waiting to be heard


@dataclass
class _Server:
    """Keeps one child busy, in a thread of the parent."""

    number: int
    worker: str
    setup: bytes
    feed: Callable[[int, Task], Iterable[Any]]
    admit: Callable[[dict[str, str]], str]
    environment: dict[str, str]
    shared: _Shared
    child: _Child | None = None
    held: list[Task] = field(default_factory=list)
    """Tasks of the child: one, or the end of one and the next."""
    free: bool = True
    """The child can begin a task."""

    def run(self) -> None:
        try:
            while (task := self._next_task()) is not None or self.held:
                try:
                    if self.child is None and not self._start():
                        return
                    assert self.child is not None
                    if task is not None:
                        self.child.begin(task, self.feed)
                    self._listen(self.child)
                except _TaskFailedError as failure:
                    self._lose(failure.why, [failure.task])
                except (_ChildLostError, ResourceError) as error:
                    self._lose(error, self.held)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that reads the results
            self.shared.out.put(error)
        finally:
            self.shared.undecided.discard(self.number)
            if self.child is not None:
                self.child.close()
            self.shared.out.put(None)

    def _next_task(self) -> Task | None:
        task = self.shared.next_task(self.held) if self.free else None
        if task is not None:
            self.held.append(task)
            self.free = False
        return task

    def _start(self) -> bool:
        """Start a child; returns whether it was admitted."""
        self.child = _Child(self.number, self.worker, self.setup, self.environment, self.shared)
        reason = self.admit(self.child.facts)
        if reason:
            with self.shared.lock:
                self.shared.task_queue.put_back(self.held)
            self.shared.out.put(WorkerRejected(self.number, reason))
            return False
        self.shared.undecided.discard(self.number)
        self.shared.out.put(WorkerReady(self.number, self.child.pid, self.child.facts))
        return True

    def _listen(self, child: _Child) -> None:
        """Process one message.

        Raises what a worker raises, _TaskFailedError if another attempt may help, _ChildLostError.
        """
        kind, key, value = child.receive()
        if kind == "pulse":
            return
        task = next(t for t in self.held if t.key == key)
        if kind == "item":
            self.shared.out.put(WorkItem(self.number, key, value))
        elif kind == "free":
            self.free = True
        elif kind == "done":
            self.free = self.free or task is self.held[-1]
            self.held.remove(task)
            self.shared.out.put(Done(self.number, key))
        elif isinstance(value, ResourceError):
            raise _TaskFailedError(task, value)
        else:
            raise value

    def _lose(self, why: Exception, blamed: list[Task]) -> None:
        """Return all tasks of the child, to be tried again by another one."""
        if self.child is not None:
            self.child.close()
            self.child = None
        if self.shared.closing.is_set():
            self.held.clear()
            return
        with self.shared.lock:
            for task in blamed:
                self.shared.task_queue.blame(task)
            spent = next((t for t in blamed if self.shared.task_queue.is_spent(t)), None)
            if spent is not None:
                raise attempts_exhausted(spent, why)
            self.shared.task_queue.put_back(self.held)
        for task in self.held:
            self.shared.out.put(WorkerLost(self.number, task.key, str(why)))
        self.held, self.free = [], True


class _TaskFailedError(Exception):
    """A worker reports that it can't continue a task in this process."""

    def __init__(self, task: Task, why: ResourceError) -> None:
        super().__init__(str(why))
        self.task, self.why = task, why


class _ChildLostError(Exception):
    """The child died or hung."""


_INHERIT_SOCKETS = sys.platform != "win32" and hasattr(socket, "socketpair")
_KILLED = -9
"""Exit code of a process killed by SIGKILL."""


class _Child:
    """One child process and the line to it."""

    def __init__(
        self, number: int, worker: str, setup: bytes, environment: dict[str, str], shared: _Shared
    ) -> None:
        self._number, self._shared = number, shared
        self._feeder: threading.Thread | None = None
        self._feed_error: BaseException | None = None
        self._oom_kills = oom_kills()
        self._line: Connection | PipeConnection
        if _INHERIT_SOCKETS:
            ours, theirs = socket.socketpair()
            self._process = subprocess.Popen(
                child_command(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
            )
            theirs.close()
            self._line = Connection(ours.detach())
        else:
            self._process = subprocess.Popen(
                child_command(-1),
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._line = PipeConnection(self._process.stdout, self._process.stdin)  # type: ignore[arg-type]
        shared.children[number] = self._process
        self.pid = self._process.pid
        try:
            self.facts = self._set_up(worker, setup)
        except BaseException:
            self.close()  # one that hangs would keep its memory while the next one runs
            raise

    def _set_up(self, worker: str, setup: bytes) -> dict[str, str]:
        """Let the child create its worker; returns its facts. Raises what the child raises."""
        self._send(("setup", worker, setup))
        kind, _, found = self.receive()
        if kind == "error":
            raise found
        facts: dict[str, str] = found
        return facts

    def begin(self, task: Task, feed: Callable[[int, Task], Iterable[Any]]) -> None:
        """Give a task to a child that is free; its input follows automatically."""
        if self._feeder is not None:
            self._feeder.join()  # the child has read everything it was sent
        self._send(("task", task.key, task.payload))
        self._feeder = threading.Thread(target=self._feed, args=(feed, task), daemon=True)
        self._feeder.start()

    def _feed(self, feed: Callable[[int, Task], Iterable[Any]], task: Task) -> None:
        try:
            for piece in feed(self._number, task):
                if not self._reaches(("piece", piece)):
                    return  # which the receiving side notices, too
            self._reaches(("end", None))
        except BaseException as error:  # noqa: BLE001 - raised where the child is listened to
            self._feed_error = error
            self._process.kill()

    def _send(self, message: tuple[Any, ...]) -> None:
        if not self._reaches(message):
            raise self._lost()

    def _reaches(self, message: tuple[Any, ...]) -> bool:
        """Send a message; False if the child has exited."""
        try:
            self._line.send(message)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[str, int, Any]:
        """The next message: kind, key of the task, value. Raises _ChildLostError, and what a feed raised."""
        try:
            # In short waits: of the time in which this process was stopped itself (Ctrl-Z), only one of them
            # is counted.
            if not any(self._line.poll(SILENCE_SECONDS / _WAITS) for _ in range(_WAITS)):
                raise _ChildLostError(f"its worker said nothing for {SILENCE_SECONDS:.0f} s")
            return self._line.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError) as error:
            if self._feed_error is not None:
                raise self._feed_error from error
            raise self._lost() from error

    def _lost(self) -> _ChildLostError | NoMemoryError:
        code = self._process.wait()
        if code == _KILLED and oom_kills() > self._oom_kills:
            return NoMemoryError("the system ended its worker for want of memory")
        return _ChildLostError(
            f"its worker was ended by signal {-code}" if code < 0 else f"its worker ended with code {code}"
        )

    def close(self) -> None:
        """Kill the child."""
        self._process.kill()
        self._process.wait()
        if self._feeder is not None:
            # before the line is closed: the next child's may get the same number, and this thread still
            # writes
            self._feeder.join()
        with contextlib.suppress(OSError):
            self._line.close()
        self._shared.children.pop(self._number, None)
