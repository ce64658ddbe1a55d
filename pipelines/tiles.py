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
