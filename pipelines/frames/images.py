"""Images for people: PNG and JPEG files, detailed crops, strips of results, contact sheets."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from models.errors import missing_package
from models.layers.resampling import resample
from pipelines.frames import color_conversion
from pipelines.frames.sample_values import LEFT
from pipelines.media.cicp import Matrix
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.network import Planes

__all__ = [
    "SHOWN_PX",
    "contact_sheet",
    "marked",
    "most_detailed_crop",
    "png",
    "strip",
    "to_pixels",
    "write_jpeg",
    "write_png",
]


SHOWN_PX = (540, 960)
"""Height and width of the part of a frame that pages show at full size: half of a wide screen."""
_GAP_PX = 4
_OVERVIEW_PX = 480
_MARK = ((255, 255, 255), (200, 30, 30))
"""Outer and inner line of a marker, visible on any background."""
_PLACE_PX = 8


def png(pixels: np.ndarray) -> bytes:
    """Encode (H,W,3) uint8 R'G'B' as a PNG file (ISO/IEC 15948), with every row filtered by "up"."""
    height, width, _ = pixels.shape
    rows = np.ascontiguousarray(pixels).reshape(height, width * 3)
    filtered = np.empty((height, width * 3 + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(filtered.tobytes(), 6)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H,W,3) uint8; raises OutputError if it can't be written."""
    write_atomically(path, png(pixels), parents=True)


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Write (H,W,3) uint8, quality 90, colour at full resolution.

    Raises UsageError if Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_package("JPEG", "pillow", "report") from error
    write_atomically(
        path,
        lambda partial: Image.fromarray(pixels).save(partial, "JPEG", quality=90, subsampling=0),
        parents=True,
    )


def to_pixels(planes: Planes, index: int = 0, matrix: int = Matrix.BT470BG) -> np.ndarray:
    """One frame of luma (T,1,H,W) and left-sited chroma (T,2,H/2,W/2) as (H,W,3) uint8 R'G'B'."""
    luma, chroma = planes[0][index : index + 1].float(), planes[1][index : index + 1].float()
    full = resample(
        chroma, chroma.shape[-2] * 2, chroma.shape[-1] * 2, "bicubic", offset=LEFT, out_offset=(0.0, 0.0)
    )
    # With odd sides, chroma is half a sample larger or smaller than luma, which is negligible in a strip.
    full = F.pad(
        full,
        (0, max(0, luma.shape[-1] - full.shape[-1]), 0, max(0, luma.shape[-2] - full.shape[-2])),
        mode="replicate",
    )
    rgb = color_conversion.yuv_to_rgb(luma, full[..., : luma.shape[-2], : luma.shape[-1]], matrix)
    return (rgb[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def most_detailed_crop(amount: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """(top, left) of the box of that size with the highest sum of (H,W) non-negative values.

    Both are multiples of 8; sums are counted in cells of 8 by 8.
    """
    rows, columns = amount.shape
    cells = (
        np.pad(amount, ((0, -rows % _PLACE_PX), (0, -columns % _PLACE_PX)))
        .reshape(-(-rows // _PLACE_PX), _PLACE_PX, -1, _PLACE_PX)
        .sum((1, 3))
    )
    total = np.pad(cells.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
    down, across = (-(-n // _PLACE_PX) for n in (height, width))
    sums = total[down:, across:] - total[:-down, across:] - total[down:, :-across] + total[:-down, :-across]
    sums = sums[: (rows - height) // _PLACE_PX + 1, : (columns - width) // _PLACE_PX + 1]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(top) * _PLACE_PX, int(left) * _PLACE_PX


def marked(pixels: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """Scale (H,W,3) uint8 down to a small (h,w,3) uint8, with a rectangle around a part of it.

    The part is given in pixels of the large image.
    """
    step = max(1, -(-pixels.shape[1] // _OVERVIEW_PX))
    rows, columns = pixels.shape[0] // step, pixels.shape[1] // step
    small: np.ndarray = (
        pixels[: rows * step, : columns * step]
        .reshape(rows, step, columns, step, 3)
        .mean((1, 3))
        .astype(np.uint8)
    )
    for inset, colour in enumerate(_MARK):
        first, last = max(0, top // step) + inset, min(rows, (top + height) // step) - 1 - inset
        begin, end = max(0, left // step) + inset, min(columns, (left + width) // step) - 1 - inset
        if first < last and begin < end:
            small[[first, last], begin : end + 1] = colour
            small[first : last + 1, [begin, end]] = colour
    return small


def strip(clips: Sequence[Planes], matrix: int = Matrix.BT470BG, *, side: int = 256) -> np.ndarray:
    """The most detailed square of the last of several clips, cut from the middle frame of all, side by side.

    All clips have the same size.
    """
    truth = clips[-1][0]
    middle = truth.shape[0] // 2
    height, width = truth.shape[-2:]
    side = min(side, height, width)
    detail = (truth[middle, 0, 1:, :-1] - truth[middle, 0, :-1, 1:]).abs()[None]
    pooled = F.avg_pool2d(detail, min(side, height - 1, width - 1), stride=16)[0]
    best = int(pooled.argmax())
    top, left = (
        min(best // pooled.shape[1] * 16, height - side),
        min(best % pooled.shape[1] * 16, width - side),
    )
    cut = [to_pixels(c, middle, matrix)[top : top + side, left : left + side] for c in clips]
    return _join(cut, axis=1)


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str] = ()) -> np.ndarray:
    """Rows of (H,W,3) uint8 tiles of one size, with gaps. labels: words of A to Z above the columns."""
    tiles = [_join(row, axis=1) for row in rows]
    if labels:
        tiles.insert(0, _join([_word(label, rows[0][0].shape[1]) for label in labels], axis=1))
    return _join(tiles, axis=0)


_LETTERS = {
    "A": "0e11111f111111", "B": "1e11111e11111e", "C": "0e11101010110e", "D": "1e11111111111e",
    "E": "1f10101e10101f", "F": "1f10101e101010", "G": "0e11101713110e", "H": "1111111f111111",
    "I": "0e04040404040e", "J": "0702020202120c", "K": "11121418141211", "L": "1010101010101f",
    "M": "111b1515111111", "N": "11191915131311", "O": "0e11111111110e", "P": "1e11111e101010",
    "Q": "0e11111115120d", "R": "1e11111e141211", "S": "0f10100e01011e", "T": "1f040404040404",
    "U": "1111111111110e", "V": "11111111110a04", "W": "1111111515150a", "X": "11110a040a1111",
    "Y": "11110a04040404", "Z": "1f01020408101f",
}  # fmt: skip
"""Seven rows of five pixels each, one byte per row, so that Pillow, which has fonts, is not needed."""
_LETTER_PX = (7, 6)


def _word(text: str, width: int) -> np.ndarray:
    """(H, width, 3) uint8: a word in black on white, at twice the size if there is room."""
    ink = np.zeros((_LETTER_PX[0] + 4, _LETTER_PX[1] * len(text) + 4), bool)
    for place, letter in enumerate(text.upper()):
        rows = bytes.fromhex(_LETTERS.get(letter, "00" * 7))
        ink[2:-2, 2 + place * 6 : 7 + place * 6] = [
            [row >> bit & 1 for bit in (4, 3, 2, 1, 0)] for row in rows
        ]
    size = 2 if 2 * ink.shape[1] <= width else 1
    ink = ink.repeat(size, 0).repeat(size, 1)[:, :width]
    pixels = np.full((ink.shape[0], width, 3), 255, np.uint8)
    pixels[:, : ink.shape[1]][ink] = 0
    return pixels


def _join(tiles: Sequence[np.ndarray], axis: int) -> np.ndarray:
    shape = list(tiles[0].shape)
    shape[axis] = _GAP_PX
    gap = np.full(shape, 255, np.uint8)
    parts = [part for tile in tiles for part in (tile, gap)][:-1]
    return np.concatenate(parts, axis)
