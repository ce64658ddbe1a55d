"""`LatestFrames`: a frame of the latest finished chunk of a running job, before and after."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vsr.server.jobs.job_queue import QueuedJob
    from vsr.server.media.side_calls import MediaCalls

__all__ = ["LatestFrames"]


_MOST = 8
"""Jobs with cached frames."""


@dataclass(frozen=True)
class _Kept:
    chunks_done: int
    chunk: int
    before: bytes
    after: bytes


class LatestFrames:
    """Updated when a job has finished another chunk.

    A job that has ended keeps its last frames.
    """

    def __init__(self, media: MediaCalls) -> None:
        self._media = media
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def __call__(self, job: QueuedJob) -> tuple[bytes, bytes] | None:
        """JPEG files of one size; None before the first chunk. Raises BusyError, RefusedError."""
        done = (job.progress or {}).get("chunks_done", 0)
        with self._lock:
            kept = self._kept.get(job.id)
            if kept is not None and (kept.chunks_done == done or job.state != "running"):
                return kept.before, kept.after
            if job.output is None or not done or job.state not in {"running", "paused", "queued"}:
                return None
            found = self._media("pair", job.output, kept.chunk if kept is not None else -1)
            if found:
                kept = _Kept(
                    done, found["chunk"], base64.b64decode(found["before"]), base64.b64decode(found["after"])
                )
            if kept is None:
                return None
            self._kept[job.id] = kept
            while len(self._kept) > _MOST:
                self._kept.pop(next(iter(self._kept)))
            return kept.before, kept.after
