"""Tiles: how a large frame is split so that feature maps stay in cache, always in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.media.pixel_format import PixelCrop

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["YUV_TILE_PX", "Tile", "cut_tiles"]


YUV_TILE_PX = (544, 960)
"""Default height and width of a tile, for networks between 4:2:0 planes."""


@dataclass(frozen=True)
class Tile:
    """A rectangle that a network is run on, and the valid part of its output.

    All positions are in input pixels; intervals are half-open.
    """

    top: int
    bottom: int
    left: int
    right: int
    """The valid part."""
    halo_top: int
    halo_bottom: int
    halo_left: int
    halo_right: int
    """The part that is read: the valid part and its halo, clipped at the frame's border."""
    in_bar: bool = False
    """Everything it reads is in a black bar of the film."""

    def read(self, by: int = 1) -> tuple[slice, slice]:
        """The region that the network reads, in a plane subsampled by `by` in both directions."""
        return slice(self.halo_top // by, self.halo_bottom // by), slice(
            self.halo_left // by, self.halo_right // by
        )

    def written(self, scale: int, by: int = 1) -> tuple[slice, slice]:
        """Position of the valid part in a plane of the output, `scale` times as large."""
        return slice(self.top * scale // by, self.bottom * scale // by), slice(
            self.left * scale // by, self.right * scale // by
        )

    def kept(self, scale: int, by: int = 1) -> tuple[slice, slice]:
        """Slices that crop the halo off the network's output and leave the valid part."""
        top, left = self.halo_top, self.halo_left
        return (
            slice((self.top - top) * scale // by, (self.bottom - top) * scale // by),
            slice((self.left - left) * scale // by, (self.right - left) * scale // by),
        )


def cut_tiles(
    size: tuple[int, int],
    tile: tuple[int, int],
    halo: int,
    multiple: int = 1,
    bars: PixelCrop | None = None,
) -> Iterator[Tile]:
    """Cover a frame with tiles, row by row, each pixel once.

    size, tile: (height, width). Sides are as equal as `multiple` allows, so that no narrow tile is left at
    the end. `halo` is rounded up to `multiple`. bars: black edges, which get separate tiles if no halo
    reaches out of them.
    """
    (height, width), (tile_height, tile_width) = size, tile
    halo = -(-halo // multiple) * multiple
    bars = bars or PixelCrop()
    for top, bottom, in_row_bar in _lengths(
        height, tile_height, multiple, bars.top - halo, bars.bottom - halo
    ):
        for left, right, in_column_bar in _lengths(
            width, tile_width, multiple, bars.left - halo, bars.right - halo
        ):
            yield Tile(
                top, bottom, left, right,
                max(0, top - halo), min(height, bottom + halo), max(0, left - halo), min(width, right + halo),
                in_row_bar or in_column_bar,
            )  # fmt: skip


def _lengths(
    total: int, most: int, multiple: int, before: int, after: int
) -> Iterator[tuple[int, int, bool]]:
    """Start and end of every segment, and whether it is in the first `before` or the last `after` pixels.

    Both are rounded down to multiples of `multiple`.
    """
    first = max(0, before) // multiple * multiple
    last = total - max(0, after) // multiple * multiple if total % multiple == 0 else total
    for begin, end, in_bar in ((0, first, True), (first, last, False), (last, total, True)):
        if begin == end:
            continue
        count = max(1, -(-(end - begin) // most))
        step = -(-(end - begin) // (count * multiple)) * multiple
        for start in range(begin, end, step):
            yield start, min(end, start + step), in_bar
