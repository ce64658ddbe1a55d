"""Thumbnails: a frame's brightness on a coarse grid, to tell frames apart before and after upscaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.video import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.video import ColorTags, PixelFormat

__all__ = ["grid_for", "thumbnail"]

_ROWS, _COLUMNS = 18, 32
_ROWS_PER_CELL = 8
"""Rows looked at in each cell; more would only cost time."""


def grid_for(width: int, height: int) -> tuple[int, int]:
    """(rows, columns) of the thumbnails of a video whose source is seen at that size; a single field of it has half its lines."""
    return min(_ROWS, max(1, height // 2)), min(_COLUMNS, max(1, width // 2))


def thumbnail(planes: Sequence[np.ndarray], pixels: PixelFormat, color: ColorTags, grid: tuple[int, int]) -> np.ndarray:
    """`grid` cells, float32, 0 = black, 255 = white: the mean of luma (R'G'B': of green) over each cell."""
    plane = planes[0]
    rows, columns = grid
    row_edges = np.linspace(0, plane.shape[0], rows + 1).astype(int)
    column_edges = np.linspace(0, plane.shape[1], columns + 1).astype(int)
    cells = np.empty((rows, columns), np.float32)
    for i in range(rows):
        step = max(1, (row_edges[i + 1] - row_edges[i]) // _ROWS_PER_CELL)
        band = plane[row_edges[i] : row_edges[i + 1] : step].sum(axis=0, dtype=np.uint32)
        taken = len(range(row_edges[i], row_edges[i + 1], step))
        cells[i] = np.add.reduceat(band, column_edges[:-1]) / (taken * np.diff(column_edges))
    unit = 1 << (pixels.bits - 8)
    if color.range == Range.FULL or pixels.family == "rgb":
        return cells / unit
    return (cells / unit - 16) * (255 / 219)
