"""`progressive`: a pyramid of doublings that adds detail at each (LapSRN, Lai et al. 2017, arXiv:1704.03915).

Features pass through a pyramid of transposed convolutions, and each level adds its detail to that of the
levels before. All levels share their weights (MS-LapSRN, arXiv:1710.01992), so weights trained for ×2 can
initialise a ×4.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.errors import UsageError
from models.layers.activations import relu_
from models.layers.yuv_residual import (
    CHANNELS,
    BicubicSkip,
    bicubic,
    from_identity,
    pack,
    unpack,
    zero_last_layer,
)

__all__ = ["Progressive"]


class Progressive(BicubicSkip):
    """6 -> width, then per doubling: depth x (width -> width), width -> width transposed, width -> 6."""

    def __init__(self, *, scale: int, width: int = 32, depth: int = 8) -> None:
        """scale: a power of two. depth: convolutions of each level."""
        levels = scale.bit_length() - 1
        if scale < 2 or scale != 1 << levels:
            raise UsageError(f"scale = {scale}: a progressive network doubles; expected 2, 4 or 8")
        # Level n works on maps 2^n times as fine; its layers, the transposed one and the last one, then
        # bicubic's two samples.
        reach = 1 + sum((depth + 1 + 0.5) / 2**level for level in range(levels)) + 3 * (levels > 1)
        super().__init__(scale=scale, packing=1, halo_px=2 * int(reach + 1))
        self.levels = levels
        self.head = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.up = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.detail = nn.Conv2d(width, CHANNELS, 3, padding=1)
        from_identity([*self.body, self.up])
        zero_last_layer(self.detail)

    def _level(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,width,h,w) -> features at twice the size, and the detail computed from them, (B,6,2h,2w)."""
        for conv in self.body:
            x = relu_(conv(x))
        x = relu_(self.up(x))
        return x, self.detail(x)

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W), (B,2,H/2,W/2) -> (B,6,SH/2,SW/2), the packed residual of all levels."""
        x, total = relu_(self.head(pack((luma, chroma)))), None
        for _ in range(self.levels):
            x, detail = self._level(x)
            total = detail if total is None else detail + pack(bicubic(unpack(total.float()), 2))
        assert total is not None
        return total
