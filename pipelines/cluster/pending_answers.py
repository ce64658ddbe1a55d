"""`PendingAnswers`: references that the scheduler waits for, and their handlers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import ray

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection

    from pipelines.cluster.pending_calls import Actor, PendingCall, RunningTask

__all__ = ["PendingAnswers"]

_RESULTS = 8
"""Unread results of one caller; with more, nothing is fetched for it."""
_POLL_SECONDS = 0.25
"""Delay until a new caller, or a request to stop, is noticed; each poll costs a millisecond or two."""
_AT_ONCE_SECONDS = 0.002
"""An answer that comes sooner was there before, and there may be more."""
_IDLE_SECONDS = 0.02


class PendingAnswers:
    """Waits for answers of actors and for results of their tasks, and calls their handlers."""

    def __init__(self, on_step: Callable[[RunningTask], None]) -> None:
        """on_step: handles a result of a task."""
        self._on_step = on_step
        self._handlers: dict[Any, Callable[[], None]] = {}
        """Reference to an answer -> its handler."""
        self._streams: dict[Any, RunningTask] = {}
        """Stream of results -> its task."""
        self._many = False
        """Whether the last poll found several answers."""
        self.unheard: set[Actor] = set()
        """Actors with results that are not fetched for now."""

    def expect(self, ref: Any, handler: Callable[[], None]) -> None:
        """Call `handler` when the answer is available."""
        self._handlers[ref] = handler

    def drop(self, ref: Any) -> None:
        """Stop waiting for an answer."""
        self._handlers.pop(ref, None)

    def listen_to(self, actor: Actor) -> None:
        """Wait for results of the tasks that an actor has begun; no other task can have any."""
        self._streams.update({run.stream: run for run in actor.begun})

    def drop_stream(self, run: RunningTask) -> None:
        """Stop waiting for results of a task."""
        self._streams.pop(run.stream, None)

    def clear(self) -> None:
        """Stop waiting for anything."""
        self._handlers.clear()
        self._streams.clear()

    def handle_next(self, calls: Collection[PendingCall], closing: threading.Event) -> None:
        """Wait for the next answer, and handle all that are available by then.

        Callers with too many unread results are left out. Returns after `_POLL_SECONDS` without an answer.
        """
        full = {call for call in calls if call.out.qsize() >= _RESULTS}
        self.unheard = {run.actor for run in self._streams.values() if run.call in full} if full else set()
        waited = [*self._handlers, *(stream for stream, run in self._streams.items() if run.call not in full)]
        if not waited:
            closing.wait(_IDLE_SECONDS)
            return
        for ref in self._ready(waited):
            # handling one answer may have dropped another
            if ref in self._handlers:
                self._handlers[ref]()
            elif ref in self._streams:
                self._on_step(self._streams[ref])

    def _ready(self, waited: list[Any]) -> list[Any]:
        began = time.monotonic()
        ready, _ = ray.wait(waited, num_returns=1, timeout=_POLL_SECONDS)
        if ready and (self._many or time.monotonic() - began < _AT_ONCE_SECONDS):
            ready, _ = ray.wait(waited, num_returns=len(waited), timeout=0)
        self._many = len(ready) > 1  # among thousands, even an available answer takes longer to find
        return list(ready)
