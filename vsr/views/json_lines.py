"""Events of a run as JSON lines."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.plan.events import (
    Advanced,
    AlreadyDone,
    ChunkFinished,
    Event,
    Finished,
    Note,
    Phase,
    Planned,
    limit_text,
)
from vsr.views.plan_view import plan_table
from vsr.views.remaining_time import SpeedMeter

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.plan.plan import Plan

__all__ = ["JsonLines"]


class JsonLines:
    """Prints one JSON object per line to standard output.

    {"event": "plan" | "progress" | "chunk" | "phase" | "note" | "done" | "error", ...}.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        label: str = "",
        expected: Callable[[Plan], float | None] = lambda _: None,
    ) -> None:
        """label: the "input" of every line, if there are several.

        expected: estimated frames per second of a plan.
        """
        self._label = label
        self._stream = stream or sys.stdout
        self._pace = SpeedMeter()
        self._is_learned = True
        self._expected = expected

    def show(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Planned):
            self._pace, self._is_learned = SpeedMeter(self._expected(event.plan)), event.plan.is_learned
            self.write("plan", plan_table(event))
        elif isinstance(event, Advanced):
            if event.step:  # counting begins where the first frame is finished
                self._pace.add(time.monotonic(), event.frames)
            rate = self._pace.rate or 0.0
            limiting = limit_text(event.seconds, is_learned=self._is_learned)
            left = round((event.total - event.frames) / rate, 1) if rate else None
            self.write("progress", {"frames": event.frames, "total": event.total, "fps": round(rate, 3),
                                    "left_seconds": left, "seconds": event.seconds, "limiting": limiting,
                                    "worker": event.worker, "host": event.host})  # fmt: skip
        elif isinstance(event, ChunkFinished):
            self.write("chunk", {"index": event.index, "chunks_done": event.chunks_done,
                                 "chunks": event.chunks, "frames": event.frames, "worker": event.worker,
                                 "host": event.host})  # fmt: skip
        elif isinstance(event, Phase):
            self.write("phase", {"text": event.text})
        elif isinstance(event, Note):
            self.write("note", {"text": event.text})
        elif isinstance(event, Finished):
            self.write("done", {"output": event.output, "frames": event.frames, "made": event.made,
                                "bytes": event.bytes, "fps": round(event.fps, 3),
                                "seconds": round(event.seconds, 3), "limiting": event.limiting,
                                "kept": list(event.kept), "report": event.report})  # fmt: skip
        elif isinstance(event, AlreadyDone):
            self.write("done", {"output": event.output, "already": True})

    def write(self, kind: str, table: dict[str, Any]) -> None:
        """Write a line of that kind."""
        print(
            json.dumps({"event": kind, **({"input": self._label} if self._label else {}), **table}),
            file=self._stream,
            flush=True,
        )

    def close(self) -> None:
        """Do nothing."""
