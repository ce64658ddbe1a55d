"""A bounded, fault-tolerant map over child processes; it knows nothing of video.

A child is spawned, never forked, with an environment of its own. It makes one worker object and runs one task at a time:
pieces of input go in while it asks for them, items come out as they are made. A child that dies or goes silent is replaced
and its task tried again; the parent outlives all of it. `cluster.py` has the same interface, `work.Map`, over Ray actors.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from models.errors import ResourceError
from pipelines.work import (
    ATTEMPTS,
    SILENCE_SECONDS,
    Done,
    Hello,
    Item,
    Lost,
    NoneAdmittedError,
    Outcome,
    Refused,
    Task,
    Worker,
    as_told,
    exhausted,
    make_worker,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["LocalWorkers"]

_WAITS = 90


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
    undecided: set[int] = field(default_factory=set)
    """Children not admitted yet; one that is refused gives its task back."""

    def next_task(self) -> Task | None:
        while not (self.stop.is_set() or self.closing.is_set()):
            with self.lock:
                if self.waiting:
                    return self.waiting.popleft()
                if not self.undecided:
                    return None
            self.closing.wait(0.05)
        return None

    def take_back(self, task: Task) -> None:
        with self.lock:
            self.waiting.appendleft(task)


class LocalWorkers:
    """A `work.Map` over one child process for each of `environments`, its variables on top of ours."""

    def __init__(self, environments: Sequence[dict[str, str]]) -> None:
        self._environments = environments
        self._shared: _Shared | None = None

    def waiting(self) -> int:
        """Tasks that no child has taken yet."""
        return len(self._shared.waiting) if self._shared is not None else 0

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
        """As `work.Map` says. No child survives the call."""
        if not tasks:
            return
        shared = self._shared = _Shared(deque(tasks), stop=stop or threading.Event())
        setup = pickle.dumps(setup)
        servers = [
            threading.Thread(target=_serve, args=(number, worker, setup, feed, admit, environment, shared), daemon=True)
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
                    if isinstance(event, Refused):
                        refused.append(event.reason)
                        if len(refused) == len(servers):
                            raise NoneAdmittedError(refused[0])
                    yield event
        finally:
            shared.closing.set()
            for server in servers:
                while server.is_alive():
                    for child in list(shared.children.values()):
                        child.kill()
                    with contextlib.suppress(queue.Empty):
                        shared.out.get(timeout=0.05)  # a thread may be waiting to be heard


def _serve(
    number: int,
    worker: str,
    setup: bytes,
    feed: Callable[[int, Task], Iterable[Any]],
    admit: Callable[[dict[str, str]], str] | None,
    environment: dict[str, str],
    shared: _Shared,
) -> None:
    """Keep one child busy; runs in a thread of the parent."""
    child: _Child | None = None
    try:
        while (task := shared.next_task()) is not None:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    if child is None:
                        child = _Child(number, worker, setup, environment, shared)
                        reason = admit(child.facts) if admit is not None else ""
                        if reason:
                            shared.take_back(task)
                            shared.out.put(Refused(number, reason))
                            return
                        shared.undecided.discard(number)
                        shared.out.put(Hello(number, child.pid, child.facts))
                    child.run(task, feed, shared)
                    break
                except (_ChildLostError, ResourceError) as error:
                    reason = str(error)
                    if child is not None:
                        child.close()
                        child = None
                    if shared.closing.is_set():
                        return
                    if attempt == ATTEMPTS:
                        raise exhausted(task, reason) from None
                    shared.out.put(Lost(number, task.key, reason))
    except BaseException as error:  # noqa: BLE001 - carried to the thread that reads the results
        shared.out.put(error)
    finally:
        shared.undecided.discard(number)
        if child is not None:
            child.close()
        shared.out.put(None)


class _ChildLostError(Exception):
    """The child died or went silent."""


class _Child:
    """One child process and the line to it."""

    def __init__(self, number: int, worker: str, setup: bytes, environment: dict[str, str], shared: _Shared) -> None:
        ours, theirs = socket.socketpair()
        self._number, self._shared = number, shared
        self._feeder: threading.Thread | None = None
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
        self.pid = self._process.pid
        self._send(("setup", worker, setup))
        kind, facts = self._receive()
        if kind == "error":
            self.close()
            raise facts
        self.facts: dict[str, str] = facts

    def run(self, task: Task, feed: Callable[[int, Task], Iterable[Any]], shared: _Shared) -> None:
        """One task from start to end; raises what the worker raises."""
        self._send(("task", task.payload))
        feeding: list[BaseException] = []
        feeder = self._feeder = threading.Thread(target=self._feed, args=(feed, task, feeding), daemon=True)
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
            # In short waits: of the time in which this process was stopped itself (Ctrl-Z), only one of them is counted.
            if not any(self._line.poll(SILENCE_SECONDS / _WAITS) for _ in range(_WAITS)):
                raise _ChildLostError(f"its worker said nothing for {SILENCE_SECONDS:.0f} s")
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
        self._process.kill()
        self._process.wait()
        if self._feeder is not None:
            self._feeder.join()  # before the line is closed: the next child's may get the same number, and this thread still writes
        with contextlib.suppress(OSError):
            self._line.close()
        self._shared.children.pop(self._number, None)


def child_main(descriptor: int) -> None:
    """What runs in the child: make the worker, then tasks until the line closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal signals the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with_parent()
    line = Connection(descriptor)
    try:
        _, name, setup = line.recv()
        worker = make_worker(name, pickle.loads(setup))  # noqa: S301 - from our parent
        gc.freeze()  # what is there now stays; later collections need not look through all of torch
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
    with contextlib.suppress(OSError):
        line.send(("error", as_told(error)))


def _die_with_parent() -> None:
    """Linux: be killed when the parent is, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
