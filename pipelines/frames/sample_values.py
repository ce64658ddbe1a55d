"""Sample values of frames as tensors: integers as stored, floats, planes and R'G'B'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UsageError
from models.layers.resampling import resample
from pipelines.frames import color_conversion
from pipelines.media.cicp import SITING_OFFSETS, Matrix, Range, Siting
from pipelines.plan.color_tags import chroma_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from models.network import Planes
    from pipelines.media.cicp import ColorTags
    from pipelines.media.pixel_format import PixelFormat

__all__ = [
    "LEFT",
    "SampleValues",
    "from_values",
    "oriented",
    "rgb_to_planes",
    "samples_to_planes",
    "siting_offset",
    "to_rgb",
    "to_values",
]


LEFT = SITING_OFFSETS[Siting.LEFT]


@dataclass(frozen=True, eq=False)
class SampleValues:
    """Sample values of one image or a clip, limited range, chroma left-sited."""

    luma: np.ndarray
    """(T,H,W) uint8, or uint16 above 8 bits; H and W even."""
    chroma: np.ndarray
    """(T,2,H/2,W/2) of the same type: U, V."""
    bits: int

    def __post_init__(self) -> None:
        frames, height, width = self.luma.shape
        if self.chroma.shape != (frames, 2, height // 2, width // 2) or height % 2 or width % 2:
            raise UsageError(
                f"luma {self.luma.shape} and chroma {self.chroma.shape} are not 4:2:0 of one even size"
            )

    def crop(self, top: int, left: int, height: int, width: int) -> SampleValues:
        """An even rectangle of every frame, as a view."""
        half = (slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2))
        return SampleValues(
            self.luma[:, top : top + height, left : left + width],
            self.chroma[:, :, half[0], half[1]],
            self.bits,
        )

    def frames(self, chosen: slice) -> SampleValues:
        """Some of its frames, as views."""
        return SampleValues(self.luma[chosen], self.chroma[chosen], self.bits)


def to_values(codes: SampleValues) -> Planes:
    """Integers -> luma (T,1,H,W) 0..1 and chroma (T,2,H/2,W/2) -0.5..0.5, float32."""
    luma = color_conversion.to_float(codes.luma, codes.bits, full=False, chroma=False)
    return luma[:, None], color_conversion.to_float(codes.chroma, codes.bits, full=False, chroma=True)


def from_values(planes: Planes, bits: int) -> SampleValues:
    """Reverse `to_values`: round to nearest and clip."""
    luma = color_conversion.to_codes(planes[0][:, 0], bits, full=False, chroma=False)
    return SampleValues(luma, color_conversion.to_codes(planes[1], bits, full=False, chroma=True), bits)


def rgb_to_planes(rgb: Tensor, matrix: int = Matrix.BT470BG) -> Planes:
    """(B,3,H,W) R'G'B' with even sides -> luma (B,1,H,W) and left-sited chroma (B,2,H/2,W/2)."""
    luma, chroma = color_conversion.rgb_to_yuv(rgb, matrix)
    return luma, resample(
        chroma, rgb.shape[-2] // 2, rgb.shape[-1] // 2, "bilinear", offset=(0.0, 0.0), out_offset=LEFT
    )


def oriented(planes: Planes, turn: int) -> Planes:
    """One of the eight flips and rotations, with chroma resampled to its siting.

    turn: 0 to 7; bit 0 flips left and right, bit 1 up and down, bit 2 transposes afterwards. Luma moves
    exactly. Chroma does too for 0 and 2; otherwise it becomes right-sited or top-sited, and is resampled to
    left by Lanczos.
    """
    luma, chroma = planes
    axes = ([-1] if turn & 1 else []) + ([-2] if turn & 2 else [])
    luma, chroma = luma.flip(axes), chroma.flip(axes)
    down, across = 0.0, -LEFT[1] if turn & 1 else LEFT[1]
    if turn & 4:
        luma, chroma, down, across = luma.transpose(-1, -2), chroma.transpose(-1, -2), across, down
    if (down, across) != LEFT:
        chroma = resample(
            chroma, chroma.shape[-2], chroma.shape[-1], "lanczos", offset=(down, across), out_offset=LEFT
        )
    return luma.contiguous(), chroma.contiguous()


def to_rgb(planes: Sequence[np.ndarray], pixels: PixelFormat, tags: ColorTags) -> Tensor:
    """Planes of sample values -> (1,3,H,W) R'G'B', float32, 0..1 from black to white. tags: resolved."""
    full = tags.range == Range.FULL
    if pixels.family == "rgb":
        green, blue, red = (color_conversion.to_float(p, pixels.bits, full, chroma=False) for p in planes[:3])
        return torch.stack([red, green, blue])[None]
    luma, chroma = samples_to_planes(planes, pixels, tags)
    chroma = resample(
        chroma,
        luma.shape[-2],
        luma.shape[-1],
        "bicubic",
        offset=siting_offset(pixels, tags),
        out_offset=(0.0, 0.0),
    )
    return color_conversion.yuv_to_rgb(luma, chroma, tags.matrix)


def samples_to_planes(planes: Sequence[np.ndarray], pixels: PixelFormat, tags: ColorTags) -> Planes:
    """Planes of one YUV or grey frame as floats.

    Luma (1,1,H,W) 0..1, chroma (1,2,h,w) -0.5..0.5, left-sited 4:2:0.
    """
    full = tags.range == Range.FULL
    luma = color_conversion.to_float(planes[0], pixels.bits, full, chroma=False)[None, None]
    if pixels.family == "gray":
        return luma, torch.zeros(1, 2, luma.shape[-2] // 2 * 2, luma.shape[-1] // 2 * 2)
    chroma = torch.stack([color_conversion.to_float(p, pixels.bits, full, chroma=True) for p in planes[1:3]])
    return luma, chroma[None]


def siting_offset(pixels: PixelFormat, tags: ColorTags) -> tuple[float, float]:
    """(vertical, horizontal) offset of chroma in chroma samples; 0 along an axis without subsampling."""
    return chroma_offset(SITING_OFFSETS[Siting(tags.siting)], (1 << pixels.sub_y, 1 << pixels.sub_x))
