"""`InterlaceSample`: what the frames of a film show of their fields, and whether that is evidence enough.

`pipelines.probe.field_motion` says what blocks show from one frame to the next; here they are counted, and
weighed: by how many they are, over how much of the picture, and how far they agree in one field order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipelines.probe.field_motion import CELLS, SCALES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.probe.field_motion import Votes

__all__ = [
    "CONTRARY",
    "SHARE",
    "InterlaceSample",
    "Order",
    "hints_at_fields",
    "legible",
    "order_shown",
    "shows_fields",
    "shows_whole_frames",
    "together",
]


_LEAST = 48
"""Moving blocks that must show where their fields are before pictures are believed."""
SHARE = 0.34
"""Part of the moving blocks, and of those in half of the moving cells, that must show fields of one order;
telecine: two frames of five."""
_ONE_ORDER = 4
"""Blocks that show one field order for each one that shows the other."""
_CELLS = 3
"""Cells of the picture, of sixteen, that must show it."""
_LEANING, _LEANING_ONE_ORDER, _LEANING_LEAST, _LEANING_CELL, _LEANING_CELLS = 0.2, 8, 144, 0.12, 6
"""The same where coding has smoothed combs away in most blocks: fewer of more, of one order almost
all, in more cells."""
_LEANING_PHASE = 0.15
CONTRARY = 1.5
"""So many times more of everything where a flag says otherwise."""
_WHOLE, _EVEN = 0.7, 0.08
"""Against an interlaced flag: the least part of progressive blocks, and the most by which one field order
outweighs the other."""
_WHOLE_PHASE, _WHOLE_CELL, _WHOLE_CELLS = 0.12, 0.2, 0.75
"""The same of all blocks together: the most that their phase can be, that of a cell, and the part of the
moving cells in which it is so."""
_PHASE, _CELL_PHASE = 0.25, 0.15
"""Of all blocks together, and of one cell of the picture: fields have 1/2, whole frames 0, coarse coding
draws one nearer to the other."""
_SURE = 4.0
"""Standard deviations from 0 that the pooled phase must be."""
_LEAST_POOLED = 10_000.0
"""Of the pooled sums: less is noise of the encoder."""
_MOVING_CELL = 0.02
"""Part of them that makes a cell a moving one."""
_DOUBT = 0.2
"""Part of the moving blocks that show fields of one order and make a doubt of it."""

Order = Literal["top", "bottom"]


def _cells() -> np.ndarray:
    return np.zeros((SCALES, CELLS, CELLS), int)


def _sums() -> np.ndarray:
    return np.zeros((SCALES, CELLS, CELLS))


def _products() -> np.ndarray:
    return np.zeros((SCALES, SCALES, CELLS, CELLS))


@dataclass
class InterlaceSample:
    """What one stretch of a film shows.

    Blocks by what they show, cell by cell, and frames by their own flags.
    """

    top: np.ndarray = field(default_factory=_cells)
    """(scales, 4, 4): number of blocks with the top field first, for each cell of the picture."""
    bottom: np.ndarray = field(default_factory=_cells)
    progressive: np.ndarray = field(default_factory=_cells)
    flagged: Counter[str] = field(default_factory=Counter)
    """Frames: top, bottom, progressive."""
    kinds: str = ""
    """One letter a frame in order: t, b (interlaced), p, u (nothing moves)."""
    apart: np.ndarray = field(default_factory=_sums)
    """(scales, 4, 4): sums over all blocks; the phase is sum(apart) / 2 sum(alike)."""
    alike: np.ndarray = field(default_factory=_sums)
    spread: np.ndarray = field(default_factory=_products)
    """(scales, scales, 4, 4): products of what each frame adds to apart."""

    def __add__(self, other: InterlaceSample) -> InterlaceSample:
        return InterlaceSample(
            self.top + other.top,
            self.bottom + other.bottom,
            self.progressive + other.progressive,
            self.flagged + other.flagged,
            "",
            self.apart + other.apart,
            self.alike + other.alike,
            self.spread + other.spread,
        )

    def note(self, votes: Votes) -> None:
        """Add what the blocks of one more frame show."""
        self.top += votes.top
        self.bottom += votes.bottom
        self.progressive += votes.progressive
        self.kinds += votes.kind
        self.apart += votes.apart
        self.alike += votes.alike
        self.spread += votes.apart[:, None] * votes.apart[None]

    def of(self, kept: np.ndarray) -> InterlaceSample:
        """Both scales as one, (4, 4) each. kept: (scales, 4, 4), whether a cell is read at that scale."""
        votes = [(v * kept).sum(0) for v in (self.top, self.bottom, self.progressive)]
        spread = (self.spread * kept[:, None] * kept[None]).sum((0, 1))
        return InterlaceSample(
            votes[0],
            votes[1],
            votes[2],
            self.flagged,
            self.kinds,
            (self.apart * kept).sum(0),
            (self.alike * kept).sum(0),
            spread,
        )

    @property
    def moving(self) -> np.ndarray:
        """All blocks that show anything."""
        return np.asarray(self.top + self.bottom + self.progressive)

    @property
    def moving_cells(self) -> np.ndarray:
        """Which have a third of their part of these, at least."""
        moving = self.moving
        return np.asarray(moving * CELLS * CELLS * 3 >= max(int(moving.sum()), 1))

    def votes(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        """Blocks that show this field order, and those that show the other one."""
        return (self.top, self.bottom) if order == "top" else (self.bottom, self.top)


def legible(looks: Sequence[InterlaceSample]) -> list[InterlaceSample]:
    """The same with both scales as one, (4, 4), without those cells of a scale in which steps are too long
    for it.
    """
    kept = sum(looks, InterlaceSample()).alike >= 0
    return [look.of(kept) for look in looks]


def together(looks: Sequence[InterlaceSample]) -> InterlaceSample:
    """All stretches as one."""
    return sum(looks, InterlaceSample().of(np.ones((SCALES, CELLS, CELLS), bool)))


def order_shown(film: InterlaceSample) -> Order:
    """The field order that votes show; where they are few, the one that all blocks show together."""
    ahead = int(film.top.sum() - film.bottom.sum())
    return "top" if (ahead if abs(ahead) >= _LEAST / 4 else film.apart.sum()) >= 0 else "bottom"


def shows_fields(film: InterlaceSample, order: Order, share: float, *, strictness: float = 1) -> bool:
    """Whether many moving blocks all over the picture have fields of that one order, one by one or all
    together.
    """
    return (
        _votes_show_fields(film, order, share, strictness)
        or _pool_shows_fields(film, order, strictness)
        or _both_lean_to_fields(film, order, strictness)
    )


def _votes_show_fields(film: InterlaceSample, order: Order, share: float, strictness: float) -> bool:
    for_it, against = film.votes(order)
    moving = film.moving
    many = int(moving.sum())
    moves = film.moving_cells
    shows = moves & (for_it >= share * moving)
    return bool(
        many >= strictness * _LEAST
        and for_it.sum() >= share * many
        and for_it.sum() >= strictness * _ONE_ORDER * against.sum()
        and _all_over(shows, moves)
    )


def _both_lean_to_fields(film: InterlaceSample, order: Order, strictness: float) -> bool:
    """Whether many votes and the phase of all blocks agree in that order, though neither is enough alone."""
    for_it, against = film.votes(order)
    apart = float(film.apart.sum()) * (1 if order == "top" else -1)
    moving = film.moving
    many = int(moving.sum())
    moves = film.moving_cells
    shows = moves & (for_it >= _LEANING_CELL * moving) & (for_it >= _ONE_ORDER * against)
    return bool(
        many >= strictness * _LEANING_LEAST
        and for_it.sum() >= strictness * _LEANING * many
        and for_it.sum() >= strictness * _LEANING_ONE_ORDER * against.sum()
        and shows.sum() >= max(_LEANING_CELLS, moves.sum() / 2)
        and film.alike.sum() >= _LEAST_POOLED
        and apart >= 2 * _LEANING_PHASE * film.alike.sum()
        and apart >= _SURE * np.sqrt(film.spread.sum())
    )


def _pool_shows_fields(film: InterlaceSample, order: Order, strictness: float, least: float = _PHASE) -> bool:
    """Whether all blocks together show a phase of fields in that order.

    Far from chance, and in most of the moving cells.
    """
    apart = film.apart if order == "top" else -film.apart
    alike = float(film.alike.sum())
    if alike < strictness * _LEAST_POOLED:
        return False
    moves = film.alike > _MOVING_CELL * alike
    shows = moves & (apart >= 2 * _CELL_PHASE * film.alike)
    return bool(
        apart.sum() >= 2 * least * alike
        and apart.sum() >= strictness * _SURE * np.sqrt(film.spread.sum())
        and _all_over(shows, moves)
    )


def _all_over(shows: np.ndarray, moves: np.ndarray) -> bool:
    """Whether enough cells of the picture show it, and half of those that move."""
    return bool(shows.sum() >= max(_CELLS, moves.sum() / 2))


def shows_whole_frames(looks: Sequence[InterlaceSample]) -> bool:
    """Whether the pictures are progressive for sure, whatever their flags.

    By neither order more than by the other, votes or all together.
    """
    film = together(looks)
    is_even = abs(int(film.top.sum()) - int(film.bottom.sum())) <= _EVEN * max(int(film.moving.sum()), 1)
    return is_even and (_votes_show_whole_frames(film, looks) or _pool_shows_whole_frames(film))


def _votes_show_whole_frames(film: InterlaceSample, looks: Sequence[InterlaceSample]) -> bool:
    """All over the picture, in every stretch in which enough moves."""
    many = int(film.moving.sum())
    return bool(
        many >= CONTRARY * _LEAST
        and film.progressive.sum() >= _WHOLE * many
        and film.moving_cells.sum() >= _CELLS
        and abs(film.apart.sum()) <= 2 * _CELL_PHASE * film.alike.sum()
        and all(
            (look.progressive.sum() >= look.moving.sum() / 2)
            for look in looks
            if look.moving.sum() >= _LEAST / 4
        )
    )


def _pool_shows_whole_frames(film: InterlaceSample) -> bool:
    """Whether the phase of all blocks is 0 and known well."""
    alike = float(film.alike.sum())
    moves = film.alike > _MOVING_CELL * alike
    whole = moves & (np.abs(film.apart) <= 2 * _WHOLE_CELL * film.alike)
    most = abs(float(film.apart.sum())) + 3 * float(np.sqrt(film.spread.sum()))
    is_known = alike >= CONTRARY * _LEAST_POOLED and most <= 2 * _WHOLE_PHASE * alike
    return bool(is_known and moves.sum() >= _CELLS and whole.sum() >= _WHOLE_CELLS * moves.sum())


def hints_at_fields(film: InterlaceSample, order: Order) -> bool:
    """Whether there is more to it than chance, though too little to act upon."""
    for_it, against = film.votes(order)
    pool = _pool_shows_fields(film, order, 1, _DOUBT)
    return pool or bool(
        film.moving.sum() >= _LEAST and for_it.sum() - against.sum() >= _DOUBT * film.moving.sum()
    )
