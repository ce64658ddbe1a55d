"""`edsr`: a small EDSR (Lim et al. 2017, arXiv:1707.02921).

Residual blocks without normalisation, inside one long skip connection.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.convolution import convolve
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, zero_last_layer

__all__ = ["Adversarial", "Edsr"]


class _Block(nn.Module):
    """x + conv(relu(conv(x))); the second convolution starts near zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=1e-3)
        for conv in (self.first, self.second):
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + convolve(self.second, convolve(self.first, x, relu=True))


class Edsr(BicubicSkip):
    """6 -> width, depth blocks of two convolutions, one convolution after them, width -> 6·scale².

    3x3 at chroma resolution.
    """

    def __init__(self, *, scale: int, width: int = 64, depth: int = 3) -> None:
        """width: channels of the blocks, a multiple of 32. depth: blocks."""
        super().__init__(scale=scale, packing=scale, halo_px=2 * (2 * depth + 3))
        self.head = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(depth)))
        self.behind = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, CHANNELS * scale * scale, 3, padding=1)
        from_identity([self.behind])
        zero_last_layer(self.tail)

    def trunk(self, x: Tensor) -> Tensor:
        """(B,6,H/2,W/2) -> (B,6·scale²,H/2,W/2), the packed residual on the bicubic upscale."""
        x = convolve(self.head, x)
        return convolve(self.tail, x + convolve(self.behind, self.blocks(x)))


class Adversarial(Edsr):
    """The generator: 6 -> width, depth residual blocks, width -> 6·scale²."""
