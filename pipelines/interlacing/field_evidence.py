"""`InterlaceSample`: collects evidence of interlacing from frames, and decides whether it is enough.

`field_motion` evaluates blocks from one frame to the next. Here they are counted and weighted
by their number, by the area they cover, and by their agreement in one field order.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipelines.interlacing.field_motion import CELLS, SCALES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.interlacing.field_motion import Votes

__all__ = [
    "CONTRARY",
    "SHARE",
    "InterlaceSample",
    "Order",
    "hints_at_fields",
    "legible",
    "order_of_vertical_motion",
    "order_shown",
    "plainly_shows_fields",
    "shows_fields",
    "shows_order",
    "shows_whole_frames",
    "together",
]


_LEAST = 48
"""Moving blocks with known field times before frames are trusted."""
SHARE = 0.34
"""Share of the moving blocks, and of those in half of the moving cells, that must show fields in one order;
telecine: two frames of five."""
_ONE_ORDER = 4
"""Ratio of blocks that show one field order to those that show the other."""
_CELLS = 3
"""Cells of the image, out of sixteen, that must show it."""
_LEANING, _LEANING_ONE_ORDER, _LEANING_LEAST, _LEANING_CELL, _LEANING_CELLS = 0.2, 8, 144, 0.12, 6
"""The same if compression has smoothed combs away in most blocks: fewer of more blocks, almost all in one
order, in more cells."""
_LEANING_PHASE = 0.15
_AGREEING_PHASE, _AGREEING_SURE, _AGREEING_CELLS, _AGREEING_PART = 0.2, 5.5, 5, 0.45
"""If many votes in one order and a phase further from chance agree, part of the moving cells is enough: text
that crawls below a scene in which compression has smoothed combs away."""
_DOWN_RATIO, _DOWN_AGREES = 4.0, 0.2
"""Where vertical motion is so many times as much as horizontal motion, its phase must agree: text that rolls
leans to one order by chance."""
_ORDER_VOTES, _ORDER_RATIO, _ORDER_PHASE, _ORDER_SURE, _ORDER_SURE_ALONE = 16, 6, 0.15, 2.5, 4.0
"""Which field is first, if flags say that there are two: less evidence is enough, as it is not about being
interlaced, of which compression smooths away some. Votes and the phase of all blocks, or the phase alone."""
_DOWN_PHASE, _DOWN_SURE, _DOWN_CELLS, _DOWN_PART, _DOWN_ALONE = 0.3, 6.0, 8, 0.75, 0.1
"""Phase of vertical motion, with almost no other motion, that is reported as a doubt."""
CONTRARY = 1.5
"""Factor on all limits if a flag says otherwise."""
_WHOLE, _EVEN = 0.7, 0.08
"""Against an interlaced flag: the smallest share of progressive blocks, and the largest excess of one field
order."""
_CHANCE = 1.5
"""Standard deviations of that excess for the phase of all blocks, which may go with few votes."""
_WHOLE_PHASE, _WHOLE_REACH, _WHOLE_CELL, _WHOLE_CELLS = 0.12, 0.21, 0.2, 0.75
"""The same for all blocks together: largest phase, the same with its error, largest phase of a cell, and the
share of moving cells that must have it."""
_PHASE, _CELL_PHASE = 0.25, 0.15
"""Phase of all blocks together, and of one cell: fields have 1/2, progressive frames 0; coarse compression
brings them closer."""
_PLAIN_SHARE, _PLAIN_PHASE = 0.8, 0.42
"""Share of the moving blocks, and phase of all blocks, where nearly everything must show fields."""
_SURE = 4.0
"""Standard deviations from 0 of the pooled phase."""
_LEAST_POOLED = 10_000.0
"""Smallest pooled sums: less is noise of the encoder."""
_MOVING_CELL = 0.02
"""Share of all blocks that makes a cell a moving one."""
_DOUBT = 0.2
"""Share of the moving blocks in one order that is reported as a doubt."""

Order = Literal["top", "bottom"]


def _cells() -> np.ndarray:
    return np.zeros((SCALES, CELLS, CELLS), int)


def _sums() -> np.ndarray:
    return np.zeros((SCALES, CELLS, CELLS))


def _products() -> np.ndarray:
    return np.zeros((SCALES, SCALES, CELLS, CELLS))


@dataclass
class InterlaceSample:
    """Evidence from one segment of a film.

    Blocks are counted by what they show, cell by cell, and frames by their flags.
    """

    top: np.ndarray = field(default_factory=_cells)
    """(scales, 4, 4): number of blocks with the top field first, for each cell of the image."""
    bottom: np.ndarray = field(default_factory=_cells)
    progressive: np.ndarray = field(default_factory=_cells)
    flagged: Counter[str] = field(default_factory=Counter)
    """Frames: top, bottom, progressive."""
    kinds: str = ""
    """One letter per frame: t, b (interlaced), p, u (no motion)."""
    apart: np.ndarray = field(default_factory=_sums)
    """(scales, 4, 4): sums over all blocks; the phase is sum(apart) / 2 sum(alike)."""
    alike: np.ndarray = field(default_factory=_sums)
    spread: np.ndarray = field(default_factory=_products)
    """(scales, scales, 4, 4): products of each frame's contributions to apart."""
    down: np.ndarray = field(default_factory=lambda: np.zeros((3, CELLS, CELLS)))
    """(3, 4, 4): apart and alike along vertical gradients, and the squares of each frame's apart."""

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
            self.down + other.down,
        )

    def note(self, votes: Votes) -> None:
        """Add the votes of one more frame."""
        self.top += votes.top
        self.bottom += votes.bottom
        self.progressive += votes.progressive
        self.kinds += votes.kind
        self.apart += votes.apart
        self.alike += votes.alike
        self.spread += votes.apart[:, None] * votes.apart[None]
        self.down += np.stack([*votes.down, votes.down[0] ** 2])

    def of(self, kept: np.ndarray) -> InterlaceSample:
        """Both scales combined, (4, 4) each. kept: (scales, 4, 4), whether a cell is used at that scale."""
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
            self.down,
        )

    @property
    def moving(self) -> np.ndarray:
        """All blocks with a vote."""
        return np.asarray(self.top + self.bottom + self.progressive)

    @property
    def moving_cells(self) -> np.ndarray:
        """Cells with at least a third of their average share."""
        moving = self.moving
        return np.asarray(moving * CELLS * CELLS * 3 >= max(int(moving.sum()), 1))

    def votes(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        """Blocks that show this field order, and those that show the other one."""
        return (self.top, self.bottom) if order == "top" else (self.bottom, self.top)


def legible(looks: Sequence[InterlaceSample]) -> list[InterlaceSample]:
    """Both scales combined, (4, 4), without cells of a scale in which motion is too fast for it."""
    kept = sum(looks, InterlaceSample()).alike >= 0
    return [look.of(kept) for look in looks]


def together(looks: Sequence[InterlaceSample]) -> InterlaceSample:
    """All segments combined."""
    return sum(looks, InterlaceSample().of(np.ones((SCALES, CELLS, CELLS), bool)))


def order_shown(film: InterlaceSample) -> Order:
    """The field order of the votes; if they are few, that of all blocks together."""
    ahead = int(film.top.sum() - film.bottom.sum())
    return "top" if (ahead if abs(ahead) >= _LEAST / 4 else film.apart.sum()) >= 0 else "bottom"


def shows_fields(film: InterlaceSample, order: Order, share: float, *, strictness: float = 1) -> bool:
    """Whether many moving blocks all over the image show fields in that order, singly or together."""
    if share == SHARE and _vertical_motion_contradicts(film, order):
        return False
    return (
        _votes_show_fields(film, order, share, strictness)
        or _pool_shows_fields(film, order, strictness)
        or _both_lean_to_fields(film, order, strictness)
        or (strictness == 1 and _both_agree_in_part(film, order))
    )


def _vertical_motion_contradicts(film: InterlaceSample, order: Order) -> bool:
    """Whether motion is almost all vertical, and does not show that order."""
    down, alike = float(film.down[0].sum()) * (1 if order == "top" else -1), float(film.down[1].sum())
    return (
        alike > max(_LEAST_POOLED, _DOWN_RATIO * float(film.alike.sum())) and down < 2 * _DOWN_AGREES * alike
    )


def plainly_shows_fields(film: InterlaceSample, order: Order) -> bool:
    """Whether nearly all moving blocks show fields in that order, singly and together."""
    return _votes_show_fields(film, order, _PLAIN_SHARE, 1) and _pool_shows_fields(
        film, order, 1, _PLAIN_PHASE
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


def _both_agree_in_part(film: InterlaceSample, order: Order) -> bool:
    """Whether many votes and the phase of all blocks agree in that order, in a part of the image."""
    for_it, against = film.votes(order)
    sign = 1 if order == "top" else -1
    apart, alike = sign * film.apart, float(film.alike.sum())
    moves = film.alike > _MOVING_CELL * alike
    shows = moves & (apart >= 2 * _CELL_PHASE * film.alike)
    return bool(
        for_it.sum() >= max(_LEANING_LEAST, _LEANING * film.moving.sum(), _ONE_ORDER * against.sum())
        and alike >= _LEAST_POOLED
        and apart.sum() >= 2 * _AGREEING_PHASE * alike
        and apart.sum() >= _AGREEING_SURE * np.sqrt(film.spread.sum())
        and shows.sum() >= max(_AGREEING_CELLS, _AGREEING_PART * moves.sum())
    )


def shows_order(film: InterlaceSample, order: Order) -> bool:
    """Whether that field is first in video that is flagged as interlaced and not known to be progressive."""
    for_it, against = (int(votes.sum()) for votes in film.votes(order))
    apart = film.apart if order == "top" else -film.apart
    alike = float(film.alike.sum())
    moves = film.alike > _MOVING_CELL * alike
    shows = moves & (apart >= _CELL_PHASE * film.alike)
    is_voted = for_it >= max(_ORDER_VOTES, _ORDER_RATIO * against)
    return bool(
        (is_voted or for_it >= against)
        and alike >= _LEAST_POOLED
        and apart.sum() >= 2 * _ORDER_PHASE * alike
        and apart.sum() >= (_ORDER_SURE if is_voted else _ORDER_SURE_ALONE) * np.sqrt(film.spread.sum())
        and shows.sum() >= max(_AGREEING_CELLS, moves.sum() / 2)
    )


def order_of_vertical_motion(film: InterlaceSample) -> Order | None:
    """The field order that vertical motion shows where hardly anything else moves; None if it shows none.

    Scrolling art with doubled lines shows the same, so this is only a reason for doubt.
    """
    apart, alike, squares = film.down
    total = float(alike.sum())
    order: Order = "top" if apart.sum() >= 0 else "bottom"
    sign = 1 if order == "top" else -1
    moves = alike > _MOVING_CELL * total
    shows = moves & (sign * apart >= 2 * _CELL_PHASE * alike)
    across, across_alike = sign * float(film.apart.sum()), float(film.alike.sum())
    is_shown = (
        total >= _LEAST_POOLED
        and sign * apart.sum() >= 2 * _DOWN_PHASE * total
        and sign * apart.sum() >= _DOWN_SURE * np.sqrt(squares.sum())
        and shows.sum() >= max(_DOWN_CELLS, _DOWN_PART * moves.sum())
        and (across_alike <= _DOWN_ALONE * total or across >= 2 * _PHASE * across_alike)
    )
    return order if is_shown else None


def _pool_shows_fields(film: InterlaceSample, order: Order, strictness: float, least: float = _PHASE) -> bool:
    """Whether all blocks together show a phase of fields in that order.

    The phase must be far from chance, and found in most of the moving cells.
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
    """Whether enough cells of the image show it, and half of the moving ones."""
    return bool(shows.sum() >= max(_CELLS, moves.sum() / 2))


def shows_whole_frames(looks: Sequence[InterlaceSample]) -> bool:
    """Whether the frames are certainly progressive, whatever their flags.

    They are if neither field order outweighs the other, in votes or in all blocks together.
    """
    film = together(looks)
    top, bottom = int(film.top.sum()), int(film.bottom.sum())
    is_even = abs(top - bottom) <= _EVEN * max(int(film.moving.sum()), 1)
    is_chance = abs(top - bottom) <= _CHANCE * math.sqrt(top + bottom)
    return (is_even and _votes_show_whole_frames(film, looks)) or (
        (is_even or is_chance) and _pool_shows_whole_frames(film)
    )


def _votes_show_whole_frames(film: InterlaceSample, looks: Sequence[InterlaceSample]) -> bool:
    """Whether votes are progressive all over the image, in every segment with enough motion."""
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
    """Whether the phase of all blocks is 0, with a small error."""
    alike = float(film.alike.sum())
    moves = film.alike > _MOVING_CELL * alike
    whole = moves & (np.abs(film.apart) <= 2 * _WHOLE_CELL * film.alike)
    apart, error = abs(float(film.apart.sum())), 3 * float(np.sqrt(film.spread.sum()))
    is_known = (
        alike >= CONTRARY * _LEAST_POOLED
        and apart <= 2 * _WHOLE_PHASE * alike
        and apart + error <= 2 * _WHOLE_REACH * alike
    )
    return bool(is_known and moves.sum() >= _CELLS and whole.sum() >= _WHOLE_CELLS * moves.sum())


def hints_at_fields(film: InterlaceSample, order: Order) -> bool:
    """Whether the evidence is more than chance, though too little to act upon."""
    for_it, against = film.votes(order)
    pool = _pool_shows_fields(film, order, 1, _DOUBT)
    return pool or bool(
        film.moving.sum() >= _LEAST and for_it.sum() - against.sum() >= _DOUBT * film.moving.sum()
    )
