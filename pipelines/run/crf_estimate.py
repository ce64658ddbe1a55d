"""Estimates from samples of a film: which are tried, the size at a CRF, the CRF for a target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.media.video_info import Chunk

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ChunkSample",
    "FilmEstimate",
    "choose_crf",
    "choose_samples",
    "estimate_mean",
    "estimate_sum",
    "first_ladder",
    "next_ladder",
    "refining_ladder",
    "sample_chunk",
    "value_at",
]


_LEAST_SAMPLES = 8
_SHARE = 33
"""At least one chunk in so many is tried."""
_VMAF_FRAMES = 48
"""Frames of a sample: VMAF is a mean, and more stable than sizes."""
_STEP = 6.0
"""Distance of the CRFs that are tried. About five to six halve the size, and between three points its
logarithm is nearly a parabola."""
_BEYOND = 1.0
"""How far beyond the tried CRFs the parabola is valid."""


_STEEP = 3.0
"""Difference of VMAF between two tried CRFs from which one between them is tried too."""


@dataclass(frozen=True)
class ChunkSample:
    """A chunk of a film, whether it was tried or not."""

    frames: int
    source_bytes: int
    """Bytes of its packets; 0 if they indicate nothing."""
    found: float = 0.0
    """Result of a trial: bytes, or mean VMAF."""


@dataclass(frozen=True)
class FilmEstimate:
    """An estimate for a whole film."""

    value: float
    spread: float
    """Standard error: a share of a sum, or points of a mean; 0 if everything was tried."""


def choose_samples(chunks: Sequence[Chunk]) -> list[int]:
    """Indexes of the chunks that are tried, evenly spread: 8, or one in 33 if that is more.

    If there are fewer than 9, all are tried.
    """
    count = min(len(chunks), max(_LEAST_SAMPLES, -(-len(chunks) // _SHARE)))
    return sorted({len(chunks) * (2 * n + 1) // (2 * count) for n in range(count)})


def sample_chunk(chunk: Chunk, kind: str, per_frame: int) -> Chunk:
    """The part of a chunk that is tried.

    For a size it is the whole chunk, because of key frames and lookahead; for VMAF its first 48 frames.
    """
    most = max(1, _VMAF_FRAMES // per_frame) if kind == "vmaf" else chunk.frame_count
    return Chunk(chunk.index, chunk.start_frame, min(chunk.stop_frame, chunk.start_frame + most))


def estimate_sum(tried: Sequence[ChunkSample], others: Sequence[ChunkSample]) -> FilmEstimate:
    """Bytes of all chunks, from those that were tried.

    The source's own bytes indicate how the others differ: log(bytes per frame) is assumed to be linear in
    log(source bytes per frame), with a least-squares slope from 0 (unrelated) to 1 (proportional), and the
    sum over the tried ones is exact.
    """
    known = sum(p.found for p in tried)
    if not others or known <= 0:
        return FilmEstimate(known, 0.0)
    x = [math.log(max(1, p.source_bytes) / p.frames) for p in tried]
    y = [math.log(max(1.0, p.found) / p.frames) for p in tried]
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    varies = sum((a - x_mean) ** 2 for a in x)
    slope = (
        sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True)) / varies
        if len(x) > 2 and varies > 1e-6
        else 0.0
    )
    slope = min(1.0, max(0.0, slope))

    def predicted(part: ChunkSample) -> float:
        return part.frames * math.exp(slope * math.log(max(1, part.source_bytes) / part.frames))

    rest = known * sum(map(predicted, others)) / sum(map(predicted, tried))
    left = [b - y_mean - slope * (a - x_mean) for a, b in zip(x, y, strict=True)]
    error = math.sqrt(sum(r * r for r in left) / max(1, len(left) - 2) / len(left))
    return FilmEstimate(known + rest, error * rest / (known + rest))


def estimate_mean(tried: Sequence[ChunkSample], others: Sequence[ChunkSample]) -> FilmEstimate:
    """Mean over all frames, from samples weighted by the frames of their chunks."""
    frames = sum(p.frames for p in tried)
    mean = sum(p.found * p.frames for p in tried) / frames
    count = len(tried)
    variance = sum((p.found - mean) ** 2 for p in tried) / max(1, count - 1)
    return FilmEstimate(mean, math.sqrt(variance / count * len(others) / (count + len(others))))


def first_ladder(usual: float, lowest: float, highest: float) -> list[float]:
    """Three CRFs around the usual one."""
    return sorted({min(highest, max(lowest, usual + offset)) for offset in (-_STEP, 0.0, _STEP)})


def choose_crf(points: Sequence[tuple[float, float]], aim: float, kind: str) -> float | None:
    """The CRF at which the size is nearest to `aim`, or the highest CRF at which VMAF is at least `aim`.

    None if it is outside the tried range. points: (CRF, bytes or VMAF), three of them around the aim, or next
    to it.
    """
    points = sorted(points)
    # The curve falls: the aim is after the last point that is above it.
    place = sum(value > aim for _, value in points)
    middle = (points[max(0, place - 1)][0] + points[min(place, len(points) - 1)][0]) / 2
    near = sorted(sorted(points, key=lambda p: (abs(p[0] - middle), p[0]))[:3])
    low, high = near[0][0] - _BEYOND, near[-1][0] + _BEYOND
    steps = [low + (high - low) * n / 400 for n in range(401)]
    values = [_parabola(near, crf, kind) for crf in steps]
    wanted = _scaled(aim, kind)
    if max(values) < wanted or min(values) > wanted:
        return None
    if kind == "vmaf":
        return max(crf for crf, value in zip(steps, values, strict=True) if value >= wanted)
    return min(zip(steps, values, strict=True), key=lambda p: abs(p[1] - wanted))[0]


def refining_ladder(points: Sequence[tuple[float, float]], crf: float, kind: str) -> list[float]:
    """CRFs to try around one on a steep part of a VMAF curve; none if that is known well enough."""
    if kind == "size":
        return []
    low = max((p for p in points if p[0] <= crf), default=min(points))
    high = min((p for p in points if p[0] >= crf), default=max(points))
    return [crf - 1, crf + 1] if high[0] - low[0] > 2.5 and low[1] - high[1] > _STEEP else []


def value_at(points: Sequence[tuple[float, float]], crf: float, kind: str) -> float:
    """Bytes or VMAF at a CRF, from the three nearest that were tried."""
    near = sorted(sorted(points, key=lambda p: (abs(p[0] - crf), p[0]))[:3])
    found = _parabola(near, crf, kind)
    return math.exp(found) if kind == "size" else min(100.0, found)


def _scaled(value: float, kind: str) -> float:
    return math.log(max(1.0, value)) if kind == "size" else value


def _parabola(points: Sequence[tuple[float, float]], crf: float, kind: str) -> float:
    """Lagrange polynomial through the points, of the logarithm of a size, or of VMAF."""
    total = 0.0
    for place, (at, value) in enumerate(points):
        weight = 1.0
        for other, (elsewhere, _) in enumerate(points):
            if other != place:
                weight *= (crf - elsewhere) / (at - elsewhere)
        total += weight * _scaled(value, kind)
    return total


def next_ladder(
    points: Sequence[tuple[float, float]], aim: float, kind: str, lowest: float, highest: float
) -> list[float]:
    """CRFs to try if the aim is outside the tried range; none at the end of the scale."""
    points = sorted(points)
    less = _scaled(points[-1][1], kind) > _scaled(aim, kind)
    edge = points[-1][0] if less else points[0][0]
    offsets = (_STEP, 2 * _STEP) if less else (-2 * _STEP, -_STEP)
    return sorted({min(highest, max(lowest, edge + offset)) for offset in offsets} - {at for at, _ in points})
