"""`espcn`: ESPCN (Shi et al. 2016, arXiv:1609.05158).

Three convolutions at the input size; the last one outputs all sub-pixels. The paper uses 5-3-3 on luma; here
it works on packed planes, with ReLU instead of tanh, and a bicubic skip.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.convolution import convolve
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, zero_last_layer

__all__ = ["Espcn"]


class Espcn(BicubicSkip):
    """6 -> width (5x5), width -> narrow (3x3), narrow -> 6·scale² (3x3), at the input's chroma resolution."""

    def __init__(self, *, scale: int, width: int = 64, narrow: int = 64) -> None:
        """width, narrow: channels after the first and the second convolution."""
        super().__init__(scale=scale, packing=scale, halo_px=2 * 4)
        self.features = nn.Conv2d(CHANNELS, width, 5, padding=2)
        self.mapping = nn.Conv2d(width, narrow, 3, padding=1)
        self.tail = nn.Conv2d(narrow, CHANNELS * scale * scale, 3, padding=1)
        from_identity([self.features, self.mapping])
        zero_last_layer(self.tail)

    def trunk(self, x: Tensor) -> Tensor:
        """(B,6,H/2,W/2) -> (B,6·scale²,H/2,W/2), the packed residual on the bicubic upscale."""
        x = convolve(self.features, x, relu=True)
        x = convolve(self.mapping, x, relu=True)
        return convolve(self.tail, x)
