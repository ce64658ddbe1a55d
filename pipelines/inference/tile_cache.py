"""`TileCache`: reuses the results of tiles that have not changed since the last frame.

This helps with pauses, menus, slides and held drawings. A network gives the same bits for the same input, so
the output is unaffected. In moving scenes, the comparison ends at the first differing samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.plan.tiling import Tile

__all__ = ["TileCache"]


_GLANCE = 16
"""Rows with this spacing are compared first."""

Planes = Sequence[np.ndarray]


class TileCache:
    """The previous network input (with neighbours) and its output."""

    def __init__(self) -> None:
        self._seen: Sequence[Planes] = ()
        self._result: Planes = ()
        self.tiles = self.taken = 0
        """Tiles compared, and tiles reused."""

    def take(self, seen: Sequence[Planes], part: Tile, scale: int, result: Planes) -> bool:
        """Copy a tile of the last frame to `result`, if everything it depends on is unchanged.

        Returns whether it was. seen: luma, U and V of the frame and its neighbours. result: planes `scale`
        times as large.
        """
        if not self.same(seen, part):
            return False
        for number, (plane, last) in enumerate(zip(result, self._result, strict=True)):
            where = part.written(scale, 2 if number else 1)
            plane[where] = last[where]
        return True

    def same(self, seen: Sequence[Planes], part: Tile) -> bool:
        """Whether everything a tile depends on is unchanged since the last frame; counted."""
        self.tiles += 1
        found = len(self._seen) == len(seen) and _same(self._seen, seen, part)
        self.taken += found
        return found

    def keep(self, seen: Sequence[Planes], result: Planes = ()) -> None:
        """Store a finished frame; the arrays must not be changed afterwards.

        result: source for `take`.
        """
        self._seen, self._result = seen, result

    def forget(self) -> None:
        """Free the memory."""
        self._seen, self._result = (), ()


def _same(a: Sequence[Planes], b: Sequence[Planes], part: Tile) -> bool:
    """Whether the input of a tile is equal in both."""
    pairs = [
        (x[where], y[where])
        for one, other in zip(a, b, strict=True)
        for number, (x, y) in enumerate(zip(one, other, strict=True))
        for where in [part.read(2 if number else 1)]
    ]
    return all(x is y or np.array_equal(x[::_GLANCE], y[::_GLANCE]) for x, y in pairs) and all(
        np.array_equal(x, y) for x, y in pairs
    )
