"""`TaskQueue`: the pending tasks of one call, and on which devices each of them failed."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from pipelines.pool.interface import ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable

    from pipelines.pool.interface import Task

__all__ = ["Device", "TaskQueue"]


Device = tuple[str, ...]
"""A machine, and the GPUs that a worker has on it; empty for a child process."""


class TaskQueue:
    """Hands out tasks in order.

    A task that failed before is run alone on its worker. So if a worker that had two tasks dies, each is
    blamed at most once for the other, and only a task that ends its worker every time runs out of attempts.
    It is tried on another device first, if there is one, as a broken GPU would use up its attempts.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._waiting = deque(tasks)
        self._failures: dict[int, Counter[Device]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def take(
        self, *, beside: Collection[Task] = (), device: Device = (), devices: Iterable[Device] = ()
    ) -> Task | None:
        """The next task for a worker that also works on `beside`.

        None if there is none, or if this worker has to wait. device: this worker's. devices: those of
        all workers that could run it.
        """
        if not self._waiting:
            return None
        failed_on = self._failures.get(self._waiting[0].key, Counter[Device]())
        if beside and (failed_on or any(task.key in self._failures for task in beside)):
            return None
        if device in failed_on and any(d not in failed_on for d in devices):
            return None
        return self._waiting.popleft()

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Return taken tasks to the front of the queue, in the given order."""
        self._waiting.extendleft(reversed(list(tasks)))

    def blame(self, task: Task, device: Device = ()) -> None:
        """Record a failed attempt at a task."""
        self._failures.setdefault(task.key, Counter())[device] += 1

    def is_spent(self, task: Task, machines: Container[str] | None = None) -> bool:
        """Whether all attempts at a task are used up.

        machines: existing ones; attempts on others do not count.
        """
        failures = self._failures.get(task.key, Counter())
        return (
            sum(count for device, count in failures.items() if machines is None or device[0] in machines)
            >= ATTEMPTS
        )

    def clear(self) -> None:
        """Drop all pending tasks."""
        self._waiting.clear()
