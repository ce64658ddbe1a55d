"""Progress messages of a worker, also while a single frame takes long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipelines.inference.temporal_windows import FrameBuffer
from pipelines.media.video_info import Frame
from pipelines.workers.messages import ChunkProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipelines.workers.stage_threads import Prefetch, StageClock

__all__ = ["ProgressReports", "advance_buffer"]


_REPORT_SECONDS = 0.5


class ProgressReports:
    """Work done since the last report.

    Reports are also sent if no frame is finished for long, or the worker would count as hung.
    """

    def __init__(self, clock: StageClock, notes: list[str]) -> None:
        self._clock, self._notes = clock, notes
        self._told = time.monotonic()
        self._decoded = self._told_decoded = 0
        self.frames = 0
        """Finished frames."""

    def decoded(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The decoder's frames, counted as they pass."""
        for frame in frames:
            self._decoded += 1
            yield frame

    def now(self) -> ChunkProgress:
        """A report."""
        notes, frames = tuple(self._notes), self.frames
        self._notes.clear()
        self.frames, self._told, self._told_decoded = 0, time.monotonic(), self._decoded
        return ChunkProgress(frames, self._clock.take(), notes)

    def due(self) -> Iterator[ChunkProgress]:
        """A report, if the last one was some time ago."""
        if time.monotonic() - self._told > _REPORT_SECONDS:
            yield self.now()

    def decoding(self) -> Iterator[ChunkProgress]:
        """A report, if the decoder has returned anything since the last one."""
        if self._decoded > self._told_decoded:
            yield self.now()


def advance_buffer(
    buffer: FrameBuffer, number: int, ahead: Prefetch, reports: ProgressReports
) -> Iterator[ChunkProgress]:
    """Advance the buffer to a frame, which may need only decoding for a long time.

    The frames before it are pre-roll, or belong to chunks that are already finished.
    """
    while buffer.next <= number:
        while not ahead.is_there(_REPORT_SECONDS):
            yield from reports.decoding()
        _ = buffer[buffer.next]
        yield from reports.due()
