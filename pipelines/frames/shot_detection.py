"""`ShotDetector`: where one shot ends and the next begins, frame by frame, from luma alone."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ShotDetector", "shots"]


_ROWS, _COLUMNS = 18, 32
_LEAST_CHANGE = 8.0
"""Mean absolute difference of thumbnails, in 8-bit values, below which nothing is a cut."""
_OUTSTANDING = 4.0
"""A cut changes the image this many times as much as the frames before it."""
_MEMORY_FRAMES = 12
_LEAST_HISTOGRAM_CHANGE = 0.1
"""Share of thumbnail samples that change their brightness class (of 16) at a cut; a pan moves samples but
keeps the classes."""
_MOST_LIKENESS = 0.6
"""Correlation of thumbnails above which they show the same content, however much brighter: a flash or a
fade."""
_FLAT_CODES = 1.0
"""Standard deviation of a thumbnail below which nothing is visible: the black at the end of a fade, after
which another shot begins."""


class ShotDetector:
    """Detects which frames begin a new shot; gets the frames of a film in order."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None
        self._changes: deque[float] = deque(maxlen=_MEMORY_FRAMES)

    def starts_shot(self, luma: np.ndarray, bits: int = 8) -> bool:
        """Whether this frame begins a shot.

        The first frame does, and the first one after a hard cut or a fade through black. luma: (H,W)
        integers.
        """
        thumbnail = _thumbnail(luma) / (1 << (bits - 8))
        last, self._last = self._last, thumbnail
        if last is None:
            return True
        change = float(np.abs(thumbnail - last).mean())
        usual = float(np.median(self._changes)) if self._changes else 0.0
        cut = (
            change > max(_LEAST_CHANGE, _OUTSTANDING * usual)
            and _histogram_change(thumbnail, last) > _LEAST_HISTOGRAM_CHANGE
            and _likeness(thumbnail, last) < _MOST_LIKENESS
        ) or _is_flat(thumbnail) != _is_flat(last)
        if cut:
            self._changes.clear()
        else:
            self._changes.append(change)
        return cut


def _thumbnail(luma: np.ndarray) -> np.ndarray:
    """(18,32) means of blocks; incomplete blocks on the right and at the bottom are ignored."""
    height, width = luma.shape
    rows, columns = min(_ROWS, height), min(_COLUMNS, width)
    step_y, step_x = height // rows, width // columns
    # Every other row and column of large blocks is enough, and four times as fast.
    skip_y, skip_x = max(1, step_y // 8), max(1, step_x // 8)
    blocks = luma[: rows * step_y, : columns * step_x].reshape(rows, step_y, columns, step_x)[
        :, ::skip_y, :, ::skip_x
    ]
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _histogram_change(a: np.ndarray, b: np.ndarray) -> float:
    counts = [np.histogram(x, bins=16, range=(0, 256))[0] for x in (a, b)]
    return float(np.abs(counts[0] - counts[1]).sum()) / (2 * a.size)


def _is_flat(thumbnail: np.ndarray) -> bool:
    return float(thumbnail.std()) < _FLAT_CODES


def _likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation, -1 to 1; 0 if one of them is flat."""
    x, y = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm > 0 else 0.0


def shots(frames: Iterable[np.ndarray], bits: int = 8) -> list[tuple[int, int]]:
    """Frames (H,W) of a film -> [(first frame, one past the last frame)] of its shots, without gaps."""
    detector, starts, count = ShotDetector(), [], 0
    for luma in frames:
        if detector.starts_shot(luma, bits):
            starts.append(count)
        count += 1
    return list(zip(starts, [*starts[1:], count], strict=True))
