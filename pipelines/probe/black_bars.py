"""`find_bars`: detects black bars that are present throughout a film, from samples."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from pipelines.media.pixel_format import PixelCrop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.frames.film_frames import FilmSamples

__all__ = ["bars_of", "find_bars"]


_PLACES = 12
"""Number of places that are examined."""
_MEAN, _MOST = 6.0, 16.0
"""Limits of a line of a bar, in 8-bit values above black: on average, and for 99 % of its samples."""
_LEAST = 0.015
"""Bars below this share of a side are edges of the image, not bars."""
_UNEVEN = 0.02
"""Largest difference of opposite bars, as a share of the side: darkness on one side only is content."""


def find_bars(film: FilmSamples, *, full: bool) -> PixelCrop:
    """Bars on opposite sides that every sample shows, in stored pixels inside the container's crop.

    No crop if there are none. full: full range.
    """
    found: PixelCrop | None = None
    info, pixels = film.info, film.info.pixels
    columns, rows = info.crop.size(info.width, info.height)
    shown = info.crop.of_plane(0, pixels, info.width, info.height)
    for planes in _samples(film):
        luma = planes[0] if pixels.family != "rgb" else np.maximum.reduce(planes[:3])
        one = bars_of(luma[shown], full=full or pixels.family == "rgb", bits=pixels.bits)
        if one is not None:
            found = one if found is None else _in_both(found, one)
            if not (
                _can_be_bars(found.top, found.bottom, rows) or _can_be_bars(found.left, found.right, columns)
            ):
                return PixelCrop()  # bars can only become smaller
    if found is None:
        return PixelCrop()
    top, bottom = _pair(found.top, found.bottom, rows)
    left, right = _pair(found.left, found.right, columns)
    return PixelCrop(top, bottom, left, right)


def bars_of(luma: np.ndarray, *, full: bool, bits: int) -> PixelCrop | None:
    """Black lines at each side of one (H,W) image.

    None if it is black all over.
    """
    unit = 1 << (bits - 8)
    black = 0 if full else 16 * unit
    rows, columns = ~_is_black(luma, 1, black, unit), ~_is_black(luma, 0, black, unit)
    if not rows.any() or not columns.any():
        return None
    found = PixelCrop(
        int(rows.argmax()), int(rows[::-1].argmax()), int(columns.argmax()), int(columns[::-1].argmax())
    )
    # The content in the middle may be a title on black: bars leave at least half of a side.
    return (
        found
        if 2 * (found.top + found.bottom) <= luma.shape[0] and 2 * (found.left + found.right) <= luma.shape[1]
        else None
    )


def _is_black(luma: np.ndarray, axis: int, black: int, unit: int) -> np.ndarray:
    # Counted: a percentile sorts every line, which takes ten times as long.
    mean, bright = luma.mean(axis=axis), np.count_nonzero(luma > black + _MOST * unit, axis=axis)
    return (mean <= black + _MEAN * unit) & (bright <= luma.shape[axis] // 100)  # type: ignore[no-any-return]


def _in_both(one: PixelCrop, other: PixelCrop) -> PixelCrop:
    return PixelCrop(
        min(one.top, other.top),
        min(one.bottom, other.bottom),
        min(one.left, other.left),
        min(one.right, other.right),
    )


def _can_be_bars(one: int, other: int, side: int) -> bool:
    return min(one, other) >= max(2, _LEAST * side)


def _pair(one: int, other: int, side: int) -> tuple[int, int]:
    return (
        (one, other)
        if _can_be_bars(one, other, side) and abs(one - other) <= max(2, _UNEVEN * side)
        else (0, 0)
    )


def _samples(film: FilmSamples) -> Iterator[list[np.ndarray]]:
    """Planes of one frame of each place, the first that can be decoded."""
    places = film.places(_PLACES, least_frames=_PLACES)
    for place in places:
        yield from map(film.planes, islice(film.frames(place), 1))
    rows = [] if places else film.rows(_PLACES)
    if len(rows) > _PLACES // 2:
        for frames in film.in_order(rows):
            yield from map(film.planes, islice(frames, 1))
    elif not places:  # the start of the film, every other frame
        yield from map(film.planes, islice(film.frames(), 0, 2 * _PLACES + 1, 2))
