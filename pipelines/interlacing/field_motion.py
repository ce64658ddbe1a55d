"""`field_phase`: when the bottom field of a frame was taken, measured from the motion of blocks.

Between two frames a block moves by some distance. If both fields of the first frame were taken at once, its
bottom field shows the block at the position of the top field: the phase is 0. In interlaced video it shows
the block halfway to the next frame, phase +1/2 (top field first), or halfway from the one before, -1/2
(bottom field first). In a frame that telecine wove from two film frames, the phase is a whole step.

Textures don't matter (stripes, scan lines, dither, bitmap letters): the phase is computed from correlations
with horizontal gradients, with which differences between lines are uncorrelated. The same holds for vertical
motion, which alone can make progressive frames look interlaced.

With t, t' the top lines of two frames, b the bottom lines of the first, interpolated to their position, and g
the horizontal gradient of t + t': u = <g, b - (t + t')/2> / <g, t' - t>; and w the same with the fields
exchanged. For small steps u = s (phase - 1/2) and w = -s (phase + 1/2), where s, 0..1, is the similarity of
neighbouring lines. So s = -(u + w), and phase = (u - w) / 2s.

Each block with clear motion has a vote. Faint motion, noise and coarse compression leave most blocks without
one; for them the same sums are pooled, weighted by motion along the gradient: noise has no common sign and
cancels over blocks, frames and places. Everything is done at two scales: steps that are too long for the fine
one (where s becomes negative) are short for the coarse one.

The same with vertical gradients shows vertical motion, but textures matter there: art with doubled lines that
scrolls looks exactly like fields. This evidence is kept separate, and can only raise a doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["CELLS", "SCALES", "Sample", "Votes", "field_phase", "sample"]


CELLS = 4
"""Votes are counted in so many rows and columns of cells."""
SCALES = 2
_BANDS, _BAND_LINES = 16, 18
"""The image is examined in bands of lines: eight lines of a block in each field, and one line on each side
for interpolation."""
_COLUMNS = 180
"""Approximate number of columns after averaging: motion of some pixels is then small, and noise low."""
_COARSER = 4
"""Factor of the coarse scale, for faster motion."""
_BLOCK = 8
"""Columns and field lines of a block."""
_LEAST_CHANGE = 3.0
"""RMS difference, in 8-bit values, of a moving block between two frames; weaker combs are lost in
encoding."""
_LEAST_ALONG = 0.2
"""Share of that difference's energy that motion along the gradient must explain."""
_LEAST_ALIKE = 0.25
"""Lower bound of s: blocks with less correlation between neighbouring lines have no vote."""
_SAME_LIGHT = 2.0
"""Largest difference of the means of the two fields: if one is darker, this is content (scan lines), and
shows no time."""
_FADING = 1.25
"""From one field to the next, a block may change at most so many times as much as from frame to frame, except
in a fade."""
_HALFWAY = 0.25
"""Phases beyond this are those of fields."""
_FAINT_CHANGE, _FAINT_ALONG = 0.5, 0.1
"""Thresholds like _LEAST_CHANGE and _LEAST_ALONG, for blocks that are pooled."""
_FLAT = 4.0
"""Weaker gradients, in 8-bit values, have a lower weight."""

Field = npt.NDArray[np.float32]
"""(bands, lines, columns) in 8-bit values."""


@dataclass(frozen=True)
class Sample:
    """Lines of one frame, fine and coarse: (bands, 18, columns) each."""

    scales: tuple[Field, ...]


@dataclass(frozen=True)
class Votes:
    """Votes about a frame from the moving blocks between it and the next."""

    top: np.ndarray
    """(SCALES, CELLS, CELLS): number of blocks with the bottom field taken after the top field."""
    bottom: np.ndarray
    progressive: np.ndarray
    apart: np.ndarray
    """(SCALES, CELLS, CELLS): the phase of all blocks together is sum(apart) / 2 sum(alike)."""
    alike: np.ndarray
    down: np.ndarray
    """(2, CELLS, CELLS): apart and alike along vertical gradients, at the fine scale."""
    kind: str
    """The frame as a whole: t, b, p, or u if there is no motion."""


