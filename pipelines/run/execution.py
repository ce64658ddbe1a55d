"""`Execution`: which workers make the chunks of a plan, and what stops them early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.workers.messages import WorkerKind

if TYPE_CHECKING:
    import threading

    from pipelines.pool.interface import WorkerPool
    from pipelines.settings.run_settings import ExecutionSettings

__all__ = ["Execution"]


@dataclass(frozen=True)
class Execution:
    """Which workers make chunks, and what stops them before all are made."""

    settings: ExecutionSettings
    worker: str = WorkerKind.CHUNK_UPSCALER
    """"module:Class"; tests use another one."""
    workers: WorkerPool | None = None
    """Pool to use; None: child processes, or the cluster of the settings."""
    stop: threading.Event | None = None
    """When set, current chunks are finished and kept."""

    @property
    def is_stopped(self) -> bool:
        """Whether a stop was requested."""
        return self.stop is not None and self.stop.is_set()
