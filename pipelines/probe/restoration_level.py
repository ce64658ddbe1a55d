"""`estimate_levels`: how degraded a film is, shot by shot, as restoration levels 0..1.

The level is the higher one of two estimates: from decoded frames (`level_estimator`), and from the quantisers
of the encoder (`quantisers`). A film encoded at CRF 32 and again at CRF 16 has the blocks of the first and
the quantiser of the second. A film full of fur or leaves looks undamaged at any quantiser.

Estimates at one place vary by about 0.1 with the content, so most films have one level. The level changes at
a cut only if several consecutive places are clearly more or less degraded than their surroundings, such as
the archive shots of a documentary.

A short film is decoded completely; a longer one at sample places. If the level changes between two places,
the range between is halved until it is short enough to be decoded completely to find the cut.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.frames.level_estimator import consecutive_pairs, median_level, score_of_pair, tiles_of_frame
from pipelines.frames.shot_detection import ShotDetector
from pipelines.probe.quantisers import Quantisers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.frames.film_frames import FilmSamples
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.plan.plan import RestoreLevels

__all__ = ["estimate_levels"]


_PLACES, _MOST_PLACES, _PLACE_SECONDS = 8, 32, 15
"""Number of places where a film is examined, their maximum, and the seconds of film for each further one."""
_LOOKED_AT = (4, 7)
"""Which frames are examined at a place, counted from a key frame; key frames have a higher quality than the
frames after them."""
_THROUGH, _MOST_THROUGH = 250, 500
"""Films with at most so many frames are decoded completely; the second number applies if key frames are so
far apart that few places can be examined."""
_SAMPLES = 16
"""Frames that are examined of a part that is decoded completely, in addition to two of each shot."""
_WEIGHT_FRAMES = 12
"""Number of frames that count as much as one place, if a whole part of the film is decoded."""
_CHANGE = 0.3
"""Cost of one change of the level; added to the sum over places of the distances from their level."""
_LEAST_WEIGHT = 1.5
"""Smallest weight, in places, of a part with a separate level."""
_LEAST_STEP = 0.2
"""Smallest change from one level to the next; a smaller one is within the estimate's own error."""
_ENOUGH_TILES = 6
"""With fewer tiles the film's level is lowered in proportion: neighbouring frames of one game, 320x180 with
two tiles each, were estimated at 0.06 to 0.51, and too low costs less than too high."""


def estimate_levels(samples: FilmSamples, *, full: bool, prefilter: str = "") -> RestoreLevels:
    """Estimate a film's restoration levels, to two decimals; empty if all frames are flat or tiny.

    full: full range. prefilter: filters before the networks; their output is then estimated, without the
    quantisers.
    """
    if samples.info.pixels.is_float:
        return ()
    count = samples.info.frame_count
    film = _Film(samples, full=full, prefilter=prefilter)
    # If frames are not known by their times, the beginning represents the whole film.
    places = film.places() if samples.is_seekable and count > _THROUGH else []
    if places and (len(places) >= _PLACES or count > _MOST_THROUGH):
        parts = _parts_of_places(film, places)
    else:
        parts = _parts(film.shots(0, count), film)
    levels = [film.level(looks, _ENOUGH_TILES) for looks in parts]
    return tuple(
        (0 if number == 0 else looks[0].frame, level)
        for number, (looks, level) in enumerate(zip(parts, levels, strict=True))
        if level is not None
    )


@dataclass(frozen=True)
class _Look:
    """What was found at a place of a film, or in a shot."""

    frame: int
    """Number of its first frame."""
    weight: float
    scores: list[float]
    """Scores of pairs of its frames, from decoded samples."""
    quantisers: list[float]
    tiles: int = 0
    """Number of tiles of its frames that the scores are based on."""


