"""Which frames of two videos belong together.

By their times, and whether what they show then is the same moment; pure.

Times are compared exactly. What is shown is compared by thumbnails against those of the frames before and
behind: a copy with its pictures one frame late has the right times and the wrong content.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.plan.timeline import Timeline

__all__ = ["Align", "LagFinder", "Misaligned", "Pairing", "pair"]


Align = Literal["pts", "start", "part"]
"""Frames are paired by their times; by those since each video's first frame; or the others show the part of
the first that is looked at."""


@dataclass(frozen=True)
class Misaligned:
    """Event: frames of a video do not belong to those they were held against."""

    kind: Literal["count", "times", "shift"]
    """Another number of frames; frames at times where the other has none; right times, but another moment is
    shown."""
    file: str
    frames: int
    """count: how many more it has; times: how many of its and of the other's frames have no partner; shift:
    how many frames late."""
    text: str


@dataclass(frozen=True, eq=False)
class Pairing:
    """Which frame goes with which."""

    pairs: list[tuple[int, int]]
    """Numbers of frames shown at the same time, of the first and of the second video, ascending."""
    alone: tuple[list[int], list[int]]
    """Those of the first and of the second that have no partner."""
    apart: float
    """Most seconds between the times of a pair."""


def pair(first: Timeline, second: Timeline, *, origin: int | None = None) -> Pairing:
    """Pair the frames of two videos by time.

    Two frames belong together where their times differ by less than half the way to the nearest neighbour of
    either, so that what containers round (Matroska: 1 ms) makes no difference. origin: frame of the first
    video at which the second one begins; None: times are taken as they are.
    """
    unit = lcm(first.time_base.denominator, second.time_base.denominator)
    times = [[int(p * t.time_base * unit) for p in t.pts] for t in (first, second)]
    if origin is not None:
        times = [[t - line[number] for t in line] for line, number in zip(times, (origin, 0), strict=True)]
    tick = int(max(first.time_base, second.time_base) * unit)
    a, b = times
    # nothing but the coarser one's rounding
    if len(a) == len(b) and all(2 * abs(x - y) <= tick for x, y in zip(a, b, strict=True)):
        return Pairing(
            [(n, n) for n in range(len(a))],
            ([], []),
            max((abs(x - y) for x, y in zip(a, b, strict=True)), default=0) / unit,
        )
    pairs: list[tuple[int, int]] = []
    alone_a: list[int] = []
    alone_b: list[int] = []
    apart = i = j = 0
    while i < len(a) and j < len(b):
        difference = b[j] - a[i]
        if 2 * abs(difference) < min(_step(a, i), _step(b, j)) or difference == 0:
            pairs.append((i, j))
            apart = max(apart, abs(difference))
            i, j = i + 1, j + 1
        elif difference > 0:
            alone_a.append(i)
            i += 1
        else:
            alone_b.append(j)
            j += 1
    alone_a += range(i, len(a))
    alone_b += range(j, len(b))
    return Pairing(pairs, (alone_a, alone_b), apart / unit)


def _step(times: Sequence[int], number: int) -> int:
    """To the nearest neighbour; of a single frame endless."""
    gaps = [abs(times[n] - times[number]) for n in (number - 1, number + 1) if 0 <= n < len(times)]
    return min(gaps, default=1 << 62)


_LAGS = 30
"""As far as is looked, in frames to either side."""
_WINDOW = 48
"""Frames that are judged together."""
_LEAST_WINDOW = 6
_LEAST_DIFFERENCE = 0.02
"""Mean difference of thumbnails in 8-bit codes below which nothing moves, so that nothing can be said."""


class LagFinder:
    """Of pairs of frames that come one after the other.

    By how many frames one video shows everything later than the other.
    """

    def __init__(self) -> None:
        self._first: deque[np.ndarray] = deque(maxlen=_LAGS + 1)
        self._second: deque[np.ndarray] = deque(maxlen=_LAGS + 1)
        self._sums, self._counts = np.zeros(2 * _LAGS + 1), np.zeros(2 * _LAGS + 1)
        self._seen = 0
        self._found: list[tuple[int, int, int]] = []

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Thumbnails of a pair, in 8-bit codes.

        Their own mean brightness is left out, or a fade would look like a lag.
        """
        self._first.append(first - first.mean())
        self._second.append(second - second.mean())
        for back in range(len(self._first)):
            for lag, (one, other) in {back: (-1 - back, -1), -back: (-1, -1 - back)}.items():
                self._sums[_LAGS + lag] += float(np.abs(self._first[one] - self._second[other]).mean())
                self._counts[_LAGS + lag] += 1
        self._seen += 1
        if self._counts[_LAGS] == _WINDOW:
            self._judge()

    def _judge(self) -> None:
        here = int(self._counts[_LAGS])
        known = self._counts >= min(here, max(_LEAST_WINDOW, here // 2))
        means = np.where(known, self._sums / np.maximum(self._counts, 1), np.inf)
        by_closeness = sorted(range(-_LAGS, _LAGS + 1), key=abs)
        best = min(by_closeness, key=lambda lag: means[_LAGS + lag])
        own = means[_LAGS]
        lag = best if own > _LEAST_DIFFERENCE and means[_LAGS + best] < own / 2 else 0
        start = self._seen - here
        if self._found and self._found[-1][2] == lag:
            start = self._found.pop()[0]
        self._found.append((start, self._seen, lag))
        self._sums[:], self._counts[:] = 0, 0

    def stretches(self) -> list[tuple[int, int, int]]:
        """(first pair, one past the last, frames that the second video is late there: negative where it is
        early), all over the clip.
        """
        if self._counts[_LAGS] >= _LEAST_WINDOW:
            self._judge()
        return self._found
