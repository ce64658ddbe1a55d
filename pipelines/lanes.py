"""`Lanes`: threads that run a network on several tiles at once, each with its share of the cores.

A convolution on all cores waits at its end for the slowest of them, and the encoder at work beside it always holds one up;
what is not a convolution runs on one core only. Tiles side by side wait for each other once a frame.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Lanes"]

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class Lanes:
    """As many as torch has threads, and at most `count`; bits do not depend on it (tests/pipelines/test_lanes.py)."""

    def __init__(self, count: int) -> None:
        """count: of what there is to do at once, the tiles of a frame."""
        cores = torch.get_num_threads()
        self.count = max(1, min(cores, count))
        self._pool = ThreadPoolExecutor(self.count, "tile", torch.set_num_threads, (max(1, cores // self.count),)) if self.count > 1 else None

    def map(self, work: Callable[[_Given], _Made], given: Sequence[_Given]) -> Iterator[_Made]:
        """Results in order. Raises what `work` raises, once nothing else is at work."""
        if self._pool is None or len(given) < 2:
            yield from map(work, given)
            return
        futures = [self._pool.submit(work, one) for one in given]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                if not future.cancel():
                    future.exception()
