"""`compact`: the trunk of the built-in family (`fast`, `quality`), YUV-native and plain.

Luma is unshuffled by 2 beside U and V (6 channels at chroma resolution), goes through 3x3 convolutions and ReLU, and
leaves by sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158) as a residual on a bicubic upscale of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.interpolation import resample
from models.network import Contract, Planes
from models.relu import relu_

__all__ = ["Compact"]

LEFT_SITED = (0.0, -0.25)
"""Vertical and horizontal offset of 4:2:0 chroma co-sited with the left luma sample (H.273 type 0)."""


class Compact(nn.Module):
    """6 -> width, depth x (width -> width), width -> 6·scale², all 3x3 at chroma resolution."""

    def __init__(self, *, scale: int, width: int = 32, depth: int = 8) -> None:
        """width: channels of the body, a multiple of 32 for AMX tiles and tensor cores. depth: its convolutions."""
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(6, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.tail = nn.Conv2d(width, 6 * scale * scale, 3, padding=1)
        # Every convolution reaches one chroma sample, two luma pixels, further; the bicubic skip reaches less.
        self.contract = Contract(scale=scale, pixels="yuv420", halo_px=2 * (depth + 2), size_multiple=2, kernel="bicubic")
        self._start_as_bicubic()

    def _start_as_bicubic(self) -> None:
        """Begin as the skip alone, with a body that passes its input on (Dirac), which trains faster than noise."""
        for conv in self._convolutions:
            nn.init.dirac_(conv.weight)
            conv.weight.data.add_(torch.randn_like(conv.weight) * 0.02)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    @property
    def _convolutions(self) -> list[nn.Conv2d]:
        return list(self.body)  # type: ignore[arg-type]

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> (B,6·scale²,H/2,W/2): what is to be added to the bicubic upscale, shuffled."""
        x = torch.cat([F.pixel_unshuffle(luma, 2), chroma], 1)  # (B,6,H/2,W/2)
        x = relu_(self.head(x))
        for conv in self._convolutions:
            x = relu_(conv(x))
        residual: Tensor = self.tail(x)
        return residual

    def forward(self, planes: Planes) -> Planes:
        """Luma (B,1,H,W), chroma (B,2,H/2,W/2) -> (B,1,SH,SW), (B,2,SH/2,SW/2); the sum in the input's dtype."""
        luma, chroma = planes
        scale, height, width = self.scale, luma.shape[-2], luma.shape[-1]
        residual = self.residual(luma, chroma)
        split = 4 * scale * scale
        luma_up = resample(luma, height * scale, width * scale, "bicubic")
        chroma_up = resample(chroma, height * scale // 2, width * scale // 2, "bicubic", offset=LEFT_SITED)
        return (
            luma_up + F.pixel_shuffle(residual[:, :split], 2 * scale).to(luma.dtype),
            chroma_up + F.pixel_shuffle(residual[:, split:], scale).to(chroma.dtype),
        )
