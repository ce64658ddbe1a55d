"""`estimate_level`: how damaged a film is, as one restoration level 0..1, by what its decoded frames look like.

What a header says is not asked: a film encoded at CRF 32 and again at CRF 16 has the blocks of the first and the quantiser of the second.
A small network looks at 128x128 tiles of some frames here and there (`tests.benchmarks.level` trains it on the pairs of a data set), and the
median of the tiles counts. Its weights and activations are multiples of powers of two in double precision, so that every sum is exact and
the level is the same on every machine, in whatever order a library adds.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from models.errors import MediaError
from pipelines.codec.decoder import picture_planes, planar_format
from pipelines.media.demuxer import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import VideoInfo

__all__ = ["GRID_PX", "TILE_PX", "WEIGHT_STEP", "estimate_level", "level_of_tile", "level_of_tiles"]


WEIGHTS = Path(__file__).parents[2] / "models" / "trained" / "restoration-level.safetensors"
TILE_PX = 128
GRID_PX = 8
"""Tiles begin at multiples of it, as the blocks of codecs do."""
WEIGHT_STEP, _ACTIVATION_STEP = 2.0**-12, 2.0**-8
"""What weights and activations are multiples of."""
_MOST_ACTIVATION = 255.0
_PLACES = 8
"""Where a film is looked at."""
_LOOKED_AT = (4, 7)
"""Which frames there, counted from a key frame, which is better than what follows."""
_TILES = 6
"""Of each frame, those with most in them; less than that says nothing of blocks or noise."""
_LEAST_ACTIVITY = 2.0
"""Mean squared difference of neighbouring pixels, in 8-bit codes squared, of a tile that is looked at."""
_DIGITS = 2


def estimate_level(info: VideoInfo, *, full: bool) -> float | None:
    """The level of a film, two decimals; None where it can't be told: nothing but flat or tiny pictures. full: full range."""
    pixels = planar_format(info.pix_fmt)
    if pixels.is_float:
        return None
    found: list[float] = []
    for luma in _samples(info, pixels):
        found += [level_of_tile(tile) for tile in _tiles(_as_limited_8_bit(luma, pixels, full=full))]
    return level_of_tiles(found)


def level_of_tiles(levels: list[float]) -> float | None:
    """The level of a film whose tiles have these."""
    return round(float(np.median(levels)), _DIGITS) if levels else None


def level_of_tile(tile: np.ndarray) -> float:
    """Level of (H,W) luma in 8-bit limited-range codes, as float64; sides are multiples of 8, 64 or more."""
    weights = _weights()
    fine, coarse = (_unshuffled(np.clip(detail, -4, 4)) for detail in (_detail(tile) / 2, _detail(tile) / 16))
    x = np.concatenate([fine, coarse])
    for number in range(2):
        x = _convolved(x, weights[f"{number}.weight"], weights[f"{number}.bias"], stride=number + 1)
    mean = _rounded(np.sqrt(x.mean(axis=(1, 2))), _ACTIVATION_STEP)
    hidden = np.minimum(np.maximum(weights["hidden.weight"] @ mean + weights["hidden.bias"], 0), _MOST_ACTIVATION)
    level = weights["level.weight"] @ _rounded(hidden, _ACTIVATION_STEP) + weights["level.bias"]
    return float(min(1.0, max(0.0, level[0])))


def _detail(tile: np.ndarray) -> np.ndarray:
    """(H,W) less its blurred self: binomial over 3x3."""
    padded = np.pad(tile, 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.asarray(tile - (across[:-2] + 2 * across[1:-1] + across[2:]) / 16)


def _unshuffled(x: np.ndarray) -> np.ndarray:
    """(H,W) -> (16,H/4,W/4): the places of 4x4 blocks as channels."""
    height, width = x.shape
    return x.reshape(height // 4, 4, width // 4, 4).transpose(1, 3, 0, 2).reshape(16, height // 4, width // 4)


def _convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """(C,H,W) -> (D,H/stride,W/stride): 3x3 convolution, ReLU, rounding."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]  # (C,H,W,3,3)
    rows, columns = windows.shape[1:3]
    patches = windows.transpose(0, 3, 4, 1, 2).reshape(-1, rows * columns)
    made = weight.reshape(len(weight), -1) @ patches + bias[:, None]
    return _rounded(np.minimum(np.maximum(made, 0), _MOST_ACTIVATION), _ACTIVATION_STEP).reshape(-1, rows, columns)


def _rounded(x: np.ndarray, step: float) -> np.ndarray:
    return np.floor(x / step + 0.5) * step


@functools.cache
def _weights() -> Mapping[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {name: tensor.astype(np.float64) * WEIGHT_STEP for name, tensor in load_file(WEIGHTS).items()}


def _tiles(luma: np.ndarray) -> Iterator[np.ndarray]:
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
    return _rounded(16 + codes * (219 / 255) if full or pixels.family == "rgb" else codes, 2.0**-4)


def _samples(info: VideoInfo, pixels: PixelFormat) -> Iterator[np.ndarray]:
    """(H,W) luma of some frames of each place; of R'G'B' its green, of interlaced frames one field's lines."""
    try:
        container = open_source(info.path)
    except MediaError:
        return  # what is wrong with it is said where it matters
    step = 2 if info.scan.order != "progressive" else 1
    with container:
        stream: Any = next(s for s in container.streams.video if s.index == info.stream_index)
        stream.codec_context.thread_type = "AUTO"
        first, length = info.pts[0], info.pts[-1] - info.pts[0]
        seekable = not info.linear and not info.epochs and info.frame_count > 2 * _PLACES * _LOOKED_AT[-1]
        try:
            for place in range(_PLACES if seekable else 1):
                if seekable:
                    container.seek(first + length * (2 * place + 1) // (2 * _PLACES), stream=stream)
                for number, frame in enumerate(_decoded(container, stream)):
                    wanted = number in _LOOKED_AT if seekable else number % _LOOKED_AT[0] == min(_LOOKED_AT[0], info.frame_count) - 1
                    if wanted and not frame.is_corrupt and (frame.width, frame.height) == (info.width, info.height):
                        name = frame.format.name.replace("yuvj", "yuv")
                        yield picture_planes(frame if name == pixels.name else frame.reformat(format=pixels.name), pixels)[0][::step]
                    if number >= (_LOOKED_AT[-1] if seekable else _PLACES * _LOOKED_AT[0]):
                        break
        except av.error.FFmpegError:
            return


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            continue
