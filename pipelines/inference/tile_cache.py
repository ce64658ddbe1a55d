"""`Stills`: tiles that show what they showed in the last frame; their results are reused instead of computed.

Pauses, menus, slides, held drawings. A network gives the same bits for the same input, so nothing can be told
from the result; in moving pictures the first differing samples settle it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.plan.tiling import Tile

__all__ = ["Stills"]


_GLANCE = 16
"""Every so many rows are looked at first."""

Planes = Sequence[np.ndarray]


class Stills:
    """The last frame as the network saw it, with its neighbours, and what came of it."""

    def __init__(self) -> None:
        self._seen: Sequence[Planes] = ()
        self._result: Planes = ()
        self.tiles = self.taken = 0
        """Tiles looked at, and those of them that were taken over."""

    def take(self, seen: Sequence[Planes], part: Tile, scale: int, result: Planes) -> bool:
        """Fill a tile of `result` with that of the last frame, if everything it depends on is the same.

        Whether it was.

        seen: luma, U and V of the frame and its neighbours. result: planes `scale` times as large.
        """
        if not self.same(seen, part):
            return False
        for number, (plane, last) in enumerate(zip(result, self._result, strict=True)):
            where = part.written(scale, 2 if number else 1)
            plane[where] = last[where]
        return True

    def same(self, seen: Sequence[Planes], part: Tile) -> bool:
        """Whether everything a tile depends on is as it was in the last frame; counted."""
        self.tiles += 1
        found = len(self._seen) == len(seen) and _same(self._seen, seen, part)
        self.taken += found
        return found

    def keep(self, seen: Sequence[Planes], result: Planes = ()) -> None:
        """Remember a finished frame; the arrays must not be changed any more.

        result: what `take` copies from.
        """
        self._seen, self._result = seen, result

    def forget(self) -> None:
        """Let go of the memory."""
        self._seen, self._result = (), ()


def _same(a: Sequence[Planes], b: Sequence[Planes], part: Tile) -> bool:
    """Whether all that a tile reads is the same in both."""
    pairs = [
        (x[where], y[where])
        for one, other in zip(a, b, strict=True)
        for number, (x, y) in enumerate(zip(one, other, strict=True))
        for where in [part.read(2 if number else 1)]
    ]
    return all(x is y or np.array_equal(x[::_GLANCE], y[::_GLANCE]) for x, y in pairs) and all(
        np.array_equal(x, y) for x, y in pairs
    )
