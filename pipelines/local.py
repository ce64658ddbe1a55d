"""A bounded, fault-tolerant map over child processes; it knows nothing of video.

A child is spawned, never forked, with an environment of its own. It makes one worker object and runs one task after another:
pieces of input go in while it asks for them, items come out as they are made; where the worker says so, the next task is begun
beside the end of the last. A child that dies or goes silent is replaced and its tasks tried again; the parent outlives all of it.
`cluster.py` has the same interface, `work.Map`, over Ray actors.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.confinement import with_bounded_memory, without_network
from models.errors import NoMemoryError, ResourceError
from pipelines.ledger import Ledger
from pipelines.work import (
    SILENCE_SECONDS,
    Done,
    Free,
    Hello,
    Item,
    Lost,
    NoneAdmittedError,
    Outcome,
    Refused,
    Task,
    as_told,
    exhausted,
    make_worker,
    pulse_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipelines.work import Worker

__all__ = ["LocalWorkers"]

_WAITS = 90
_PULSE_SECONDS = 5.0
"""How often a child looks whether its worker gets on, and tells so."""


@dataclass
class _Shared:
    """What the threads that serve the children have in common."""

    ledger: Ledger
    out: queue.Queue[Any] = field(default_factory=lambda: queue.Queue(maxsize=64))
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    """Nobody reads results any more: no child may be begun, and none replaced."""
    children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    undecided: set[int] = field(default_factory=set)
    """Children not admitted yet; one that is refused gives its task back."""

    def next_task(self, held: Sequence[Task]) -> Task | None:
        """A task for a child that is at `held`; where it has none, None means that there will be none for it."""
        while not (self.stop.is_set() or self.closing.is_set()):
            with self.lock:
                task = self.ledger.take(beside=held)
                if task is not None or held or not self.undecided:
                    return task
            self.closing.wait(0.05)
        return None


class LocalWorkers:
    """A `work.Map` over one child process for each of `environments`, its variables on top of ours."""

    def __init__(self, environments: Sequence[dict[str, str]], surplus: Callable[[int, dict[str, str]], str] = lambda *_: "") -> None:
        """surplus: says of a child, by its number and facts, why it takes no part whatever is asked of it; nothing of most."""
        self._environments, self._surplus = environments, surplus
        self._shared: _Shared | None = None

    def waiting(self) -> int:
        """Tasks that no child has taken yet."""
        return len(self._shared.ledger) if self._shared is not None else 0

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
        shared = self._shared = _Shared(Ledger(tasks), stop=stop or threading.Event())
        setup = pickle.dumps(setup)
        servers = [
            threading.Thread(target=_Server(number, worker, setup, feed, partial(self._refused, admit, number), environment, shared).run, daemon=True)
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

    def _refused(self, admit: Callable[[dict[str, str]], str] | None, number: int, facts: dict[str, str]) -> str:
        return self._surplus(number, facts) or (admit(facts) if admit is not None else "")


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
    """What the child is at: one task, or the end of one and the next."""
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
        """Begin a child; whether it takes part."""
        self.child = _Child(self.number, self.worker, self.setup, self.environment, self.shared)
        reason = self.admit(self.child.facts)
        if reason:
            with self.shared.lock:
                self.shared.ledger.put_back(self.held)
            self.shared.out.put(Refused(self.number, reason))
            return False
        self.shared.undecided.discard(self.number)
        self.shared.out.put(Hello(self.number, self.child.pid, self.child.facts))
        return True

    def _listen(self, child: _Child) -> None:
        """One message. Raises what a worker raises, _TaskFailedError where another attempt may help, _ChildLostError."""
        kind, key, value = child.receive()
        if kind == "pulse":
            return
        task = next(t for t in self.held if t.key == key)
        if kind == "item":
            self.shared.out.put(Item(self.number, key, value))
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
        """Have all that the child was at tried again, by another child."""
        if self.child is not None:
            self.child.close()
            self.child = None
        if self.shared.closing.is_set():
            self.held.clear()
            return
        with self.shared.lock:
            for task in blamed:
                self.shared.ledger.blame(task)
            spent = next((t for t in blamed if self.shared.ledger.is_spent(t)), None)
            if spent is not None:
                raise exhausted(spent, why)
            self.shared.ledger.put_back(self.held)
        for task in self.held:
            self.shared.out.put(Lost(self.number, task.key, str(why)))
        self.held, self.free = [], True


class _TaskFailedError(Exception):
    """A worker says that it can't go on with a task, in this process."""

    def __init__(self, task: Task, why: ResourceError) -> None:
        super().__init__(str(why))
        self.task, self.why = task, why


