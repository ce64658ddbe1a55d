"""`level_of_clip`: estimates how degraded footage is, as a restoration level 0..1, from its frames.

Statistics of 128x128 tiles are computed for a pair of frames: how many frequencies of 8x8 blocks are missing
in detailed places, how this varies from block to block, how much fine detail is left, and how visible steps
at block borders are. Three small networks, trained by `tests.benchmarks.level`, map them to a level; the
result is the median over the pairs. The networks are trained to estimate too low rather than too high: a high
level harms a clean film more than a low level harms a ruined one. After the statistics are standardised, all
numbers are multiples of a power of two, so neither the order of a sum nor the CPU changes the level.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.codec.filter_graph import prefiltered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "WEIGHTS",
    "consecutive_pairs",
    "level_of_clip",
    "median_level",
    "pair_statistics",
    "rounded",
    "score_of_pair",
    "statistics",
    "tiles_of_frame",
]


WEIGHTS = Path(__file__).parents[2] / "models" / "trained" / "restoration-level.safetensors"
_TILE_PX = 128
GRID_PX = 8
"""Tiles begin at multiples of it, like the blocks of codecs."""
_PLACES = 8
"""Number of places of a clip that are examined."""
_TILES = 6
"""Number of tiles per frame, those with most content; others show neither blocks nor noise."""
_LEAST_ACTIVITY = 1.0
"""Mean squared difference of neighbouring pixels, in squared 8-bit values, of a tile that is examined."""
_MARGIN_PX = 16
"""Margin around a tile for filters."""
_DIGITS = 2
_UNIT = 1 / 1024
"""Numbers in the networks are multiples of it."""
_RANGE = 4.0
"""Standard deviations beyond which nothing was learned."""
_PLACE = np.arange(8)
_DCT = (
    np.round(
        np.cos(np.pi * (2 * _PLACE + 1) * _PLACE[:, None] / 16)
        * np.where(_PLACE[:, None], 0.5, 0.5**1.5)
        * 4096
    )
    / 4096
)
"""DCT of 8 samples; its numbers are multiples of a power of two, so that no sum over integers is rounded."""
_BANDS = ((1, 1), (2, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 14))
"""First and last diagonal of a block's frequencies."""
_COARSE = 3
"""Bands that measure the content of a block; codecs remove the others first."""
_CALM, _STEP = 1.5, (0.5, 6.0)
"""Largest difference of neighbours in smooth places; range of a step between them that may be a block border.
8-bit values."""


