"""Thumbnails: a frame's brightness on a coarse grid, to compare frames before and after upscaling.

A cell covers the same part of the image at any size, and brightness is computed with one matrix for all kinds
of planes, so the thumbnails of a frame and of its upscale hardly differ.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipelines.media.cicp import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.media.cicp import ColorTags
    from pipelines.media.pixel_format import PixelFormat

__all__ = [
    "grid_for",
    "kept_thumbnail",
    "packed_thumbnail",
    "texture_of",
    "thumbnail",
    "thumbnail_difference",
]


_ROWS, _COLUMNS = 18, 32
_SHORT, _WORTH = 65535, 8
"""Largest 16-bit value; number of lines from which adding them together is worthwhile."""
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Matrix -> (K_R, K_B) of H.273 table 4; a copy, as `color_conversion` would load torch."""
_SAME = 24.0
"""Mean difference in 8-bit values that no correct upscale reaches."""
_FLAT = 2.0
"""Mean deviation in 8-bit values below which an image has no structure to compare."""
_LEAST, _SHARE = 1.5, 0.25
"""Limits for the difference of structure, without mean brightness: 8-bit values, plus a share of the image's
own mean deviation."""
_ALL_TEXTURE = 128.0
"""Texture, in 8-bit values, of an image in which every sample differs from its neighbours as black from
white. Networks join or sharpen single dots, which changes brightness by their density: contrast may change by
half of texture / _ALL_TEXTURE, and _SAME grows by that share. Measured with `fast`, `quality` and `real-fast`
on dithered images: contrast changes by up to a half, and brightness by up to 22, at a texture of 80."""
_EVERY = 4
"""Of so many rows one is looked at for texture."""
_COARSEST = 3.0
"""Factor on these limits at the coarsest quality."""