class _ChildLostError(Exception):
    """The child died or went silent."""


def _oom_kills() -> int:
    """How many processes the kernel has ended for want of memory since it started; 0 where it does not tell."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


class _Child:
    """One child process and the line to it."""

    def __init__(self, number: int, worker: str, setup: bytes, environment: dict[str, str], shared: _Shared) -> None:
        ours, theirs = socket.socketpair()
        self._number, self._shared = number, shared
        self._feeder: threading.Thread | None = None
        self._feed_error: BaseException | None = None
        self._oom_kills = _oom_kills()
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
        try:
            self.facts = self._set_up(worker, setup)
        except BaseException:
            self.close()  # one that hangs would hold its memory beside the next
            raise

    def _set_up(self, worker: str, setup: bytes) -> dict[str, str]:
        """Have the child make its worker; the facts of it. Raises what the child raises."""
        self._send(("setup", worker, setup))
        kind, _, found = self.receive()
        if kind == "error":
            raise found
        facts: dict[str, str] = found
        return facts

    def begin(self, task: Task, feed: Callable[[int, Task], Iterable[Any]]) -> None:
        """Hand a task to a child that is free for it; its input follows by itself."""
        if self._feeder is not None:
            self._feeder.join()  # the child has taken all it got
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
        """Send a message; False where the child is gone."""
        try:
            self._line.send(message)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[str, int, Any]:
        """The next message: kind, key of the task, value. Raises _ChildLostError; what a feed raised."""
        try:
            # In short waits: of the time in which this process was stopped itself (Ctrl-Z), only one of them is counted.
            if not any(self._line.poll(SILENCE_SECONDS / _WAITS) for _ in range(_WAITS)):
                raise _ChildLostError(f"its worker said nothing for {SILENCE_SECONDS:.0f} s")
            return self._line.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            if self._feed_error is not None:
                raise self._feed_error from None
            raise self._lost() from None

    def _lost(self) -> _ChildLostError | NoMemoryError:
        code = self._process.wait()
        if code == -signal.SIGKILL and _oom_kills() > self._oom_kills:
            return NoMemoryError("the system ended its worker for want of memory")
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
    without_network()
    line = _Line(Connection(descriptor))
    try:
        _, name, setup = line.receive()
        worker = make_worker(name, pickle.loads(setup))  # noqa: S301 - from our parent
        gc.freeze()  # what is there now stays; later collections need not look through all of torch
        if worker.facts.get("device") != "cuda":
            with_bounded_memory()
        line.tell("hello", 0, worker.facts)
        threading.Thread(target=_tell_pulse, args=(line, worker), daemon=True).start()
        while True:
            _, key, payload = line.receive()
            incoming = _pieces(line)
            _tell_items(line, key, worker.run(payload, incoming), incoming)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except BaseException as error:  # noqa: BLE001 - told to the parent, which ends us
        with contextlib.suppress(OSError):
            line.tell("error", 0, as_told(error))


class _Line:
    """The child's end. Only one thread at a time receives; the end of a task and the next one tell."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self.receive = connection.recv

    def tell(self, kind: str, key: int, value: Any) -> None:
        with self._lock:
            self._connection.send((kind, key, value))


def _tell_pulse(line: _Line, worker: Worker) -> None:
    """Tell now and then that the worker gets on, for a single frame may take an hour; nothing is told of one that does not."""
    told = pulse_of(worker)
    with contextlib.suppress(OSError):
        while True:
            time.sleep(_PULSE_SECONDS)
            now = pulse_of(worker)
            if now != told:
                line.tell("pulse", 0, now)
                told = now


def _pieces(line: _Line) -> Iterator[Any]:
    """The input of a task, to its end."""
    while (message := line.receive())[0] != "end":
        yield message[1]


def _tell_items(line: _Line, key: int, made: Iterator[Any], incoming: Iterator[Any]) -> None:
    """Work on a task, up to its end or to where the next one can begin; then the rest goes on in a thread."""
    try:
        for item in made:
            line.tell("item", key, item.value if isinstance(item, Free) else item)
            if isinstance(item, Free):
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
            line.tell("error", key, as_told(error))


def _die_with_parent() -> None:
    """Linux: be killed when the parent is, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
