"""`measure_grain`: measures film grain of a source; `GrainMaker` adds the same amount to an output.

Grain is the change from one frame to the next where nothing else changes: its strength is the noise of the
difference of two frames in the most static blocks of an image, by brightness (as in AV1's film grain tables,
AV1 specification 7.18.3). It is synthesised from a fixed pattern: the part used for a pixel depends only on
its position and the frame's timestamp, so that every split of a film into chunks gives the same bytes.
"""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipelines.media.pixel_format import PixelFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.frames.film_frames import FilmSamples

__all__ = ["grain_of", "measure_grain"]


LEVELS = 8
"""Number of brightnesses at which the first plane's grain is known, evenly spaced."""
_PLACES = 8
"""Number of places that are examined."""
_BLOCK = 8
_QUIETEST = 25
"""Percentile of the blocks, and of the places, that counts as noise: motion is stronger than grain."""
_BIAS = 0.94
"""That percentile of the standard deviations of 64 samples of pure noise, relative to the true one."""
_LEAST = 0.5
"""8-bit values: less is rounding and compression, not grain."""
_LEAST_BLOCKS = 32


def measure_grain(film: FilmSamples) -> tuple[tuple[float, ...], ...]:
    """Standard deviations of grain in 8-bit values, for each decoded plane.

    At LEVELS brightnesses for the first plane and R'G'B', else one. Empty if there is no grain, or nothing to
    measure it on (single images, floats).
    """
    info, pixels = film.info, film.info.pixels
    if info.is_picture or pixels.is_float:
        return ()
    step = 2 if info.scan.order != "progressive" else 1  # lines of one field
    found = [
        grain_of([p[::step] for p in one], [p[::step] for p in two], pixels) for one, two in _pairs(film)
    ]
    if not found:
        return ()
    planes = []
    for number in range(pixels.plane_count - pixels.alpha):
        # (places, levels), NaN if a place has no such brightness
        known = np.array([f[number] for f in found])
        planes.append(_filled(known))
    if not any(v for p in planes for v in p):
        return ()
    return tuple(planes)


def grain_of(one: Sequence[np.ndarray], two: Sequence[np.ndarray], pixels: PixelFormat) -> list[np.ndarray]:
    """Strengths of each plane from two frames in a row, NaN for missing brightnesses.

    one, two: planes of integers, (H,W).
    """
    unit = float(1 << (pixels.bits - 8))
    result = []
    for number, (a, b) in enumerate(zip(one, two, strict=True)):
        if pixels.alpha and number == pixels.plane_count - 1:
            break
        noise, mean = _blocks(a, b, unit)
        levels = LEVELS if number == 0 or pixels.family == "rgb" else 1
        place = np.minimum((mean * levels / 256).astype(int), levels - 1)
        strengths = np.full(levels, np.nan)
        for level in range(levels):
            inside = noise[place == level]
            if inside.size >= _LEAST_BLOCKS:
                strengths[level] = np.percentile(inside, _QUIETEST) / _BIAS
        result.append(strengths)
    return result


def _blocks(one: np.ndarray, two: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise and mean of every block in 8-bit values; a slope over a block is motion, not noise."""
    rows, columns = (n // _BLOCK for n in one.shape)

    def cut(plane: np.ndarray) -> np.ndarray:
        part = plane[: rows * _BLOCK, : columns * _BLOCK].astype(np.float32) / unit
        return part.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)

    first = cut(one)
    difference = cut(two) - first
    ramp = (np.arange(_BLOCK, dtype=np.float32) - (_BLOCK - 1) / 2) / np.sqrt(_BLOCK * (_BLOCK**2 - 1) / 12)
    difference -= difference.mean(axis=(1, 2), keepdims=True)
    for slope in (ramp[:, None], ramp[None, :]):
        difference -= (difference * slope).sum(axis=(1, 2), keepdims=True) / _BLOCK * slope
    # three of its degrees of freedom are taken out
    variance = (difference**2).sum(axis=(1, 2)) / (_BLOCK**2 - 3)
    return np.sqrt(variance / 2), first.mean(axis=(1, 2))


def _filled(known: np.ndarray) -> tuple[float, ...]:
    """One strength per level from (places, levels): that of the quieter places.

    Missing levels get their neighbours' values.
    """
    levels = [i for i in range(known.shape[1]) if not np.isnan(known[:, i]).all()]
    if not levels:
        return tuple(0.0 for _ in range(known.shape[1]))
    values = [float(np.nanpercentile(known[:, i], _QUIETEST, method="lower")) for i in levels]
    values = [v if v >= _LEAST else 0.0 for v in values]
    strengths: list[float] = np.interp(range(known.shape[1]), levels, values).round(2).tolist()
    return tuple(strengths)


def _pairs(film: FilmSamples) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Planes of two frames in a row of each place."""
    places = film.places(_PLACES, least_frames=4 * _PLACES)
    looked_at = (islice(film.frames(place), 2) for place in places)
    for frames in looked_at if places else [islice(film.frames(), 2 * _PLACES + 1)]:
        yield from pairwise([p.copy() for p in film.planes(frame)] for frame in frames)
