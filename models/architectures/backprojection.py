"""`backprojection`: a small DBPN (Haris et al. 2018, arXiv:1803.02735) that learns from projection errors.

An up-projection maps small to large, back to small, and corrects the large map by the difference. A
down-projection does the same in the other direction. The output is computed from the large maps of all
stages.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.errors import UsageError
from models.layers.activations import relu_
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, pack, zero_last_layer

__all__ = ["Backprojection"]


class _Projection(nn.Module):
    """Projection, back-projection, and correction by the difference; `there` doubles or halves the sides."""

    def __init__(self, width: int, *, up: bool) -> None:
        super().__init__()
        larger, smaller = nn.ConvTranspose2d, nn.Conv2d
        there, back = (larger, smaller) if up else (smaller, larger)
        self.there = there(width, width, 4, stride=2, padding=1)
        self.back = back(width, width, 4, stride=2, padding=1)
        self.again = there(width, width, 4, stride=2, padding=1)
        from_identity([self.there, self.back, self.again])

    def forward(self, x: Tensor) -> Tensor:
        there = relu_(self.there(x))
        lost = x - self.back(there)
        return relu_(there + self.again(lost))


class Backprojection(BicubicSkip):
    """6 -> width, up, (down, up) x (stages - 1), all large maps -> 6."""

    def __init__(self, *, scale: int, width: int = 32, stages: int = 2) -> None:
        """scale: 2. stages: up-projections."""
        if scale != 2:
            raise UsageError(f"scale = {scale}: back-projection is built for 2")
        # Of chroma samples of the input: the head 1, each unit at most 3 where it is up, 4 where it is down,
        # the tail half.
        super().__init__(scale=scale, packing=1, halo_px=2 * (2 + 3 * stages + 2 * (stages - 1)))
        self.head = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.ups = nn.ModuleList(_Projection(width, up=True) for _ in range(stages))
        self.downs = nn.ModuleList(_Projection(width, up=False) for _ in range(stages - 1))
        self.tail = nn.Conv2d(width * stages, CHANNELS, 3, padding=1)
        zero_last_layer(self.tail)

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> (B,6,H,W), the packed residual on the bicubic upscale."""
        x = relu_(self.head(pack((luma, chroma))))
        large = [self.ups[0](x)]
        for up, down in zip(list(self.ups)[1:], self.downs, strict=True):
            large.append(up(down(large[-1])))
        residual: Tensor = self.tail(torch.cat(large, 1))
        return residual
