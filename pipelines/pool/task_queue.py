"""`TaskQueue`: the tasks of one call that wait to be taken, and where each of them failed."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from pipelines.pool.interface import ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable

    from pipelines.pool.interface import Task

__all__ = ["Device", "TaskQueue"]


Device = tuple[str, ...]
"""A machine, and the GPUs of it that a worker has; a child process of ours is on none that has a name."""


class TaskQueue:
    """Hands tasks out in order.

    A task that failed before has a worker for itself: nothing is begun beside it, nor it beside anything. So
    of two tasks that a worker had in hand when it died, each is blamed once at most in the other's place, and
    only the one that ends its worker every time runs out of attempts. And it is tried on another device
    first, where there is one, or a broken GPU would use them up.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._waiting = deque(tasks)
        self._failures: dict[int, Counter[Device]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def take(
        self, *, beside: Collection[Task] = (), device: Device = (), devices: Iterable[Device] = ()
    ) -> Task | None:
        """The next task for a worker that has `beside` in hand.

        None where there is none, or where this worker has to wait.

        device: the worker's. devices: of all that could take it.
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
        """Tasks, in order, that were taken and are to be taken next again."""
        self._waiting.extendleft(reversed(list(tasks)))

    def blame(self, task: Task, device: Device = ()) -> None:
        """An attempt at a task failed."""
        self._failures.setdefault(task.key, Counter())[device] += 1

    def is_spent(self, task: Task, machines: Container[str] | None = None) -> bool:
        """Whether all attempts at a task are used up.

        machines: those there still are, for attempts on others do not count.
        """
        failures = self._failures.get(task.key, Counter())
        return (
            sum(count for device, count in failures.items() if machines is None or device[0] in machines)
            >= ATTEMPTS
        )

    def clear(self) -> None:
        """Nothing more is to be handed out."""
        self._waiting.clear()