def grid_for(width: int, height: int) -> tuple[int, int]:
    """(rows, columns) of the thumbnails for a source of this size in pixels.

    A cell has at least four samples each way.
    """
    return min(_ROWS, max(1, height // 4)), min(_COLUMNS, max(1, width // 4))


def thumbnail(
    planes: Sequence[np.ndarray],
    pixels: PixelFormat,
    color: ColorTags,
    grid: tuple[int, int],
    matrix: int | None = None,
) -> np.ndarray:
    """`grid` cells, float32, 0 = black, 255 = white: the mean of luma over each cell.

    matrix: the H.273 matrix that defines luma; BT.709 replaces a matrix without weights of R'G'B'. None: the
    matrix of the planes (BT.709 for R'G'B').
    """
    wanted = _WEIGHTS.get(color.matrix, _WEIGHTS[1]) if matrix is None else _WEIGHTS.get(matrix, _WEIGHTS[1])
    if pixels.family == "rgb":
        weights = (1 - sum(wanted), wanted[1], wanted[0])
        cells = sum(w * _means(p, grid, pixels, color) for w, p in zip(weights, planes, strict=False))
        assert isinstance(cells, np.ndarray)
        return cells
    cells = _means(planes[0], grid, pixels, color)
    own = _WEIGHTS.get(color.matrix)
    if pixels.family == "yuv" and matrix is not None and own is not None and own != wanted:
        blue, red = (_means(p, grid, pixels, color, chroma=True) for p in planes[1:3])
        cells = cells + _between(own, wanted, blue, red)
    return cells


def texture_of(planes: Sequence[np.ndarray], pixels: PixelFormat) -> float:
    """How much neighbouring samples differ, in 8-bit values: 0 for a flat image, 127 for a checkerboard.

    It is half the mean difference of neighbours in rows or in columns, whichever is more: of luma, or of
    green. Photos have 2 to 12, white noise 40, dithered images of 1 bit 80.
    """
    plane = planes[0]
    unit = 255.0 if pixels.is_float else 255 / ((1 << pixels.bits) - 1)
    steps = [np.diff(_signed(plane[::_EVERY], pixels), axis=1)]
    if len(plane) > 1:
        upper = plane[:-1:_EVERY]
        steps.append(_signed(plane[1::_EVERY][: len(upper)], pixels) - _signed(upper, pixels))
    return unit / 2 * max((float(np.abs(s).mean(dtype=np.float64)) for s in steps if s.size), default=0.0)


def _signed(samples: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    if pixels.is_float:
        return samples.clip(0, 1)
    return samples.astype(np.int16 if pixels.bits < 16 else np.int32)


def packed_thumbnail(cells: np.ndarray, texture: float) -> bytes:
    """A source's thumbnail and texture as a manifest keeps them: a byte for each cell, and one more."""
    return np.clip(np.rint([*cells.ravel(), texture]), 0, 255).astype(np.uint8).tobytes()


def kept_thumbnail(kept: bytes, place: int, grid: tuple[int, int]) -> tuple[np.ndarray, float] | None:
    """The thumbnail and texture of the frame at `place` of a chunk; None if they are missing.

    Manifests of former versions have no texture.
    """
    size = grid[0] * grid[1]
    step = size if len(kept) % (size + 1) else size + 1
    own = np.frombuffer(kept, np.uint8)[place * step : (place + 1) * step]
    if len(own) != step:
        return None
    return own[:size].reshape(grid), float(own[-1]) if step > size else 0.0


def thumbnail_difference(
    made: np.ndarray,
    own: np.ndarray,
    *,
    texture: float = 0.0,
    is_clipped: bool = False,
    coarseness: float = 0.0,
) -> float:
    """How much the thumbnail of a result differs from that of its source, in 8-bit values.

    0.0 if a correct upscale may cause the difference: compression, restoration, grain, and changes of
    brightness by a network are allowed. texture: of the source (`texture_of`). is_clipped: the result can't
    hold all of the source, such as light above white; structure then differs there. coarseness: of the
    encoder (`Encoder.coarseness`).
    """
    made, own = np.clip(made, 0, 255).astype(np.float32), own.astype(np.float32)
    difference = float(np.abs(made - own).mean())
    shape, own_shape = made - made.mean(), own - own.mean()
    deviation, freedom = float(np.abs(own_shape).mean()), texture / _ALL_TEXTURE
    contrast = float((shape * own_shape).sum() / max(1.0, float(np.square(own_shape).sum())))
    bent = float(np.abs(shape - min(max(contrast, 1 - freedom / 2), 1 + freedom / 2) * own_shape).mean())
    limit = (_LEAST + _SHARE * deviation) * (1 + (_COARSEST - 1) * coarseness)
    is_other = difference > _SAME * (1 + freedom) or (not is_clipped and deviation > _FLAT and bent > limit)
    return max(difference, bent) if is_other else 0.0


def _between(
    own: tuple[float, float], wanted: tuple[float, float], blue: np.ndarray, red: np.ndarray
) -> np.ndarray:
    """Difference between the luma of two matrices, from colour differences (H.273 equations 38 to 40)."""
    (kr, kb), (to_r, to_b) = own, wanted
    r, b = 2 * (1 - kr) * red, 2 * (1 - kb) * blue
    g = -(kr * r + kb * b) / (1 - kr - kb)
    between: np.ndarray = to_r * r + (1 - to_r - to_b) * g + to_b * b
    return between


def _means(
    plane: np.ndarray, grid: tuple[int, int], pixels: PixelFormat, color: ColorTags, *, chroma: bool = False
) -> np.ndarray:
    """The mean over each cell, scaled so that black to white spans 255.

    Floats are only scaled. chroma: 0 is neutral.
    """
    rows, columns = (np.linspace(0, size, count + 1) for size, count in zip(plane.shape, grid, strict=True))
    whole = rows.astype(int)
    lines = np.stack([_total(plane[first:last], pixels) for first, last in pairwise(whole)])
    cells = _by_cell(lines, columns)
    # A row or column on the border of two cells is shared between them; otherwise cells of small images would
    # cover different areas.
    part = (rows - whole)[1:-1, None]
    if part.any():
        shared = plane[whole[1:-1]]
        own = part * _by_cell(
            np.clip(shared, 0, 1).astype(np.float64) if pixels.is_float else shared.astype(np.uint32), columns
        )
        cells[:-1] += own
        cells[1:] -= own
    cells = (cells / np.diff(rows)[:, None] / np.diff(columns)).astype(np.float32)
    if pixels.is_float:
        low, span = 0.0, 1.0
    elif color.range == Range.FULL or (pixels.family == "rgb" and color.range != Range.LIMITED):
        low, span = float(1 << (pixels.bits - 1)) if chroma else 0.0, float((1 << pixels.bits) - 1)
    else:
        unit = 1 << (pixels.bits - 8)
        low, span = (128.0 * unit, 224.0 * unit) if chroma else (16.0 * unit, 219.0 * unit)
    values: np.ndarray = (cells - np.float32(low)) * np.float32(255 / span)
    return values


def _total(lines: np.ndarray, pixels: PixelFormat) -> np.ndarray:
    """(W,) sums of the columns: uint32; for floats float64."""
    most = 0 if pixels.is_float else _SHORT // ((1 << pixels.bits) - 1)
    if most < _WORTH:
        return np.asarray(
            np.clip(lines, 0, 1).sum(axis=0, dtype=np.float64)
            if pixels.is_float
            else lines.sum(axis=0, dtype=np.uint32)
        )
    # This takes a quarter of the time if so few lines are added at once that their sum fits into 16 bits.
    total = np.zeros(lines.shape[1], np.uint32)
    for first in range(0, len(lines), most):
        total += lines[first : first + most].sum(axis=0, dtype=np.uint16)
    return total


def _by_cell(lines: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(lines, cells) float64: sums of each line between the edges."""
    whole = edges[:-1].astype(int)
    cells = np.add.reduceat(lines, whole, axis=1).astype(np.float64)
    part = (edges[:-1] - whole)[1:]
    if part.any():
        shared = part * lines[:, whole[1:]]
        cells[:, :-1] += shared
        cells[:, 1:] -= shared
    return cells
