"""Opens the pool of workers of a run: child processes here, or Ray actors on a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from models.catalog.card import INTERPOLATORS
from models.catalog.lookup import network_names
from pipelines.hardware.resources import WorkerAllocation, allocate_workers
from pipelines.pool.process_pool import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipelines.plan.plan import Plan
    from pipelines.pool.interface import WorkerPool
    from pipelines.settings.run_settings import ExecutionSettings

__all__ = ["open_workers"]


@contextmanager
def open_workers(
    settings: ExecutionSettings, environment: Mapping[str, str] | None = None, plan: Plan | None = None
) -> Iterator[WorkerPool]:
    """Open the pool of the settings: child processes, or a cluster for the duration of the context.

    environment: more variables of the children. plan: the plan they are for, if known.
    """
    allocation = allocate_workers(settings, plan)
    if settings.cluster is None:
        yield local_workers(settings, environment or {}, allocation)
        return
    from pipelines.cluster.ray_session import ClusterResources, open_session

    session, most, cpus = open_session(
        settings.cluster,
        ClusterResources(len(allocation.devices), _ALLOCATOR),
        workers=settings.workers,
        cpus_per_worker=settings.cpus_per_worker,
        usual=allocation.workers,
    )
    with session:
        from pipelines.cluster.ray_pool import RayPool  # Ray is loaded now, as the session wants it

        with RayPool(
            session,
            workers=most,
            gpus_per_worker=settings.gpus_per_worker
            or (WorkerAllocation(most, allocation.devices).share if session.private and most else 1.0),
            cpus_per_worker=cpus,
            device=settings.device,
            environment={} if session.private else _ALLOCATOR,
        ) as cluster:
            yield cluster


def local_workers(
    settings: ExecutionSettings, environment: Mapping[str, str], allocation: WorkerAllocation
) -> ProcessPool:
    """Create a pool of child processes. environment: variables in addition to the common ones."""
    environments = [{**one, **environment} for one in _environments(settings, allocation)]
    return ProcessPool(environments) if settings.workers else ProcessPool(environments, allocation.surplus)


_ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_ARENA_MAX": "1",
}
"""glibc keeps large blocks instead of returning their pages after every layer, which costs more than the
arithmetic: none is mapped separately (the threshold for that can't be raised above 32 MB, and maps of 64
channels are larger). One arena, or every thread would keep a separate one."""


def _environments(settings: ExecutionSettings, allocation: WorkerAllocation) -> list[dict[str, str]]:
    """One set of environment variables per worker."""
    if not allocation.devices:
        return [_ALLOCATOR | _waiting(settings.model) for _ in range(allocation.workers)]
    return [_ALLOCATOR | allocation.environment(n) for n in range(allocation.workers)]


def _waiting(model: str) -> dict[str, str]:
    """How threads wait for each other: asleep if only classical scalers are used.

    Those finish soon, and threads that spin afterwards take cores from the encoder: Lanczos to 4K next to
    x264 superfast ran at 7.5 frames per second instead of 5.6 on two cores. Convolutions are no faster this
    way.
    """
    classical = all(name in INTERPOLATORS for name in network_names(model))
    return {"OMP_WAIT_POLICY": "PASSIVE"} if classical and "OMP_WAIT_POLICY" not in os.environ else {}
