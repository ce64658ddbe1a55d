"""`estimate_level`: how damaged a film is, as one restoration level 0..1, by what its decoded frames look
like and by what its encoder rounded to, whichever says more.

A film encoded at CRF 32 and again at CRF 16 has the blocks of the first and the quantiser of the second; one
full of fur or leaves looks whole at any quantiser. Statistics of 128x128 tiles (how many frequencies of 8x8
blocks are gone where how much is shown, how that changes from block to block, how much fine detail is left,
how steps at the borders of blocks stand out) of a pair of frames go through three small networks, which
`tests.benchmarks.level` trains; the median over the film's pairs counts. They are trained to be too low
rather than too high: on a clean film a high level costs more than a low one does on a ruined one. From the
standardised statistics on, numbers are multiples of a power of two, so that no order of a sum and no CPU
changes the level. For quantisers see `quantisers`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from models.errors import MediaError
from pipelines.codec.decoder import picture_planes, planar_format
from pipelines.codec.filter_graph import prefiltered
from pipelines.media.demuxer import decoded_frames, film_decoder, open_source
from pipelines.probe.quantisers import OPTIONS, Quantisers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import VideoInfo

__all__ = [
    "TILE_PX",
    "WEIGHTS",
    "estimate_level",
    "level_of_clip",
    "pair_statistics",
    "rounded",
    "statistics",
    "tiles_of_frame",
]


WEIGHTS = Path(__file__).parents[2] / "models" / "trained" / "restoration-level.safetensors"
TILE_PX = 128
GRID_PX = 8
"""Tiles begin at multiples of it, as the blocks of codecs do."""
_PLACES = 8
"""Where a film is looked at."""
_LOOKED_AT = (4, 7)
"""Which frames there, counted from a key frame, which is better than what follows."""
_TILES = 6
"""Of each frame, those with most in them; less than that says nothing of blocks or noise."""
_LEAST_ACTIVITY = 1.0
"""Mean squared difference of neighbouring pixels, in 8-bit codes squared, of a tile that is looked at."""
_MARGIN_PX = 16
"""Around a tile, that a filter is shown with it."""
_DIGITS = 2
_UNIT = 1 / 1024
"""What numbers within the networks are multiples of."""
_RANGE = 4.0
"""Standard deviations, beyond which nothing was learned."""
_PLACE = np.arange(8)
_DCT = (
    np.round(
        np.cos(np.pi * (2 * _PLACE + 1) * _PLACE[:, None] / 16)
        * np.where(_PLACE[:, None], 0.5, 0.5**1.5)
        * 4096
    )
    / 4096
)
"""Of 8 samples; its numbers are multiples of a power of two, so that no sum over codes is rounded."""
_BANDS = ((1, 1), (2, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 14))
"""First and last diagonal of a block's frequencies."""
_COARSE = 3
"""Bands that say how much a block shows; the others are what codecs take away first."""
_CALM, _STEP = 1.5, (0.5, 6.0)
"""Difference of neighbours in smooth places at most; from and to which a step between them may be one of a
block's border. 8-bit codes."""


def estimate_level(
    info: VideoInfo, *, full: bool, part: tuple[int, int] | None = None, prefilter: str = ""
) -> float | None:
    """The level of a film, two decimals; None where it can't be told: nothing but flat or tiny pictures.

    full: full range. part: frames [start, stop) that are wanted, where the film can be entered anywhere.
    prefilter: what they go through before the networks, which is judged then, and by its looks alone.
    """
    pixels = planar_format(info.pix_fmt)
    if pixels.is_float:
        return None
    start, stop = part or (0, info.frame_count)

    def tiles(luma: np.ndarray) -> list[np.ndarray]:
        found = tiles_of_frame(luma, pixels.bits, prefilter)
        return [_as_limited_8_bit(tile, pixels, full=full) for tile in found]

    coded: list[float] = []
    samples = _samples(info, pixels, (start, stop), coded)
    seen = _level([[*tiles(one), *tiles(two)] for one, two in _in_twos(samples)])
    return seen if seen is None or prefilter else max(seen, *(round(level, _DIGITS) for level in coded), 0.0)