class _Film:
    """Decodes frames of a film for the estimate."""

    def __init__(self, samples: FilmSamples, *, full: bool, prefilter: str) -> None:
        self._samples, self._info = samples, samples.info
        info = self._info
        self._pixels, self._full, self._prefilter = info.pixels, full, prefilter
        self._quantisers = Quantisers(samples.stream, info.pixels.bits)
        self._lines = 2 if info.interlaced else 1
        self._is_seekable = samples.is_seekable
        self._has_moved = False

    def level(self, looks: Sequence[_Look], enough: int = 1) -> float | None:
        """Level of several places together.

        enough: with fewer tiles than this, the estimate from frames is lowered.
        """
        seen = median_level([score for look in looks for score in look.scores])
        if seen is None:
            return None
        seen = round(seen * min(1.0, sum(look.tiles for look in looks) / enough), 2)
        if self._prefilter:
            return seen
        return max(seen, round(self._quantisers.level([n for look in looks for n in look.quantisers]), 2))

    def places(self) -> list[_Look]:
        """Examine places that are spread evenly over the film."""
        pts, frames = self._info.pts, self._info.frame_count
        seconds = (pts[-1] - pts[0]) * self._info.time_base
        count = min(_MOST_PLACES, _PLACES + int(seconds / _PLACE_SECONDS))
        found: list[_Look] = []
        for number in range(count):
            look = self.place(frames * (2 * number + 1) // (2 * count))
            if look is not None and (not found or look.frame > found[-1].frame):
                found.append(look)
        return found

    def place(self, at: int) -> _Look | None:
        """Examine frames after the last key frame before a frame; None if none is decoded."""
        first, chosen, last = None, [], None
        for number, frame in self._frames(at):
            first = number if first is None else first
            if number - first in _LOOKED_AT:
                chosen.append(self._tiles(frame))
            last = frame
            if number - first >= _LOOKED_AT[-1]:
                break
        if first is None or last is None:
            return None
        return self._look(first, 1.0, chosen or [self._tiles(last)])

    def shots(self, start: int, stop: int) -> list[_Look]:
        """Look at every shot of the frames [start, stop).

        If frames are not known by their times, all of them count as one shot.
        """
        detector, found = ShotDetector(), []
        step = max(_LOOKED_AT[0], min(stop - start, _THROUGH) // _SAMPLES)
        first, chosen, last = start, [], None
        for count, (number, frame) in enumerate(self._frames(start)):
            if number < start:
                continue
            if number >= stop or count >= _MOST_THROUGH or (count >= _THROUGH and not self._is_seekable):
                break
            begins = detector.starts_shot(self._luma(frame), self._pixels.bits) and self._is_seekable
            if begins and last is not None:
                found.append(self._shot(first, number, chosen, last))
                first, chosen = number, []
            last = frame
            if (number - first) % step == _LOOKED_AT[0] - 1 or number - first == _LOOKED_AT[1] - 1:
                chosen.append(self._tiles(frame))
        return [*found, self._shot(first, stop, chosen, last)] if last is not None else found

    def _shot(self, first: int, stop: int, chosen: list[list[np.ndarray]], last: Any) -> _Look:
        return self._look(first, (stop - first) / _WEIGHT_FRAMES, chosen or [self._tiles(last)])

    def _look(self, frame: int, weight: float, chosen: list[list[np.ndarray]]) -> _Look:
        scores = [score_of_pair([*one, *two]) for one, two in consecutive_pairs(chosen)]
        return _Look(
            frame,
            weight,
            [score for score in scores if score is not None],
            self._quantisers.taken(),
            sum(map(len, chosen)),
        )

    def _tiles(self, frame: Any) -> list[np.ndarray]:
        """The tiles of a frame that are examined, in 8-bit limited range."""
        self._quantisers.see(frame)
        found = tiles_of_frame(self._luma(frame), self._pixels.bits, self._prefilter)
        return [_as_limited_8_bit(tile, self._pixels, full=self._full) for tile in found]

    def _luma(self, frame: Any) -> np.ndarray:
        """(H,W); of R'G'B' its green, of interlaced frames one field's lines."""
        luma: np.ndarray = self._samples.planes(frame)[0][:: self._lines]
        return luma

    def _frames(self, at: int) -> Iterator[tuple[int, Any]]:
        """Yield (number, frame) from the last key frame before a frame.

        If frames are not known by their times, decoding starts at the beginning, and frames are counted.
        """
        pts, stop = self._info.pts, self._info.frame_count
        place = pts[at] if self._is_seekable and (at or self._has_moved) else None
        self._has_moved = True
        passing = self._quantisers.passing if self._quantisers.reads_packets else None
        for count, frame in enumerate(self._samples.decoded(place, passing)):
            number = count
            if self._is_seekable:
                number = bisect.bisect_left(pts, frame.pts) if frame.pts is not None else stop
                if number >= len(pts) or pts[number] != frame.pts:
                    continue
            if number >= stop:
                return
            if self._samples.is_whole(frame):
                yield number, frame


def _parts_of_places(film: _Film, places: list[_Look]) -> list[list[_Look]]:
    """Group places into parts with one level each, divided at cuts; without a cut, places stay together."""
    parts = _parts(places, film)
    found = parts[:1]
    for looks in parts[1:]:
        cut = _cut(film, found[-1], looks)
        if cut is None:
            found[-1] = [*found[-1], *looks]
        else:
            found.append([_Look(cut, 0.0, [], []), *looks])
    return found


def _cut(film: _Film, before: list[_Look], after: list[_Look]) -> int | None:
    """The frame that begins the shot where one level ends and another begins."""
    levels = film.level(before) or 0.0, film.level(after) or 0.0
    one, other = before[-1].frame, after[0].frame

    def strangeness(look: _Look, side: int) -> float:
        level = film.level([look])
        return 0.0 if level is None else look.weight * abs(level - levels[side])

    while other - one > _THROUGH:
        look = film.place((one + other) // 2)
        if look is None or not one < look.frame < other:
            break
        if strangeness(look, 0) <= strangeness(look, 1):
            one = look.frame
        else:
            other = look.frame
    if other - one > _MOST_THROUGH:
        return None
    shots = film.shots(one, other + _LOOKED_AT[-1] + 1)
    sums = {
        number: sum(strangeness(look, int(place >= number)) for place, look in enumerate(shots))
        for number in range(1, len(shots))
    }
    return shots[min(sums, key=lambda number: sums[number])].frame if sums else None


def _parts(looks: list[_Look], film: _Film) -> list[list[_Look]]:
    """Group neighbouring places or shots with one level; each of them is in one group."""
    told = [film.level([look]) for look in looks]
    known = [level for level in told if level is not None]
    if not known:
        return []
    levels, last = [], known[0]
    for level in told:
        last = last if level is None else level
        levels.append(last)
    bounds = [*changes(levels, [look.weight for look in looks]), len(looks)]
    parts = [looks[a:b] for a, b in zip([0, *bounds[:-1]], bounds, strict=True)]
    while len(parts) > 1:
        own = [film.level(part) or 0.0 for part in parts]
        steps = [abs(a - b) for a, b in zip(own, own[1:], strict=False)]
        least = int(np.argmin(steps))
        if steps[least] >= _LEAST_STEP:
            break
        parts[least : least + 2] = [parts[least] + parts[least + 1]]
    return parts


def changes(levels: Sequence[float], weights: Sequence[float]) -> list[int]:
    """Where a piecewise constant level changes, so that it is close to all levels and changes rarely.

    Finds the best of all divisions by dynamic programming (Jackson et al. 2005, doi:10.1109/LSP.2001.838216).
    """
    count = len(levels)
    best: list[tuple[float, list[int]]] = [(-_CHANGE, [])]
    for stop in range(1, count + 1):
        ways = [
            (best[start][0] + _CHANGE + _spread(levels[start:stop], weights[start:stop]), start)
            for start in range(stop)
            if start == 0 or sum(weights[start:stop]) >= _LEAST_WEIGHT
        ]
        cost, start = min(ways)
        best.append((cost, [*best[start][1], *([start] if start else [])]))
    return best[count][1]


def _spread(levels: Sequence[float], weights: Sequence[float]) -> float:
    """Sum of distances from the weighted median."""
    order = np.argsort(levels, kind="stable")
    x, w = np.asarray(levels)[order], np.asarray(weights)[order]
    middle = x[np.searchsorted(np.cumsum(w), w.sum() / 2).clip(max=len(x) - 1)]
    return float((w * np.abs(x - middle)).sum())


def _as_limited_8_bit(tile: np.ndarray, pixels: PixelFormat, *, full: bool) -> np.ndarray:
    codes = tile / (1 << (pixels.bits - 8))
    return 16 + codes * (219 / 255) if full or pixels.family == "rgb" else codes
