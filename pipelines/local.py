"""A bounded, fault-tolerant map over child processes; it knows nothing of video.

A child is spawned, never forked, with an environment of its own. It makes one worker object and runs one task at a time:
pieces of input go in while it asks for them, items come out as they are made. A child that dies or goes silent is replaced
and its task tried again; the parent outlives all of it. `cluster.py` has the same interface over Ray actors.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

from models.errors import ResourceError, VsrError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Done", "Hello", "Item", "Lost", "Task", "Worker", "run_tasks"]

_ATTEMPTS = 3
_SILENCE_SECONDS = 900.0
"""A child that says nothing for so long is taken for hung; workers report every frame."""


class Worker(Protocol):
    """What a child makes of its setup and keeps: one task at a time, items as they come."""

    facts: dict[str, str]
    """Told to the parent before the first task."""

    def run(self, task: Any, pieces: Iterator[Any]) -> Iterator[Any]:
        """Work on a task; `pieces` are its input, fetched as they are asked for."""
        ...


@dataclass(frozen=True)
class Task:
    """A unit of work: `payload` and `pieces` reach the worker, `name` the person who reads an error."""

    key: int
    name: str
    payload: Any


@dataclass(frozen=True)
class Hello:
    """A worker is ready."""

    worker: int
    pid: int
    facts: dict[str, str]


@dataclass(frozen=True)
class Item:
    """A worker made something."""

    worker: int
    key: int
    value: Any


@dataclass(frozen=True)
class Done:
    """A task is finished."""

    worker: int
    key: int


@dataclass(frozen=True)
class Lost:
    """A worker died or hung, and its task will be tried again."""

    worker: int
    key: int
    reason: str


@dataclass
class _Shared:
    """What the threads that serve the children have in common."""

    waiting: deque[Task]
    out: queue.Queue[Any] = field(default_factory=lambda: queue.Queue(maxsize=64))
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    """Nobody reads results any more: no child may be begun, and none replaced."""
    children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def next_task(self) -> Task | None:
        with self.lock:
            over = self.stop.is_set() or self.closing.is_set()
            return self.waiting.popleft() if self.waiting and not over else None


def run_tasks(
    tasks: Sequence[Task],
    *,
    worker: str,
    setups: Sequence[Any],
    feed: Callable[[int, Task], Iterable[Any]],
    environments: Sequence[dict[str, str]],
    stop: threading.Event | None = None,
) -> Iterator[Hello | Item | Done | Lost]:
    """Run all tasks, one child for each of `setups`; yield what happens, as it happens.

    worker: "module:Class" of a `Worker`, called with the child's setup. feed: called in the parent with the child's number
    and a task, gives the pieces of its input. stop: when set, no further task is begun, and those under way are finished.
    Raises what a worker raises; ResourceError for a task that failed in every attempt. No child survives the call.
    """
    shared = _Shared(deque(tasks), stop=stop or threading.Event())
    servers = [
        threading.Thread(target=_serve, args=(number, worker, setup, feed, environments[number], shared), daemon=True)
        for number, setup in enumerate(setups)
    ]
    for server in servers:
        server.start()
    living = len(servers)
    try:
        while living:
            event = shared.out.get()
            if event is None:
                living -= 1
            elif isinstance(event, BaseException):
                raise event
            else:
                yield event
    finally:
        shared.closing.set()
        for server in servers:
            while server.is_alive():
                for child in list(shared.children.values()):
                    child.kill()
                with contextlib.suppress(queue.Empty):
                    shared.out.get(timeout=0.05)  # a thread may be waiting to be heard


def _serve(number: int, worker: str, setup: Any, feed: Callable[[int, Task], Iterable[Any]], environment: dict[str, str], shared: _Shared) -> None:
    """Keep one child busy; runs in a thread of the parent."""
    child: _Child | None = None
    try:
        while (task := shared.next_task()) is not None:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    if child is None:
                        child = _Child(number, worker, setup, environment, shared)
                    child.run(task, feed, shared)
                    break
                except (_ChildLostError, ResourceError) as error:
                    reason = str(error)
                    if child is not None:
                        child.close()
                        child = None
                    if shared.closing.is_set():
                        return
                    if attempt == _ATTEMPTS:
                        raise ResourceError(f"{task.name} failed {_ATTEMPTS} times, the last time because {reason}; what is done is kept") from None
                    shared.out.put(Lost(number, task.key, reason))
    except BaseException as error:  # noqa: BLE001 - carried to the thread that reads the results
        shared.out.put(error)
    finally:
        if child is not None:
            child.close()
        shared.out.put(None)


class _ChildLostError(Exception):
    """The child died or went silent."""


class _Child:
    """One child process and the line to it."""

    def __init__(self, number: int, worker: str, setup: Any, environment: dict[str, str], shared: _Shared) -> None:
        ours, theirs = socket.socketpair()
        self._number, self._shared = number, shared
        path = [p for p in sys.path if p]
        bootstrap = f"import sys; sys.path[:] = {path!r}; from pipelines.local import child_main; child_main({theirs.fileno()})"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", bootstrap],
            pass_fds=[theirs.fileno()],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._line = Connection(ours.detach())
        shared.children[number] = self._process
        self._send(("setup", worker, pickle.dumps(setup)))
        kind, facts = self._receive()
        if kind == "error":
            self.close()
            raise facts
        shared.out.put(Hello(number, self._process.pid, facts))

    def run(self, task: Task, feed: Callable[[int, Task], Iterable[Any]], shared: _Shared) -> None:
        """One task from start to end; raises what the worker raises."""
        self._send(("task", task.payload))
        feeding: list[BaseException] = []
        feeder = threading.Thread(target=self._feed, args=(feed, task, feeding), daemon=True)
        feeder.start()
        while True:
            kind, value = self._receive(feeding)
            if kind == "item":
                shared.out.put(Item(self._number, task.key, value))
            elif kind == "done":
                feeder.join()
                shared.out.put(Done(self._number, task.key))
                return
            else:
                raise value

    def _feed(self, feed: Callable[[int, Task], Iterable[Any]], task: Task, failure: list[BaseException]) -> None:
        try:
            for piece in feed(self._number, task):
                self._line.send(("piece", piece))
            self._line.send(("end", None))
        except (OSError, ValueError):
            pass  # the child is gone, which the receiving side notices
        except BaseException as error:  # noqa: BLE001 - raised where the task is waited for
            failure.append(error)
            self._process.kill()

    def _send(self, message: tuple[Any, ...]) -> None:
        try:
            self._line.send(message)
        except OSError:
            raise self._lost() from None

    def _receive(self, feeding: list[BaseException] | None = None) -> tuple[str, Any]:
        try:
            if not self._line.poll(_SILENCE_SECONDS):
                raise _ChildLostError(f"its worker said nothing for {_SILENCE_SECONDS:.0f} s")
            return self._line.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            if feeding:
                raise feeding[0] from None
            raise self._lost() from None

    def _lost(self) -> _ChildLostError:
        code = self._process.wait()
        return _ChildLostError(f"its worker was ended by signal {-code}" if code < 0 else f"its worker ended with code {code}")

    def close(self) -> None:
        """End the child, whatever it does."""
        with contextlib.suppress(OSError):
            self._line.close()
        self._process.kill()
        self._process.wait()
        self._shared.children.pop(self._number, None)


def child_main(descriptor: int) -> None:
    """What runs in the child: make the worker, then tasks until the line closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal signals the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent()
    line = Connection(descriptor)
    try:
        _, name, setup = line.recv()
        module, _, attribute = name.partition(":")
        worker: Worker = getattr(importlib.import_module(module), attribute)(pickle.loads(setup))  # noqa: S301 - from our parent
        line.send(("hello", worker.facts))
        while True:
            _, payload = line.recv()
            _run_one(line, worker, payload)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except BaseException as error:  # noqa: BLE001 - told to the parent, which ends us
        _tell(line, error)


def _run_one(line: Connection, worker: Worker, payload: Any) -> None:
    ended = threading.Event()

    def pieces() -> Iterator[Any]:
        while not ended.is_set():
            kind, value = line.recv()
            if kind == "end":
                ended.set()
                return
            yield value

    incoming = pieces()
    try:
        for item in worker.run(payload, incoming):
            line.send(("item", item))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except BaseException as error:  # noqa: BLE001
        _tell(line, error)
        return
    for _ in incoming:
        pass
    line.send(("done", None))


def _tell(line: Connection, error: BaseException) -> None:
    """Errors we foresaw go as they are; anything else with its traceback, for it is a bug."""
    if isinstance(error, MemoryError):
        error = ResourceError(f"memory ran out in the worker ({error or 'MemoryError'})")
    if not isinstance(error, VsrError):
        error = RuntimeError("".join(traceback.format_exception(error)))
    with contextlib.suppress(OSError):
        line.send(("error", error))


def _die_with_parent() -> None:
    """Linux: be killed when the parent is, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