def level_of_clip(luma: np.ndarray, bits: int) -> float | None:
    """The same of (T,H,W) limited-range codes, by some of the frames."""
    chosen = luma[:: max(1, len(luma) // (2 * _PLACES))][: 2 * _PLACES]
    unit = float(1 << (bits - 8))
    tiles = [[tile / unit for tile in tiles_of_frame(frame, bits)] for frame in chosen]
    return _level([one + two for one, two in _in_twos(tiles)])


def _in_twos(found: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Pairs; what is alone is its own partner."""
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


def _level(pairs: Iterable[list[np.ndarray]]) -> float | None:
    """Of the tiles of pairs of frames, in 8-bit limited-range codes."""
    seen = [pair_statistics(tiles) for tiles in pairs if tiles]
    if not seen:
        return None
    weights = _weights()
    x = rounded(((np.stack(seen) - weights["mean"]) / weights["deviation"]).clip(-_RANGE, _RANGE))[None]
    for number in range(3):
        x = x @ weights[f"{number}.weight"].transpose(0, 2, 1) + weights[f"{number}.bias"][:, None]
        x = rounded(np.maximum(x, 0) if number < 2 else x)
    return round(float(np.median(x[..., 0].clip(0, 1).mean(0))), _DIGITS)


def rounded(x: np.ndarray) -> np.ndarray:
    """To the numbers that sums are exact with."""
    return np.asarray(np.round(x / _UNIT) * _UNIT)


def pair_statistics(tiles: Sequence[np.ndarray]) -> np.ndarray:
    """Means and deviations of the statistics of some tiles: (174,)."""
    rows = np.stack([statistics(tile) for tile in tiles])
    return np.concatenate([rows.mean(0), rows.std(0)])


def statistics(tile: np.ndarray) -> np.ndarray:
    """What is known of (H,W) luma in 8-bit limited-range codes, float64, sides multiples of 8: (87,)."""
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
"""(64, bands): takes the frequencies of a block to the mean of each band."""


def _borders(steps: np.ndarray) -> list[Any]:
    """How differences of neighbours, (lines, places), stand out at the borders of blocks of 4 and 8, all and
    in smooth places.
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
    """Binomial over 3x3, the border repeated."""
    padded = np.pad(x, 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((across[:-2] + 2 * across[1:-1] + across[2:]) / 16)


@functools.cache
def _weights() -> Mapping[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {name: tensor.astype(np.float64) for name, tensor in load_file(WEIGHTS).items()}


def tiles_of_frame(luma: np.ndarray, bits: int = 8, prefilter: str = "") -> list[np.ndarray]:
    """The tiles of a frame that show most, of those that show anything, as float64 codes.

    prefilter: what they go through then.
    """
    height, width = (min(TILE_PX, side // GRID_PX * GRID_PX) for side in luma.shape)
    if min(height, width) < TILE_PX // 2:
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


def _as_limited_8_bit(tile: np.ndarray, pixels: PixelFormat, *, full: bool) -> np.ndarray:
    codes = tile / (1 << (pixels.bits - 8))
    return 16 + codes * (219 / 255) if full or pixels.family == "rgb" else codes


def _samples(
    info: VideoInfo, pixels: PixelFormat, part: tuple[int, int], coded: list[float]
) -> Iterator[np.ndarray]:
    """(H,W) luma of some frames of each place; of R'G'B' its green, of interlaced frames one field's lines.

    coded: gets the level by the quantisers of all places at the end.
    """
    try:
        container = open_source(info.path)
    except MediaError:
        return  # what is wrong with it is said where it matters
    start, stop = part
    step = 2 if info.scan.order != "progressive" else 1
    seekable = not info.linear and not info.epochs
    spread = seekable and stop - start > 2 * _PLACES * _LOOKED_AT[-1]
    with container:
        stream, decoder = film_decoder(container, info.stream_index, OPTIONS)
        quantisers = Quantisers(stream, decoder, pixels.bits)
        try:
            for place in range(_PLACES if spread else 1):
                at = start + (stop - start) * (2 * place + 1) // (2 * _PLACES) if spread else start
                if spread or (seekable and start):
                    container.seek(info.pts[at], stream=stream)
                first = info.pts[start] if seekable else None
                packets = quantisers.passing(container.demux(stream))
                decoded = decoded_frames(packets, decoder)
                frames = (f for f in decoded if first is None or f.pts is None or f.pts >= first)
                for number, frame in enumerate(frames):
                    if _is_wanted(number, stop - start, spread=spread) and _is_whole(frame, info):
                        quantisers.see(frame)
                        yield _luma(frame, pixels)[::step].copy()
                    if number >= (
                        _LOOKED_AT[-1] if spread else min(2 * _PLACES * _LOOKED_AT[0], stop - start) - 1
                    ):
                        break
        except av.error.FFmpegError:
            pass
        coded.append(quantisers.level())


def _is_wanted(number: int, count: int, *, spread: bool) -> bool:
    return number in _LOOKED_AT if spread else number % _LOOKED_AT[0] == min(_LOOKED_AT[0], count) - 1


def _is_whole(frame: Any, info: VideoInfo) -> bool:
    return not frame.is_corrupt and (frame.width, frame.height) == (info.width, info.height)


def _luma(frame: Any, pixels: PixelFormat) -> np.ndarray:
    name = frame.format.name.replace("yuvj", "yuv")
    return picture_planes(frame if name == pixels.name else frame.reformat(format=pixels.name), pixels)[0]