def sample(frame: VideoFrame) -> Sample | None:
    """The lines that are examined.

    None for frames that are too small, use a palette, or are stored bottom up.
    """
    plane, part = frame.planes[0], frame.format.components[0]
    if frame.format.has_palette or plane.line_size <= 0:
        return None
    step = 2 if part.bits > 8 else 1
    rows: Any = np.frombuffer(memoryview(plane), np.uint8 if step == 1 else np.uint16).reshape(
        -1, plane.line_size // step
    )
    return sample_of(rows[: frame.height, : frame.width], part.bits)


def sample_of(luma: np.ndarray, bits: int = 8) -> Sample | None:
    """The lines of (H,W) uint8 or uint16 samples that are examined."""
    height, width = luma.shape
    if height < _BAND_LINES or width < _BLOCK + 2:
        return None
    bands = min(_BANDS, height // _BAND_LINES)
    starts = 2 * np.round(np.linspace(0, (height - _BAND_LINES) // 2, bands)).astype(int)
    lines = luma[(starts[:, None] + np.arange(_BAND_LINES)).ravel()]
    by = max(1, width // _COLUMNS)
    fine = _averaged(lines, by).reshape(bands, _BAND_LINES, -1)
    fine *= np.float32(2.0 ** (8 - bits))
    scales: list[Field] = [fine]
    if fine.shape[2] >= _COARSER * (_BLOCK + 2):
        scales.append(_averaged(fine, _COARSER))
    return Sample(tuple(scales))


def _averaged(lines: np.ndarray, by: int) -> Field:
    """Average groups of so many columns."""
    end = lines.shape[-1] // by * by
    total = lines[..., 0:end:by].astype(np.float32)
    for column in range(1, by):
        total += lines[..., column:end:by]
    total *= np.float32(1 / by)
    return total


def field_phase(first: Sample, second: Sample) -> Votes:
    """Count votes on the field order, from the blocks that move from one frame to the next."""
    counts = np.zeros((3, SCALES, CELLS, CELLS), int)
    pooled = np.zeros((2, SCALES, CELLS, CELLS))
    woven = [0, 0, 0]
    if _is_drawn_in_lines(first.scales[0], second.scales[0]):
        return Votes(counts[0], counts[1], counts[2], pooled[0], pooled[1], np.zeros((2, CELLS, CELLS)), "u")
    for scale, (one, two) in enumerate(zip(first.scales, second.scales, strict=True)):
        u, u_step, u_moves, u_energy, u_change = _side(one[:, 2::2], two[:, 2::2], one[:, 1::2])
        w, w_step, w_moves, w_energy, w_change = _side(one[:, 1:-1:2], two[:, 1:-1:2], one[:, 0::2])
        faint = (u, u_step, u_energy, u_change), (w, w_step, w_energy, w_change)
        pooled[:, scale] = _pooled(*faint, _FAINT_ALONG, _FAINT_CHANGE)
        both = u_moves & w_moves & (u_step * w_step > 0)
        # One scale for both sides: lines that are drawn darker in one field are not a phase.
        step = np.copysign(np.sqrt(np.where(both, u_step * w_step, 1)), u_step)
        apart, alike = (u - w) / step, -(u + w) / step
        sure = both & (alike > _LEAST_ALIKE)
        top, bottom = sure & (apart > 2 * _HALFWAY * alike), sure & (apart < -2 * _HALFWAY * alike)
        for number, shown in enumerate((top, bottom, sure & ~top & ~bottom)):
            counts[number, scale] = _by_cell(shown)
        # Where only one field moves, as in telecine: the other one is where this one goes to, or where it
        # comes from.
        for number, (alone, value, moved) in enumerate(
            ((u_moves & ~w_moves, u, u_step), (w_moves & ~u_moves, w, w_step))
        ):
            ahead = alone & (value * np.sign(moved) > _LEAST_ALIKE * np.abs(moved))
            woven[number] += int(np.count_nonzero(ahead))
            woven[2] += int(np.count_nonzero(alone & ~ahead))
    kind = _kind(*(int(c.sum()) + more for c, more in zip(counts, woven, strict=True)))
    down = _phase_down(first.scales[0], second.scales[0])
    return Votes(counts[0], counts[1], counts[2], pooled[0], pooled[1], down, kind)


def _phase_down(one: Field, two: Field) -> np.ndarray:
    """(2, CELLS, CELLS): sums of apart and alike over blocks that move, along vertical gradients."""
    top = _side_down(one[:, 2::2], two[:, 2::2], one[:, 1::2])
    bottom = _side_down(one[:, 1:-1:2], two[:, 1:-1:2], one[:, 0::2])
    return _pooled(top, bottom, _LEAST_ALONG, _LEAST_CHANGE)


def _pooled(
    one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...], least_along: float, least_change: float
) -> np.ndarray:
    """(2, CELLS, CELLS): sums of apart and alike over blocks in which both fields move the same way.

    one, other: for each field <g, other - mean>, <g, then - now>, <g, g> and |then - now|^2 of each block, as
    in `_side`. least_along, least_change: how well the change follows the gradient, and its size, in blocks
    that count.
    """
    u, u_step, u_energy, u_change = one
    w, w_step, w_energy, w_change = other
    total, energy, change = u_step + w_step, u_energy + w_energy, u_change + w_change
    moves = (
        (u_step * w_step > 0)
        & (total * total > least_along * energy * change)
        & (change > 2 * least_change**2 * _BLOCK**2)
    )
    weight = np.where(moves, total / (energy + _FLAT * _BLOCK**2), 0)
    return np.stack([_by_cell(weight * (u - w)), -_by_cell(weight * (u + w))])


def _side_down(now: Field, then: Field, other: Field) -> tuple[np.ndarray, ...]:
    """The sums of `_side` along vertical gradients, without its third."""
    both = now + then
    gradient = both[:, 2:] - both[:, :-2]
    step = (then - now)[:, 1:-1]
    away = (other[:, :-1] + other[:, 1:] - both)[:, 1:-1]
    sums = (_by_block(part) for part in (gradient * away, gradient * step, gradient * gradient, step * step))
    across, along, energy, change = sums
    return across / 2, along, energy, change


def _is_drawn_in_lines(first: Field, second: Field) -> bool:
    """Whether one field is darker than the other, and not because of a fade."""
    top, bottom = float(first[:, 0::2].mean()), float(first[:, 1::2].mean())
    return abs(bottom - top) > max(_SAME_LIGHT, _FADING * abs(float(second[:, 0::2].mean()) - top))


def _side(now: Field, then: Field, other: Field) -> tuple[np.ndarray, ...]:
    """Sums of each block: (<g, other - mean>, <g, then - now>, is moving, <g, g>, |then - now|^2).

    is moving: along its gradient. now, then: 8 lines of a field in two frames. other: the 9 lines of the
    other field around them, in the first frame.
    """
    both = now + then
    gradient = both[..., 2:] - both[..., :-2]
    step = (then - now)[..., 1:-1]
    away = (other[:, :-1] + other[:, 1:] - both)[..., 1:-1]
    along, change = _by_block(gradient * step), _by_block(step * step)
    energy = _by_block(gradient * gradient)
    moves = (change > _LEAST_CHANGE**2 * _BLOCK**2) & (along * along > _LEAST_ALONG * energy * change)
    return _by_block(gradient * away) / 2, along, moves, energy, change


def _by_block(values: Field) -> np.ndarray:
    """Sums over blocks: (bands, columns of blocks)."""
    columns = values.shape[2] // _BLOCK
    lines = values.sum(1)[:, : columns * _BLOCK]
    return np.asarray(lines.reshape(-1, columns, _BLOCK).sum(2), np.float64)


def _by_cell(blocks: np.ndarray) -> np.ndarray:
    """Sums over the blocks in each cell of the image; for booleans, counts."""
    row, column = np.nonzero(blocks)
    cell = row * CELLS // blocks.shape[0] * CELLS + column * CELLS // blocks.shape[1]
    weights = None if blocks.dtype == bool else blocks[row, column]
    return np.bincount(cell, weights, CELLS * CELLS).reshape(CELLS, CELLS)


def _kind(top: int, bottom: int, progressive: int) -> str:
    if not top + bottom + progressive:
        return "u"
    if max(top, bottom) * 3 >= top + bottom + progressive and max(top, bottom) > 2 * min(top, bottom):
        return "t" if top > bottom else "b"
    return "p"
