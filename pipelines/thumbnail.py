"""Thumbnails: a frame's brightness on a coarse grid, to tell frames apart before and after upscaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.cicp import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.cicp import ColorTags
    from pipelines.planes import PixelFormat

__all__ = ["grid_for", "thumbnail"]

_ROWS, _COLUMNS = 18, 32
_ROWS_PER_CELL = 8
"""Rows looked at in each cell; more would only cost time."""
_LUMA_OF_GBR = (0.7152, 0.0722, 0.2126)


def grid_for(width: int, height: int) -> tuple[int, int]:
    """(rows, columns) of the thumbnails of a video whose source is seen at that size; a cell has two samples each way at least."""
    return min(_ROWS, max(1, height // 2)), min(_COLUMNS, max(1, width // 2))


def thumbnail(planes: Sequence[np.ndarray], pixels: PixelFormat, color: ColorTags, grid: tuple[int, int]) -> np.ndarray:
    """`grid` cells, float32, 0 = black, 255 = white: the mean of luma (R'G'B': by BT.709's weights) over each cell."""
    if pixels.family == "rgb":
        cells = sum(w * _means(p, grid, pixels) for w, p in zip(_LUMA_OF_GBR, planes, strict=False))
        assert isinstance(cells, np.ndarray)
    else:
        cells = _means(planes[0], grid, pixels)
    if pixels.is_float:
        return cells * 255
    unit = 1 << (pixels.bits - 8)
    if color.range == Range.FULL or pixels.family == "rgb":
        return cells / unit
    return (cells / unit - 16) * (255 / 219)


def _means(plane: np.ndarray, grid: tuple[int, int], pixels: PixelFormat) -> np.ndarray:
    """The mean of a plane's samples over each cell; of floats what lies between black and white."""
    rows, columns = grid
    row_edges = np.linspace(0, plane.shape[0], rows + 1).astype(int)
    column_edges = np.linspace(0, plane.shape[1], columns + 1).astype(int)
    cells = np.empty((rows, columns), np.float32)
    for i in range(rows):
        step = (row_edges[i + 1] - row_edges[i]) // _ROWS_PER_CELL | 1  # odd, or it would see the lines of one field only
        lines = plane[row_edges[i] : row_edges[i + 1] : step]
        band = np.clip(lines, 0, 1).sum(axis=0, dtype=np.float64) if pixels.is_float else lines.sum(axis=0, dtype=np.uint32)
        taken = len(range(row_edges[i], row_edges[i + 1], step))
        cells[i] = np.add.reduceat(band, column_edges[:-1]) / (taken * np.diff(column_edges))
    return cells
