"""`ObjectRefs`: inputs of tasks in the object store of a cluster."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.cluster.pending_calls import PendingCall, RunningTask
    from pipelines.pool.interface import Task

__all__ = ["ObjectRefs"]


_PARTS = 16
"""Parts of an input that are sent with the task; the rest of a longer one is sent while the task runs."""
_STORE_SHARE = 0.4
"""Share of the driver's object store; above it, no second tasks are assigned."""


class ObjectRefs:
    """Puts inputs into the object store, within a budget, and keeps those of tasks to be done again."""

    def __init__(self) -> None:
        self._held = 0
        self._budget = _store_bytes() * _STORE_SHARE or 256 << 20
        self._kept: dict[tuple[PendingCall, int], tuple[list[Any], int]] = {}
        """Returned task -> its input, which need not be read again, and its size."""
        self._files: dict[str, list[Any]] = {}

    @property
    def is_full(self) -> bool:
        """Whether more inputs would make the store spill to disk."""
        return self._held > self._budget

    def file(self, name: str, path: Path) -> list[Any]:
        """Return a reference to a file's bytes, which are stored once.

        The reference is in a list, so that Ray does not fetch the bytes if they are not needed.
        """
        if name not in self._files:
            self._files[name] = [ray.put(path.read_bytes())]
        return self._files[name]

    def first(self, call: PendingCall, task: Task) -> tuple[list[Any], int, Iterator[Any] | None, int | None]:
        """A task's input: (references to its first parts, their bytes, remaining pieces, number of the feed).

        Raises the errors of the feed.
        """
        number, rest = None, None
        if (call, task.key) in self._kept:
            parts, size = self._kept.pop((call, task.key))
            self._held -= size
        else:
            number = next(n for n in itertools.count() if n not in call.feeding)
            pieces = iter(call.feed(number, task))
            data = [
                pickle.dumps(piece, pickle.HIGHEST_PROTOCOL) for piece in itertools.islice(pieces, _PARTS)
            ]
            size = sum(map(len, data))
            parts = [ray.put(part) for part in data]
            if len(data) == _PARTS:
                rest = pieces
                call.feeding.add(number)
        self._held += size
        return parts, size, rest, number if rest is not None else None

    def more(self, run: RunningTask) -> tuple[Any, bool]:
        """Return the next part of a long input: (reference, whether it is the last part).

        Raises the errors of the feed.
        """
        assert run.pieces is not None
        piece = next(run.pieces, None)
        data = b"" if piece is None else pickle.dumps(piece, pickle.HIGHEST_PROTOCOL)
        return ray.put(data), piece is None

    def is_fed(self, run: RunningTask) -> None:
        """Release a task's feed, so that another task can use its number."""
        if run.feed is not None:
            if isinstance(run.pieces, Generator):
                # a task that was taken back is read again; its previous reader must have ended by then
                run.pieces.close()
            run.call.feeding.discard(run.feed)
            run.feed = None

    def release(self, run: RunningTask) -> None:
        """Release the input of a task that an actor has finished or lost."""
        self._held -= run.size
        self.is_fed(run)

    def keep(self, run: RunningTask) -> None:
        """Keep the input of a task that has to be done again; a long input is read again instead."""
        if run.pieces is None:
            self._kept[run.call, run.task.key] = run.parts, run.size
            self._held += run.size

    def forget(self, call: PendingCall) -> None:
        """Drop the inputs of a finished call."""
        for key in [key for key in self._kept if key[0] is call]:
            self._held -= self._kept.pop(key)[1]


def _store_bytes() -> float:
    here = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return float(
        next((n["Resources"].get("object_store_memory", 0) for n in nodes if n["NodeID"] == here), 0)
    )
