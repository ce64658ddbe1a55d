"""Which frames of two videos belong together: matched by time, and checked by content.

Times are compared exactly. Content is compared by thumbnails with those of the frames before and after: a
copy with its content one frame late has the right times and the wrong content.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.plan.timeline import Timeline

__all__ = ["Align", "LagFinder", "Misaligned", "Pairing", "pair_frames"]


Align = Literal["pts", "start", "part"]
"""Match frames by their times; by times since each video's first frame; or the others show the examined part
of the first."""


@dataclass(frozen=True)
class Misaligned:
    """Event: frames of a video do not match those they are compared with."""

    kind: Literal["count", "times", "shift", "shape"]
    """Another number of frames; frames at times without a partner; right times, but other content; another
    aspect ratio."""
    file: str
    frames: int
    """count: how many more it has; times: how many of its and of the other's frames have no partner; shift:
    how many frames late; shape: 0."""
    text: str


@dataclass(frozen=True, eq=False)
class Pairing:
    """Frames of two videos that match."""

    pairs: list[tuple[int, int]]
    """Numbers of frames shown at the same time, in the first and the second video, ascending."""
    alone: tuple[list[int], list[int]]
    """Frames of the first and of the second without a partner."""
    apart: float
    """Largest difference in seconds between the times of a pair."""


_NOT_LATER = Fraction(0)


def pair_frames(
    first: Timeline, second: Timeline, *, origin: int | None = None, later: Fraction = _NOT_LATER
) -> Pairing:
    """Match the frames of two videos by time.

    Two frames match if their times differ by less than half the distance to the nearest neighbour of either,
    so the rounding of containers (Matroska: 1 ms) makes no difference. origin: frame of the first video at
    which the second one begins; None: times are used as they are. later: known delay of the second video's
    content, in seconds.
    """
    unit = lcm(first.time_base.denominator, second.time_base.denominator, later.denominator)
    ticks = [int(t.time_base * unit) for t in (first, second)]
    times = [[p * ticks[0] for p in first.pts], [p * ticks[1] - int(later * unit) for p in second.pts]]
    if origin is not None:
        times = [[t - line[number] for t in line] for line, number in zip(times, (origin, 0), strict=True)]
    tick = int(max(first.time_base, second.time_base) * unit)
    a, b = times
    # only the rounding of the coarser one
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
    """Distance to the nearest neighbour; infinite for a single frame."""
    gaps = [abs(times[n] - times[number]) for n in (number - 1, number + 1) if 0 <= n < len(times)]
    return min(gaps, default=1 << 62)


_LAGS = 30
"""Search range, in frames to either side."""
_WINDOW = 48
"""Frames that are judged together."""
_LEAST_WINDOW = 6
_LEAST_DIFFERENCE = 0.02
"""Mean difference of thumbnails in 8-bit values below which nothing moves, so that nothing can be decided."""


class LagFinder:
    """Detects by how many frames the content of one video is late, from pairs of frames in order."""

    def __init__(self) -> None:
        self._first: deque[np.ndarray] = deque(maxlen=_LAGS + 1)
        self._second: deque[np.ndarray] = deque(maxlen=_LAGS + 1)
        self._sums, self._counts = np.zeros(2 * _LAGS + 1), np.zeros(2 * _LAGS + 1)
        self._seen = 0
        self._found: list[tuple[int, int, int]] = []

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Add thumbnails of a pair, in 8-bit values.

        Their mean brightness is removed, or a fade would look like a lag.
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
        """Return (first pair, one past the last, frames by which the second video is late) for each stretch.

        The number is negative if the second video is early. This is measured over the whole clip.
        """
        if self._counts[_LAGS] >= _LEAST_WINDOW:
            self._judge()
        return self._found