def level_of_clip(luma: np.ndarray, bits: int) -> float | None:
    """Estimate the level of (T,H,W) limited-range sample values, to two decimals, from some of the frames.

    None if all frames are flat or tiny.
    """
    chosen = luma[:: max(1, len(luma) // (2 * _PLACES))][: 2 * _PLACES]
    unit = float(1 << (bits - 8))
    tiles = [[tile / unit for tile in tiles_of_frame(frame, bits)] for frame in chosen]
    scores = [score_of_pair([*one, *two]) for one, two in consecutive_pairs(tiles)]
    return median_level([score for score in scores if score is not None])


def consecutive_pairs(found: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Pairs; a single item is paired with itself."""
    waiting = None
    alone = True
    for one in found:
        if waiting is None:
            waiting = one
        else:
            yield waiting, one
            waiting, alone = None, False
    if waiting is not None and alone:
        yield waiting, waiting


def score_of_pair(tiles: Sequence[np.ndarray]) -> float | None:
    """Restoration level, 0 to 1, of tiles of a pair of frames (8-bit, limited range); None without tiles."""
    if not tiles:
        return None
    weights = _weights()
    x = (pair_statistics(tiles) - weights["mean"]) / weights["deviation"]
    x = rounded(x.clip(-_RANGE, _RANGE))[None, None]
    for number in range(3):
        x = x @ weights[f"{number}.weight"].transpose(0, 2, 1) + weights[f"{number}.bias"][:, None]
        x = rounded(np.maximum(x, 0) if number < 2 else x)
    return float(x[..., 0].clip(0, 1).mean())


def median_level(scores: Sequence[float]) -> float | None:
    """The median level of pairs of frames, rounded to two decimals; None if there are none."""
    return round(float(np.median(scores)), _DIGITS) if scores else None


def rounded(x: np.ndarray) -> np.ndarray:
    """Round to multiples of a power of two, so that sums are exact."""
    return np.asarray(np.round(x / _UNIT) * _UNIT)


def pair_statistics(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Means and deviations of the statistics of some tiles: (174,)."""
    rows = np.stack([statistics(tile) for tile in tiles])
    return np.concatenate([rows.mean(0), rows.std(0)])


def statistics(tile: np.ndarray) -> np.ndarray:
    """Statistics of (H,W) luma in 8-bit limited-range values, float64, sides multiples of 8: (87,)."""
    strengths = _strengths(tile)
    bands = np.log2(strengths @ _MEANS + 0.1)
    gone = (strengths < 0.5).astype(np.float64) @ _MEANS
    coarse, fine, lost = (
        bands[..., :_COARSE].mean(-1),
        bands[..., _COARSE:].mean(-1),
        gone[..., _COARSE:].mean(-1),
    )
    found: list[Any] = []
    for some in np.array_split(np.argsort(coarse, axis=None, kind="stable"), 4):
        found += [
            *bands.reshape(-1, len(_BANDS))[some].mean(0),
            *gone.reshape(-1, len(_BANDS))[some, 2:].mean(0),
        ]
    x, y = coarse - coarse.mean(), fine - fine.mean()
    slope = (x * y).mean() / ((x * x).mean() + 0.01)
    odd = y - slope * x
    found += [slope, np.sqrt((odd * odd).mean())]
    found += [np.abs(np.diff(fine, axis=0)).mean(), np.abs(np.diff(fine, axis=1)).mean()]
    found += [np.abs(np.diff(odd, axis=0)).mean(), np.abs(np.diff(coarse, axis=0)).mean()]
    found += [
        (lost > 0.98).mean(),
        (lost > 0.8).mean(),
        (lost < 0.3).mean(),
        *np.percentile(fine, (5, 25, 75, 95)),
    ]
    x = tile
    for _ in range(3):
        soft = _blurred(x)
        detail = np.abs(x - soft)
        few, half, most = np.percentile(detail, (20, 50, 95))
        found += [
            np.log2(np.square(detail).mean() + 0.05),
            np.log2(half + 0.05),
            np.log2(few + 0.02),
            np.log2(most + 0.05),
        ]
        x = soft
    for steps in (np.abs(np.diff(tile, axis=1)), np.abs(np.diff(tile, axis=0)).T):
        found += _borders(steps)
    return np.array([*found, tile.mean() / 64, np.log2(tile.std() + 0.5)])


def _strengths(tile: np.ndarray) -> np.ndarray:
    """(rows, columns, 64) magnitudes of the frequencies of blocks."""
    rows, columns = (side // 8 for side in tile.shape)
    blocks = tile.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3)
    across = (blocks.reshape(-1, 8) @ _DCT.T).reshape(-1, 8, 8).transpose(0, 2, 1)
    return np.asarray(np.abs(np.ascontiguousarray(across).reshape(-1, 8) @ _DCT.T).reshape(rows, columns, 64))


def _means() -> np.ndarray:
    diagonal = (_PLACE + _PLACE[:, None]).reshape(64)
    inside = np.stack([(diagonal >= first) & (diagonal <= last) for first, last in _BANDS], axis=1).astype(
        np.float64
    )
    return np.asarray(inside / inside.sum(0))


_MEANS = _means()
"""(64, bands): maps the frequencies of a block to the mean of each band."""


def _borders(steps: np.ndarray) -> list[Any]:
    """How much differences of neighbours, (lines, places), stand out at borders of 4x4 and 8x8 blocks.

    There is one value over all places, and one over smooth ones.
    """
    found = []
    for period in (4, 8):
        means = [steps[:, place::period].mean() for place in range(period)]
        found.append(np.log2((means[-1] + 0.1) / (np.mean(means) + 0.1)))
    inner = steps[:, 1:-1]
    alone = (steps[:, :-2] <= _CALM) & (steps[:, 2:] <= _CALM) & (inner >= _STEP[0]) & (inner <= _STEP[1])
    place = np.arange(1, steps.shape[1] - 1)
    of_eight, of_four = place % 8 == 7, place % 8 == 3
    others = alone[:, ~(of_eight | of_four)].mean() + 0.01
    found += [np.log2((alone[:, where].mean() + 0.01) / others) for where in (of_eight, of_four)]
    return [*found, (steps == 0).mean(), (steps <= 1).mean()]


def _blurred(x: np.ndarray) -> np.ndarray:
    """Binomial filter over 3x3, with the border repeated."""
    padded = np.pad(x, 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((across[:-2] + 2 * across[1:-1] + across[2:]) / 16)


@functools.cache
def _weights() -> Mapping[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {name: tensor.astype(np.float64) for name, tensor in load_file(WEIGHTS).items()}


def tiles_of_frame(luma: np.ndarray, bits: int = 8, prefilter: str = "") -> list[np.ndarray]:
    """The tiles of a frame with most content, as float64; flat tiles are skipped.

    prefilter: filters applied to them.
    """
    height, width = (min(_TILE_PX, side // GRID_PX * GRID_PX) for side in luma.shape)
    if min(height, width) < _TILE_PX // 2:
        return []
    places = [
        (y, x)
        for y in range(0, luma.shape[0] - height + 1, height)
        for x in range(0, luma.shape[1] - width + 1, width)
    ]
    unit = float(1 << (bits - 8))
    ranked = sorted(
        ((_activity(luma[y : y + height, x : x + width] / unit), n) for n, (y, x) in enumerate(places)),
        reverse=True,
    )
    found = []
    for activity, number in ranked[:_TILES]:
        y, x = places[number]
        if activity < _LEAST_ACTIVITY:
            break
        top, left = max(0, y - _MARGIN_PX), max(0, x - _MARGIN_PX)
        around = luma[top : y + height + _MARGIN_PX, left : x + width + _MARGIN_PX]
        shown = prefiltered(around, prefilter, bits) if prefilter else around
        found.append(shown[y - top : y - top + height, x - left : x - left + width].astype(np.float64))
    return found


def _activity(tile: np.ndarray) -> float:
    return float((np.square(np.diff(tile, axis=0)).mean() + np.square(np.diff(tile, axis=1)).mean()) / 2)
