"""Colour conversion between integer planes, YUV and R'G'B'.

All in float: luma and R'G'B' 0..1 from nominal black to white, chroma -0.5..0.5, clamped only at the end.
Equations: ITU-T H.273 clause 8.3; the constants are those of BT.601, BT.709 and BT.2020 (non-constant
luminance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.media.cicp import code_values, luma_weights

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "as_tensor",
    "codes_to_values",
    "rgb_to_yuv",
    "to_codes",
    "to_float",
    "values_to_codes",
    "yuv_to_rgb",
]


def to_float(
    plane: np.ndarray,
    bits: int,
    full: bool,
    *,
    chroma: bool,
    device: torch.device | None = None,
    finer: int = 0,
) -> Tensor:
    """(H,W) integers, uint8 or uint16 (or float32 values) -> (H,W) float32 values.

    device: where the result is; the integers are copied there before conversion. finer: number of
    fractional bits of the integers.
    """
    if device is not None and device.type != "cpu":
        return codes_to_values(as_tensor(plane).to(device), bits, full, chroma=chroma, finer=finer)
    offset, span = code_values(bits, full, chroma=chroma, finer=finer)
    if plane.dtype == np.uint16:
        tensor = torch.from_numpy(plane.astype(np.float32))
    else:
        # A view of a decoded frame is read-only, which torch only warns about; it is never written to.
        tensor = torch.from_numpy(
            np.ascontiguousarray(plane) if plane.flags.writeable else plane.copy()
        ).float()
    return tensor.sub_(offset).mul_(1.0 / span) if offset else tensor.mul_(1.0 / span)


def to_codes(values: Tensor, bits: int, full: bool, *, chroma: bool, finer: int = 0) -> np.ndarray:
    """(H,W) values -> (H,W) integers, rounded to nearest, clipped to 0..2ⁿ-1.

    The result is uint8 if `bits` and `finer` add up to at most 8, else uint16. If `bits` is 32, the values
    are returned as float32, neither rounded nor clipped. finer: see `values_to_codes`.
    """
    codes = values_to_codes(values, bits, full, chroma=chroma, finer=finer).cpu().numpy()
    return codes.view(np.uint16) if codes.dtype == np.int16 else codes


def codes_to_values(codes: Tensor, bits: int, full: bool, *, chroma: bool, finer: int = 0) -> Tensor:
    """Integers of any shape -> values, as `to_float` does.

    codes: uint8, or int16 with the bits of uint16; or float32 values.
    """
    offset, span = code_values(bits, full, chroma=chroma, finer=finer)
    values = _unsigned(codes)
    return values.sub_(offset).mul_(1.0 / span) if offset else values.mul_(1.0 / span)


def values_to_codes(values: Tensor, bits: int, full: bool, *, chroma: bool, finer: int = 0) -> Tensor:
    """Values of any shape -> integers, rounded to nearest and clipped.

    The result is uint8, or int16 that holds the bits of uint16. finer: number of fractional bits of the
    integers.
    """
    if bits == 32:
        return values.float()
    offset, span = code_values(bits, full, chroma=chroma)
    codes = (values.float() * span).add_(offset)
    codes = (codes.mul_(1 << finer) if finer else codes).round_().clamp_(0, ((1 << bits) - 1) << finer)
    return codes.to(torch.uint8) if bits + finer <= 8 else codes.to(torch.int32).to(torch.int16)


def _unsigned(codes: Tensor) -> Tensor:
    """Integers as float32, in new memory."""
    if codes.dtype == torch.int16:
        return (codes.to(torch.int32) & 0xFFFF).float()
    return codes.clone() if codes.dtype == torch.float32 else codes.float()


def as_tensor(array: np.ndarray) -> Tensor:
    """An array as a tensor that shares its memory.

    16-bit integers become int16, which torch supports everywhere.
    """
    array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        array = array.copy()  # torch warns about read-only memory, although nothing writes to it
    return torch.from_numpy(array.view(np.int16) if array.dtype == np.uint16 else array)


def yuv_to_rgb(luma: Tensor, chroma: Tensor, matrix: int) -> Tensor:
    """(B,1,H,W) luma and (B,2,H,W) chroma of the same size -> (B,3,H,W) R'G'B'."""
    kr, kb = luma_weights(matrix)
    u, v = chroma[:, :1], chroma[:, 1:]
    red = luma + 2 * (1 - kr) * v
    blue = luma + 2 * (1 - kb) * u
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return torch.cat([red, green, blue], 1)


def rgb_to_yuv(rgb: Tensor, matrix: int) -> tuple[Tensor, Tensor]:
    """(B,3,H,W) R'G'B' -> (B,1,H,W) luma and (B,2,H,W) chroma."""
    kr, kb = luma_weights(matrix)
    red, green, blue = rgb[:, :1], rgb[:, 1:2], rgb[:, 2:]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return luma, torch.cat([(blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))], 1)
