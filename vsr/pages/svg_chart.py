"""Values over time and their distribution as SVG, without scripts and of flexible width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Binned", "binned", "curve", "histogram", "scale"]


_MOST_POINTS = 600
_BINS = 24
_WIDTH, _HEIGHT = 600, 200


@dataclass(frozen=True, eq=False)
class Binned:
    """Values over time, binned to the number of steps that a screen can show.

    Each step has the mean of its values, the lowest and the highest one.
    """

    at: np.ndarray
    """Seconds."""
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def binned(seconds: np.ndarray, values: np.ndarray) -> Binned:
    """Join neighbouring values if there are more than fit; NaNs are skipped."""
    kept = ~np.isnan(values)
    seconds, values = seconds[kept], values[kept]
    starts = np.unique(np.linspace(0, len(values), min(len(values), _MOST_POINTS) + 1).astype(int)[:-1])
    counts = np.diff([*starts, len(values)])
    return Binned(
        seconds[starts],
        np.add.reduceat(values, starts) / counts,
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
    )


def scale(
    series: Sequence[np.ndarray], least: float = -math.inf, most: float = math.inf
) -> tuple[float, float]:
    """Lowest and highest of all values, with a margin, and separated if they are equal.

    least, most: limits of the axis beyond the values.
    """
    low, high = min(float(np.nanmin(s)) for s in series), max(float(np.nanmax(s)) for s in series)
    room = (high - low) * 0.06 or max(abs(high) * 0.01, 0.5)
    return max(low - room, min(least, low)), min(high + room, max(most, high))


def curve(series: Sequence[Binned], low: float, high: float) -> str:
    """One line per series over time, with the range of values that were joined."""
    end = max(float(s.at[-1]) for s in series) or 1.0
    parts = [
        f'<line class="grid" x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}"/>' for y in (0, _HEIGHT // 2, _HEIGHT)
    ]
    for number, s in enumerate(series):
        x = s.at / end * _WIDTH
        y, top, bottom = (_HEIGHT * (1 - (v - low) / (high - low)) for v in (s.mean, s.high, s.low))
        if len(x) == 1:
            x, y, top, bottom = (np.array([0.0, _WIDTH]), *(np.repeat(v, 2) for v in (y, top, bottom)))
        if (s.high > s.low).any():
            parts.append(
                f'<polygon class="band s{number}" points="{_points(x, top)}'
                f' {_points(x[::-1], bottom[::-1])}"/>'
            )
        parts.append(f'<polyline class="s{number}" points="{_points(x, y)}"/>')
    return (
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="over time">{"".join(parts)}</svg>'
    )


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def histogram(series: Sequence[np.ndarray], low: float, high: float) -> str:
    """A histogram of frames over values, on the same scale as the curve, from bottom to top."""
    counts = [np.histogram(s[~np.isnan(s)], bins=_BINS, range=(low, high))[0] for s in series]
    most = max(int(c.max()) for c in counts) or 1
    step = _HEIGHT / _BINS
    parts = []
    for number, count in enumerate(counts):
        share = step * 0.8 / len(counts)
        for place, amount in enumerate(count):
            if amount:
                y = _HEIGHT - (place + 1) * step + step * 0.1 + share * number
                width = max(1.5, 100 * int(amount) / most)
                parts.append(
                    f'<rect class="s{number}" x="0" y="{y:.1f}" width="{width:.1f}" height="{share:.1f}"/>'
                )
    return (
        f'<svg class="bars" viewBox="0 0 100 {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="how'
        f' often">{"".join(parts)}</svg>'
    )
