"""A simulated CUDA device: three queues of work, executed as late as possible and in the worst order.

If the ring omits an event, or fills a buffer too early, the copies read values that should not be there yet,
and results are wrong.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch


class Event:
    def __init__(self, device: LazyDevice) -> None:
        self._device = device
        self.mark = 0
        """How often it was recorded."""
        self.passed = 0
        """How often the queue came to it."""

    def synchronize(self) -> None:
        self._device.until(lambda: self.passed >= self.mark)


class LazyDevice:
    """An `Accelerator` on the CPU. Any queue may run ahead of the others as far as events allow."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._queues: list[deque[tuple[str, Any]]] = []
        self._now = 0
        self.log: list[str] = []
        """What was done, in order: names of queues."""
        self.buffers: list[tuple[tuple[int, ...], torch.dtype, bool]] = []
        """Shape, dtype and whether page-locked of all that was allocated."""
        self._serving = False

    def stream(self) -> int:
        self._queues.append(deque())
        return len(self._queues) - 1

    def event(self) -> Event:
        return Event(self)

    @contextlib.contextmanager
    def on(self, stream: int) -> Iterator[None]:
        before, self._now = self._now, stream
        try:
            yield
        finally:
            self._now = before

    def wait(self, event: Event) -> None:
        self._queues[self._now].append(("wait", (event, event.mark)))

    def record(self, event: Event) -> None:
        event.mark += 1
        self._queues[self._now].append(("record", (event, event.mark)))

    def run(self, work: Callable[[], None]) -> None:
        self._queues[self._now].append(("run", work))

    def empty(self, layout: tuple[tuple[int, ...], torch.dtype], *, pinned: bool) -> torch.Tensor:
        shape, dtype = layout
        self.buffers.append((tuple(shape), dtype, pinned))
        return torch.full(shape, 77, dtype=dtype)

    def until(self, reached: Callable[[], bool]) -> None:
        """Work, one step of a random queue at a time, until the condition is true."""
        while not reached():
            ready = [n for n, queue in enumerate(self._queues) if queue and self._may(queue[0])]
            assert ready, "nothing can go on: somebody waits for what nobody will do"
            number = self._random.choice(ready)
            kind, what = self._queues[number].popleft()
            if kind == "run":
                what()
                self.log.append(["up", "compute", "down"][number % 3])
            elif kind == "record":
                event, mark = what
                event.passed = max(event.passed, mark)

    def _may(self, step: tuple[str, Any]) -> bool:
        kind, what = step
        return kind != "wait" or what[0].passed >= what[1]
