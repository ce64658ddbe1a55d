"""`WorkerActor`: the code in an actor's process: one worker, controlled by the scheduler of the driver."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import queue
import socket
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import ray
from ray.util.metrics import Counter

from models.errors import ResourceError
from pipelines.cluster.code_version import code_digest
from pipelines.pool.interface import ReadyForNext, make_worker, pulse_of, to_sendable_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.pool.interface import Worker

__all__ = ["WorkerActor"]


_FED = 2
"""Parts of a long input that may wait in the actor."""


class _Turns:
    """Lets calls begin in the order of their numbers, whatever order they arrive in.

    A call begins when the one before it has ended, or has let it begin.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._next, self._inside = 0, 0
        self._at: int | None = None
        """The call that began last, while it blocks the next one."""
        self._skipped: set[int] = set()

    def begin(self, number: int, *, alone: bool = False) -> bool:
        """Wait for a call's turn; returns whether it may begin, as it may have been skipped.

        alone: also wait until all others have ended.
        """
        with self._change:
            self._change.wait_for(
                lambda: number in self._skipped or (number == self._next and not (alone and self._inside))
            )
            if number in self._skipped:
                return False
            self._at = number
            self._inside += 1
            return True

    def free(self, number: int) -> None:
        """Allow the next call to begin."""
        with self._change:
            if number == self._next:
                self._advance()

    def end(self, number: int) -> None:
        """Record that a call has ended."""
        with self._change:
            self._inside -= 1
            if number == self._next:
                self._advance()
            self._change.notify_all()

    def skip(self, number: int) -> bool:
        """Withdraw a call; returns False if it has begun."""
        with self._change:
            if number < self._next or number == self._at:
                return False
            self._skipped.add(number)
            if number == self._next:
                self._advance()
            self._change.notify_all()
            return True

    def _advance(self) -> None:
        self._at = None
        self._next += 1
        while self._next in self._skipped:
            self._next += 1
        self._change.notify_all()


class WorkerActor:
    """Creates a worker from a setup, and runs one task after another.

    If the worker allows it, a task begins while the last one finishes. `prepare` and `run` wait for their
    turns; `hello`, `feed` and `withdraw` run at once, in separate threads.
    """

    THREADS: ClassVar = {"work": 4, "side": 2, "stay": 1}
    """By concurrency group: one thread for every call that can be pending at a time, as waiting calls need
    one too."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._turns = _Turns()
        self._lock = threading.Lock()
        self._inputs: dict[int, queue.Queue[tuple[bytes, bool]]] = {}
        self._counters: dict[str, Any] = {}

    @ray.method(concurrency_group="side")
    def hello(self) -> dict[str, Any]:
        """Facts about this process."""
        context = ray.get_runtime_context()
        devices = [d for ids in context.get_accelerator_ids().values() for d in ids]
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "node": context.get_node_id(),
            "devices": devices,
            "code": code_digest(),
        }

    @ray.method(concurrency_group="stay")
    def stay(self) -> None:
        """Never return: the driver sees this call fail when the process ends."""
        threading.Event().wait()

    @ray.method(concurrency_group="work")
    def prepare(self, turn: int, worker: str, setup: bytes, files: dict[str, list[Any]]) -> tuple[str, Any]:
        """Create a worker: returns ("facts", its facts) or ("error", the exception).

        files: name, beginning with a SHA-256 -> reference to the bytes.
        """
        self._turns.begin(turn, alone=True)
        self._worker = None  # two at once may not fit
        try:
            made = pickle.loads(setup)  # noqa: S301 - from our driver
            if files:
                made = made.placed({name: _kept(name, refs[0]) for name, refs in files.items()})
            self._worker = make_worker(worker, made)
            gc.collect()  # of an earlier worker
            gc.freeze()  # what is there now stays; later collections need not look through all of torch
        except BaseException as error:  # noqa: BLE001 - reported to the driver
            return "error", to_sendable_error(error)
        finally:
            self._turns.end(turn)
        return "facts", self._worker.facts

    @ray.method(concurrency_group="work", num_returns="streaming")
    def run(self, turn: int, payload: Any, whole: bool, *parts: bytes) -> Iterator[tuple[str, Any]]:
        """Run a task: yields ("item", value)…, then ("last", value).

        ("done", None) if there were no items, ("error", error) after an error. One of the items may come as
        ("free", value): the next task is then begun. Each item is held back until the next one exists, so
        that the last one can be marked as the last; this saves a message per task. whole: the input is
        complete.
        """
        if not self._turns.begin(turn):
            return
        incoming = self._pieces(turn, parts, whole)
        held: list[Any] = []
        try:
            assert self._worker is not None
            for item in self._worker.run(payload, incoming):
                value = item.value if isinstance(item, ReadyForNext) else item
                self._count(value)
                if held:
                    yield "item", held.pop()
                if isinstance(item, ReadyForNext):
                    deque(incoming, 0)
                    yield "free", value
                    self._turns.free(turn)
                else:
                    held.append(value)
            deque(incoming, 0)
            yield ("last", held.pop()) if held else ("done", None)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - reported to the driver
            yield "error", to_sendable_error(error)
        finally:
            with self._lock:
                self._inputs.pop(turn, None)
            self._turns.end(turn)

    def _pieces(self, turn: int, parts: tuple[bytes, ...], whole: bool) -> Iterator[Any]:
        for part in parts:
            yield pickle.loads(part)  # noqa: S301 - from our driver
        line = self._line(turn)
        while not whole:
            # without a time limit: the driver watches this process, and Ray ends it with the driver
            part, whole = line.get()
            if part:
                yield pickle.loads(part)  # noqa: S301 - from our driver

    def _line(self, turn: int) -> queue.Queue[tuple[bytes, bool]]:
        with self._lock:
            return self._inputs.setdefault(turn, queue.Queue(maxsize=_FED))

    @ray.method(concurrency_group="side")
    def feed(self, turn: int, last: bool, part: bytes) -> bool:
        """Accept more input for a task.

        Returns False if the queue is full; the caller then has to send it again.
        """
        try:
            self._line(turn).put((part, last), timeout=0.5)
        except queue.Full:
            return False
        return True

    def _count(self, item: Any) -> None:
        """Update counters of the cluster's monitoring, for items that have some."""
        for name, tags, amount in getattr(item, "counts", tuple)():
            if name not in self._counters:
                self._counters[name] = Counter(name, tag_keys=tuple(tags))
            if amount > 0:
                self._counters[name].inc(amount, tags=tags)

    @ray.method(concurrency_group="side")
    def pulse(self) -> int:
        """The worker's progress: a new value each time, unless it hangs."""
        return pulse_of(self._worker)

    @ray.method(concurrency_group="side")
    def withdraw(self, turn: int) -> bool:
        """Withdraw a task; returns False if it has begun."""
        return self._turns.skip(turn)


def _kept(name: str, ref: Any) -> Path:
    """A file on this node, named by its SHA-256; fetched if it is missing."""
    private = os.environ.get("VSR_RAY_FOLDER")  # deleted with the private cluster
    folder = Path(private) / "files" if private else Path("/tmp") / f"vsr-files-{os.getuid()}"  # noqa: S108 - content is checked by hash
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ResourceError(f"{folder}: is a symbolic link or belongs to another user; remove it")
    if path.is_symlink() or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != path.stem:
        partial = folder / f"{name}.{os.getpid()}"
        partial.write_bytes(ray.get(ref))
        os.replace(partial, path)
    return path
