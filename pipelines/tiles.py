"""Tiles: where a large picture is cut so that a network's maps stay in cache, and the same places every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Tile", "cut"]


@dataclass(frozen=True)
class Tile:
    """A rectangle a network is run on, and the part of its result that counts; all in input pixels, half-open."""

    top: int
    bottom: int
    left: int
    right: int
    """The part that counts."""
    halo_top: int
    halo_bottom: int
    halo_left: int
    halo_right: int
    """What is read: the part that counts and its halo, cut off at the picture's border."""

    def read(self, by: int = 1) -> tuple[slice, slice]:
        """What is read of a plane whose sides are luma's divided by `by`."""
        return slice(self.halo_top // by, self.halo_bottom // by), slice(self.halo_left // by, self.halo_right // by)

    def written(self, scale: int, by: int = 1) -> tuple[slice, slice]:
        """Where the part that counts goes in a plane of the result, `scale` times as large."""
        return slice(self.top * scale // by, self.bottom * scale // by), slice(self.left * scale // by, self.right * scale // by)

    def kept(self, scale: int, by: int = 1) -> tuple[slice, slice]:
        """The part that counts, in what the network gave for what was read."""
        top, left = self.halo_top, self.halo_left
        return (
            slice((self.top - top) * scale // by, (self.bottom - top) * scale // by),
            slice((self.left - left) * scale // by, (self.right - left) * scale // by),
        )


def cut(height: int, width: int, tile_height: int, tile_width: int, halo: int, multiple: int = 1) -> Iterator[Tile]:
    """Cover a picture with tiles, row by row, each pixel counted once.

    Sides are as equal as `multiple` allows, so that no sliver is left at the end. `halo` is rounded up to `multiple`.
    """
    halo = -(-halo // multiple) * multiple
    for top, bottom in _lengths(height, tile_height, multiple):
        for left, right in _lengths(width, tile_width, multiple):
            yield Tile(
                top, bottom, left, right,
                max(0, top - halo), min(height, bottom + halo), max(0, left - halo), min(width, right + halo),
            )  # fmt: skip


def _lengths(total: int, most: int, multiple: int) -> Iterator[tuple[int, int]]:
    count = max(1, -(-total // most))
    step = -(-total // (count * multiple)) * multiple
    for start in range(0, total, step):
        yield start, min(total, start + step)
