"""`estimate_level`: how damaged a film is, as one restoration level 0..1, by what its decoded frames look like.

What a header says is not asked: a film encoded at CRF 32 and again at CRF 16 has the blocks of the first and the quantiser of the second.
Statistics of 128x128 tiles of some frames here and there (how many frequencies of 8x8 blocks are gone, how much fine detail is left,
how steps at the borders of blocks stand out) go through a small network that `tests.benchmarks.level` trains on the pairs of a data set; the
median of the tiles counts. Transforms are exact in double precision, and the level is rounded to two decimals: it is the same everywhere.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from models.errors import MediaError
from pipelines.codec.decoder import picture_planes, planar_format
from pipelines.media.demuxer import film_decoder, open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import VideoInfo

__all__ = ["TILE_PX", "WEIGHTS", "estimate_level", "level_of_clip", "statistics", "tiles_of_frame"]


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
_LEAST_ACTIVITY = 2.0
"""Mean squared difference of neighbouring pixels, in 8-bit codes squared, of a tile that is looked at."""
_DIGITS = 2
_PLACE = np.arange(8)
_DCT = np.round(np.cos(np.pi * (2 * _PLACE + 1) * _PLACE[:, None] / 16) * np.where(_PLACE[:, None], 0.5, 0.5**1.5) * 4096) / 4096
"""Of 8 samples; its numbers are multiples of a power of two, so that no sum over codes is rounded."""
_DIAGONAL = _PLACE + _PLACE[:, None]
"""How fine each frequency of a block is."""


def estimate_level(info: VideoInfo, *, full: bool) -> float | None:
    """The level of a film, two decimals; None where it can't be told: nothing but flat or tiny pictures. full: full range."""
    pixels = planar_format(info.pix_fmt)
    if pixels.is_float:
        return None
    return _level(luma for luma in (_as_limited_8_bit(luma, pixels, full=full) for luma in _samples(info, pixels)))


def level_of_clip(luma: np.ndarray, bits: int) -> float | None:
    """The same of (T,H,W) limited-range codes."""
    return _level(frame.astype(np.float64) / (1 << (bits - 8)) for frame in luma)


def _level(frames: Iterable[np.ndarray]) -> float | None:
    """Of (H,W) luma in 8-bit limited-range codes."""
    tiles = [statistics(tile) for luma in frames for tile in tiles_of_frame(luma)]
    if not tiles:
        return None
    weights = _weights()
    x = (np.stack(tiles) - weights["mean"]) / weights["deviation"]
    for number in range(3):
        x = x @ weights[f"{number}.weight"].T + weights[f"{number}.bias"]
        x = np.maximum(x, 0) if number < 2 else x
    factor, offset = weights["calibration"]
    return round(min(1.0, max(0.0, float(factor * np.median(x.clip(0, 1)) + offset))), _DIGITS)


def statistics(tile: np.ndarray) -> np.ndarray:
    """What is known of (H,W) luma in 8-bit limited-range codes, float64, sides multiples of 8: (112,)."""
    rows, columns = (side // 8 for side in tile.shape)
    blocks = tile.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    strengths = np.abs(_DCT @ blocks @ _DCT.T)
    busiest = np.argsort(strengths[:, _DIAGONAL > 0].mean(1), kind="stable")[len(strengths) // 2 :]
    found = []
    for some in (strengths, strengths[busiest]):
        for diagonal in range(1, 15):
            values = some[:, diagonal == _DIAGONAL]
            found += [np.log(values.mean() + 0.05), (values < 0.5).mean(), (values < 1.5).mean()]
    x = tile
    for _ in range(3):
        soft = _blurred(x)
        detail = np.abs(x - soft)
        few, half, most = np.percentile(detail, (20, 50, 95))
        found += [np.log(np.square(detail).mean() + 0.05), np.log(half + 0.05), np.log(few + 0.02), np.log(most + 0.05)]
        x = soft
    across, down = np.abs(np.diff(tile, axis=1)), np.abs(np.diff(tile, axis=0)).T
    for period in (4, 8):
        for steps in (across, down):
            means = [steps[:, place::period].mean() for place in range(period)]
            found.append(np.log((means[-1] + 0.1) / (np.mean(means) + 0.1)))
    found += [(across == 0).mean(), (down == 0).mean(), (across <= 1).mean(), (down <= 1).mean()]
    return np.array(found)


def _blurred(x: np.ndarray) -> np.ndarray:
    """Binomial over 3x3, the border repeated."""
    padded = np.pad(x, 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((across[:-2] + 2 * across[1:-1] + across[2:]) / 16)


@functools.cache
def _weights() -> Mapping[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {name: tensor.astype(np.float64) for name, tensor in load_file(WEIGHTS).items()}


def tiles_of_frame(luma: np.ndarray) -> Iterator[np.ndarray]:
    """The tiles of a frame that show most, of those that show anything."""
    height, width = (min(TILE_PX, side // GRID_PX * GRID_PX) for side in luma.shape)
    if min(height, width) < TILE_PX // 2:
        return
    tiles = [
        luma[top : top + height, left : left + width]
        for top in range(0, luma.shape[0] - height + 1, height)
        for left in range(0, luma.shape[1] - width + 1, width)
    ]
    ranked = sorted(((_activity(tile), number) for number, tile in enumerate(tiles)), reverse=True)
    yield from (tiles[number] for activity, number in ranked[:_TILES] if activity >= _LEAST_ACTIVITY)


def _activity(tile: np.ndarray) -> float:
    return float((np.square(np.diff(tile, axis=0)).mean() + np.square(np.diff(tile, axis=1)).mean()) / 2)


def _as_limited_8_bit(luma: np.ndarray, pixels: PixelFormat, *, full: bool) -> np.ndarray:
    codes = luma.astype(np.float64) / (1 << (pixels.bits - 8))
    return 16 + codes * (219 / 255) if full or pixels.family == "rgb" else codes


def _samples(info: VideoInfo, pixels: PixelFormat) -> Iterator[np.ndarray]:
    """(H,W) luma of some frames of each place; of R'G'B' its green, of interlaced frames one field's lines."""
    try:
        container = open_source(info.path)
    except MediaError:
        return  # what is wrong with it is said where it matters
    step = 2 if info.scan.order != "progressive" else 1
    with container:
        stream, decoder = film_decoder(container, info.stream_index)
        first, length = info.pts[0], info.pts[-1] - info.pts[0]
        seekable = not info.linear and not info.epochs and info.frame_count > 2 * _PLACES * _LOOKED_AT[-1]
        try:
            for place in range(_PLACES if seekable else 1):
                if seekable:
                    container.seek(first + length * (2 * place + 1) // (2 * _PLACES), stream=stream)
                for number, frame in enumerate(_decoded(container, stream, decoder)):
                    wanted = number in _LOOKED_AT if seekable else number % _LOOKED_AT[0] == min(_LOOKED_AT[0], info.frame_count) - 1
                    if wanted and not frame.is_corrupt and (frame.width, frame.height) == (info.width, info.height):
                        name = frame.format.name.replace("yuvj", "yuv")
                        yield picture_planes(frame if name == pixels.name else frame.reformat(format=pixels.name), pixels)[0][::step]
                    if number >= (_LOOKED_AT[-1] if seekable else _PLACES * _LOOKED_AT[0]):
                        break
        except av.error.FFmpegError:
            return


def _decoded(container: Any, stream: Any, decoder: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        try:
            yield from decoder.decode(packet)
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            continue
