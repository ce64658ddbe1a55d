"""Events as a progress bar, or as JSON lines for a scheduler."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TextIO

from models.errors import counted
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
from vsr.views.plan_view import plan_details, plan_line
from vsr.views.text import duration, printable, size_text, speed_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tqdm import tqdm

    from pipelines.plan.plan import Plan

__all__ = ["ProgressView"]


class ProgressView:
    """A tqdm bar on standard error; before it the plan, after it a line with the result."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        quiet: bool = False,
        verbose: bool = False,
        label: str = "",
        stopping: Callable[[], bool] = bool,
        expected: Callable[[Plan], float | None] = lambda _: None,
    ) -> None:
        """label: text before the bar, if several are shown. verbose: show the whole plan, and every chunk.

        stopping: whether a stop was requested. expected: estimated frames per second of a plan.
        """
        self._expected = expected
        self._stopping = stopping
        self._verbose = verbose
        self._label = printable(label)
        self._rates = _Rates()
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None
        self._is_learned = True

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Planned):
            self._begin(event)
        elif isinstance(event, Advanced):
            self._advance(event)
        elif isinstance(event, ChunkFinished) and self._verbose:
            where = f" on {event.host}" if event.host else ""
            made = f"{counted(event.frames, 'frame')} by worker {event.worker}{where}"
            self._say(f"  chunk {event.index}: {made}; {event.chunks_done} of {event.chunks} are done")
        elif isinstance(event, Phase):
            self._postfix(event.text)
        elif isinstance(event, Note):
            self._say(event.text)
        elif isinstance(event, Finished):
            self.close()
            made = "" if event.made == event.frames else f"{event.made} of them now, "
            speed = (
                f"{made}{speed_text(event.fps, event.seconds)}"
                if event.made
                else "all made by an earlier run"
            )
            limit = f", limited by {event.limiting}" if event.limiting else ""
            kept = f"; with {', '.join(event.kept)}" if event.kept else ""
            self._say(
                f"{event.output}: {counted(event.frames, 'frame')}, {size_text(event.bytes)},"
                f" {speed}{limit}{kept}; verified"
            )
        elif isinstance(event, AlreadyDone):
            self._say(f"{event.output}: already done")

    def _begin(self, event: Planned) -> None:
        self.close()  # of chunks that are begun again
        self._say(plan_line(event))
        for text in (*event.info.notes, *(f"left out: {d}" for d in event.dropped)):
            self._say(f"  {text}")
        if event.changed:
            self._say(f"  starting over: {', '.join(event.changed)} changed since the earlier run")
        plan = event.plan
        self._is_learned = plan.is_learned
        for text in plan_details(event) if self._verbose else ():
            self._say(f"  {text}")
        if event.chunks_done:
            self._say(f"  resuming: {event.chunks_done} of {counted(len(plan.chunks), 'chunk')} are done")
        if not self._quiet:
            from vsr.views.progress_bar import bar

            self._bar = bar(
                plan.frame_count,
                "frame",
                self._stream,
                self._label,
                done=event.frames_done,
                expected=self._expected(plan),
            )
            self._postfix("starting")  # the workers, which load their networks

    def _advance(self, event: Advanced) -> None:
        if self._bar is None or not event.step:
            return
        slowest = limit_text(event.seconds, is_learned=self._is_learned)
        limit = f"limited by {slowest}" if slowest else ""
        self._rates.add(event)
        said = ", ".join(t for t in (self._rates.text(), limit) if t)
        if event.frames >= event.total:
            said = "encoding the rest"  # it lags by the frames it looks ahead
        elif self._stopping():
            said = self._countdown(event.until_stop)
        self._postfix(said, refresh=False)
        self._bar.update(event.frames - self._bar.n)

    def _countdown(self, frames: int) -> str:
        """The text between a request to stop and the end."""
        if not frames:
            return "stopping: encoding the rest of the chunk"
        rate = self._bar.format_dict["rate"] if self._bar is not None else None
        when = f", about {duration(frames / rate)}" if rate else ""
        return f"stopping after {counted(frames, 'more frame')}{when}; Ctrl-C again stops now"

    def _postfix(self, text: str, *, refresh: bool = True) -> None:
        if self._bar is not None:
            # elsewhere every refresh is a line
            self._bar.set_postfix_str(text, refresh=refresh and self._stream.isatty())

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        text = printable(text)
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Rates:
    """Frames per second of each worker, over about the last minute."""

    _SECONDS = 60.0

    def __init__(self) -> None:
        self._steps: dict[int, deque[tuple[float, int]]] = {}

    def add(self, event: Advanced) -> None:
        now = time.monotonic()
        self._steps.setdefault(event.worker, deque()).append((now, event.step))
        for worker, steps in list(self._steps.items()):
            while steps and now - steps[0][0] > self._SECONDS:
                steps.popleft()
            if not steps:
                del self._steps[worker]  # gone, or without work

    def text(self) -> str:
        """The rates as text; empty for a single worker."""
        if len(self._steps) < 2:
            return ""
        rates = []
        for steps in self._steps.values():
            spent = steps[-1][0] - steps[0][0]
            rates.append(sum(n for _, n in list(steps)[1:]) / spent if spent > 0 else 0.0)
        return f"{len(rates)} workers, {sum(rates):.2f} fps ({min(rates):.2f} to {max(rates):.2f} each)"
