"""`match_fields`: which neighbouring fields of a film were taken at one time, as block votes per frame.

Fields f and f + 1, woven, comb where something moved between them. Combing is measured by second differences
across lines; texture, noise and dot crawl increase them, but equally for all weaves of a place. So a block
votes only if one weave has more than twice the combing of the weaves before and after it. In film, no three
neighbouring fields were taken at three times, so there is always one that does not comb. A repeated field
equals the field two before it; the fields next to it don't.

Columns are averaged, against noise and dot crawl. Every line is examined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipelines.frames.film_frames import frames_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.media.video_info import VideoInfo

__all__ = ["FACTS", "MARGIN_FRAMES", "facts_of", "match_fields"]


MARGIN_FRAMES = 4
"""Frames on either side that the facts of a frame depend on."""
FACTS = (
    "before_apart", "before_together", "own_apart", "own_together", "first_again", "first_moved",
    "second_again", "second_moved", "before_combed", "own_combed", "moving",
)  # fmt: skip
"""Facts of a frame, each a number of blocks. before: its first field matches the second one of the frame
before. own: its two fields match. apart, together: votes for two times, and for one. combed: combing of its
own fields. again, moved: votes that a field repeats that of the frame before, and that it does not."""
_BATCH = 48
_COLUMNS, _MOST_AVERAGED = 180, 4
"""Number of columns after averaging, and most columns that are averaged."""
_BLOCK = 8
"""Columns and field lines of a block."""
_RATIO = 2.0
_FLOOR = 1.5**2 * 2 * _BLOCK**2
"""Squared 8-bit values, summed over a block: less is left by encoders."""
_MOTION = 4.0**2 * _BLOCK**2
_NOISE = 3.0
"""Factor on the noise by which a moving block must differ."""
_COMBED = 1.8

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Maps:
    """Maps of one frame: (rows, columns) of blocks, flattened."""

    before: Map
    """Combing of its first field with the second one of the frame before."""
    own: Map
    first: Map
    """Difference to the first field of the frame before."""
    second: Map
    rough: Map
    """Combing of its two fields if each were a frame."""


def match_fields(info: VideoInfo, first_field: str, start: int, stop: int) -> npt.NDArray[np.int32]:
    """Return facts, (frames, FACTS), about the source frames [start, stop).

    Decodes only these and a few neighbours.
    """
    first, end = max(0, start - MARGIN_FRAMES), min(info.frame_count, stop + MARGIN_FRAMES)
    luma = (frame.planes[0] for _, frame in frames_at(info, [(first, end)]))
    rows = facts_of(luma, first_field, info.pixels.bits)
    return np.concatenate(list(rows))[start - first : stop - first]


def facts_of(luma: Iterator[np.ndarray], first_field: str, bits: int = 8) -> Iterator[npt.NDArray[np.int32]]:
    """Facts from (H,W) luma planes, in batches."""
    top = first_field == "top"
    kept: list[_Maps] = []
    done = 0
    fields: tuple[Map, Map] | None = None
    for plane in luma:
        now = _fields(plane, top=top, bits=bits)
        kept.append(_maps(fields or now, now, top=top))
        fields = now
        if len(kept) >= _BATCH + 2 * MARGIN_FRAMES:
            yield _votes(kept)[done : _BATCH + MARGIN_FRAMES]
            del kept[: len(kept) - 2 * MARGIN_FRAMES]
            done = MARGIN_FRAMES
    if len(kept) > done:
        yield _votes(kept)[done:]


def _fields(plane: np.ndarray, *, top: bool, bits: int) -> tuple[Map, Map]:
    """(first, second) field with fewer columns, in 8-bit values."""
    plane = plane[: len(plane) // 2 * 2]
    by = max(1, plane.shape[1] // _COLUMNS)
    of, end = min(by, _MOST_AVERAGED), plane.shape[1] // by * by
    total = plane[:, 0:end:by].astype(np.float32)
    for column in range(1, of):
        total += plane[:, column:end:by]
    total *= np.float32(2.0 ** (8 - bits) / of)
    return (total[0::2], total[1::2]) if top else (total[1::2], total[0::2])


def _maps(before: tuple[Map, Map], now: tuple[Map, Map], *, top: bool) -> _Maps:
    return _Maps(
        _comb(now[0], before[1]) if top else _comb(before[1], now[0]),
        _comb(now[0], now[1]) if top else _comb(now[1], now[0]),
        _sums(now[0] - before[0]),
        _sums(now[1] - before[1]),
        _rough(now[0]) + _rough(now[1]),
    )


def _comb(top: Map, bottom: Map) -> Map:
    """Energy of differences from the lines above and below, with these two fields woven."""
    below, above = bottom.copy(), top.copy()
    below[:-1] -= (top[:-1] + top[1:]) * np.float32(0.5)
    below[-1] = 0
    above[1:] -= (bottom[:-1] + bottom[1:]) * np.float32(0.5)
    above[0] = 0
    return _sums(below) + _sums(above)


def _rough(field: Map) -> Map:
    own = field.copy()
    own[1:-1] -= (field[:-2] + field[2:]) * np.float32(0.5)
    own[0] = own[-1] = 0
    return _sums(own)


def _sums(values: Map) -> Map:
    """Sums of squares over blocks."""
    rows, columns = (max(1, side // _BLOCK) for side in values.shape)
    high, wide = (min(_BLOCK, side) for side in values.shape)
    part = values[: rows * high, : columns * wide]
    part = (part * part).reshape(rows, high, columns * wide).sum(1)
    return np.asarray(part.reshape(rows, columns, wide).sum(2).ravel())


def _votes(maps: list[_Maps]) -> npt.NDArray[np.int32]:
    """(frames, FACTS); those of the first and last MARGIN_FRAMES are not final if the film continues."""
    count = len(maps)
    comb = np.stack([m for one in maps for m in (one.before, one.own)])
    moved = np.stack([m for one in maps for m in (one.first, one.second)])
    rough = np.stack([one.rough for one in maps])
    comb[0], moved[:2] = comb[1], moved[2:4] if count > 1 else 0
    neighbours = np.maximum(_shifted(comb, 1), _shifted(comb, -1))
    # With any pulldown, two of the weaves on both sides comb; at a cut, one combs far more.
    around = np.sort([_shifted(comb, n) for n in (-2, -1, 1, 2)], axis=0)[-2]
    apart, together = comb > _RATIO * neighbours + _FLOOR, around > _RATIO * comb + _FLOOR
    quiet = np.percentile(moved, 10, axis=1)
    noise = np.min([_shifted(quiet, n) for n in range(-2, 3)], axis=0)[:, None]
    least = _MOTION + _NOISE * noise
    around = np.minimum(_shifted(moved, 1), _shifted(moved, -1))
    again, anew = (
        (around > least) & (around > _RATIO * moved + _FLOOR),
        (around > least) & (around <= _RATIO * moved + _FLOOR),
    )
    moving = moved > least
    here = moving[0::2] | moving[1::2]
    here |= _shifted(here, -1)
    combed_before = (comb[0::2] > _COMBED * (rough + _shifted(rough, 1)) / 2 + _FLOOR) & here
    combed_own = (comb[1::2] > _COMBED * rough + _FLOOR) & here
    columns = (
        apart[0::2], together[0::2], apart[1::2], together[1::2], again[0::2], anew[0::2],
        again[1::2], anew[1::2], combed_before, combed_own, here,
    )  # fmt: skip
    return np.stack([c.sum(1) for c in columns], axis=1).astype(np.int32)


def _shifted(rows: np.ndarray, by: int) -> np.ndarray:
    """Row n is the one `by` before it; clamped at the ends."""
    places = np.clip(np.arange(len(rows)) - by, 0, len(rows) - 1)
    return rows[places]
