"""A bounded, fault-tolerant parallel map over Ray actors, for several callers at once.

It knows nothing of video. One thread, the scheduler, does everything. Actors hold nothing that is needed
after their death, so Ray's own restarts and retries are off; they would hide failures from the count of
attempts. The first caller is served first; others get the remaining workers, so that no worker is idle while
one call ends and the next begins.
"""

from __future__ import annotations

import pickle
import queue
import threading
from typing import TYPE_CHECKING, Any

import ray

from models.errors import ResourceError
from pipelines.cluster.nodes import NodeActors
from pipelines.cluster.object_refs import ObjectRefs
from pipelines.cluster.pending_calls import PendingCall
from pipelines.cluster.scheduler import Scheduler
from pipelines.pool.task_queue import TaskQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipelines.cluster.ray_session import RaySession
    from pipelines.pool.interface import Outcome, Task

__all__ = ["RayPool"]


class RayPool:
    """A `WorkerPool` over the actors of a Ray cluster, until `close`."""

    def __init__(
        self,
        session: RaySession,
        *,
        workers: int | None = None,
        gpus_per_worker: float = 1.0,
        cpus_per_worker: float | None = None,
        device: str = "auto",
        environment: dict[str, str] | None = None,
    ) -> None:
        """Place workers on the nodes of a session's cluster.

        workers: maximum number. gpus_per_worker: share of a GPU, if there are any. cpus_per_worker: None:
        the available ones, divided. device: "cpu" leaves GPUs unused. environment: variables of the workers.
        """
        nodes = NodeActors(
            most=workers or 1 << 20,
            gpus=gpus_per_worker,
            cpus=cpus_per_worker,
            device=device,
            environment=dict(environment or {}),
        )
        self._object_refs = ObjectRefs()
        self._scheduler = Scheduler(nodes, self._object_refs, says_host=not session.private)

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the actors."""
        self._scheduler.close()

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
        """See `WorkerPool.run_tasks`; may be called from several threads.

        A setup with `files` and `placed` gets its files sent along.
        """
        if not tasks:
            return
        files = (
            {name: self._object_refs.file(name, path) for name, path in setup.files().items()}
            if hasattr(setup, "files")
            else {}
        )
        call = PendingCall(
            TaskQueue(tasks),
            worker,
            ray.put(pickle.dumps(setup)),
            files,
            feed,
            admit,
            stop or threading.Event(),
        )
        self._scheduler.take(call)
        try:
            while True:
                try:
                    event = call.out.get(timeout=1.0)
                except queue.Empty as error:
                    if not self._scheduler.is_alive:
                        raise self._scheduler.broken or ResourceError("the cluster was left") from error
                    continue
                if event is None:
                    return
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            call.abandoned.set()
            while not call.over.wait(0.5) and self._scheduler.is_alive:
                pass  # until nobody calls `feed` any more

    def waiting(self) -> int:
        """Number of pending tasks of all callers."""
        return self._scheduler.waiting()
