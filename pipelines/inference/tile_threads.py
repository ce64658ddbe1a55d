"""`TileThreadPool`: threads that run a network on several tiles at once, each with a share of the cores.

A convolution on all cores waits for the slowest of them, which is often slowed by the encoder, and operations
between convolutions use one core only. With several tiles side by side there is one wait per frame. With more
tiles side by side than cores, that wait is shorter: the system distributes the cores among the tiles that are
left.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["TileThreadPool"]


_MOST = 4
"""Each thread holds the feature maps of its tile."""
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class TileThreadPool:
    """Threads that process tiles, each with an equal share of torch's threads, or with one of them.

    Bits do not depend on their number (tests/pipelines/inference/test_tile_threads.py).
    """

    def __init__(self, most: int, *, small_maps: bool = False) -> None:
        """most: number of tiles available at once. small_maps: memory allows more tiles than cores."""
        cores = torch.get_num_threads()
        self.done = 0
        """Number of finished tiles: shows progress if a single frame takes long."""
        most = max(1, min(most, _MOST))
        self.count = max(n for n in range(1, min(cores, most) + 1) if cores % n == 0)
        if small_maps and 1 < cores < most:
            self.count = most
        self._pool = ThreadPoolExecutor(self.count, "tile") if self.count > 1 else None
        if self._pool is None:
            return
        # The number that a thread sets applies to itself and to threads that use torch for the first time
        # later, but not to threads that have read it before.
        together = threading.Barrier(self.count)

        def begin() -> None:
            together.wait()
            torch.set_num_threads(max(1, cores // self.count))
            torch.get_num_threads()
            together.wait()

        for future in [self._pool.submit(begin) for _ in range(self.count)]:
            future.result()
        torch.set_num_threads(cores)

    def map(self, work: Callable[[_Given], _Made], given: Sequence[_Given]) -> Iterator[_Made]:
        """Yield results in order. Raises what `work` raises, after all threads have finished."""
        if self._pool is None or len(given) < 2:
            for one in given:
                made = work(one)
                self.done += 1
                yield made
            return
        futures: list[Future[_Made]] = []
        try:
            futures += (self._pool.submit(work, one) for one in given)
            for future in futures:
                made = future.result()
                self.done += 1
                yield made
        finally:
            for future in futures:
                if not future.cancel():
                    future.exception()
