"""`compact`: the trunk of the built-in family (`fast`, `quality`), YUV-native and plain.

Luma is unshuffled by 2 beside U and V (6 channels at chroma resolution), goes through 3x3 convolutions and
ReLU, and leaves by sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158) as a residual on a bicubic
upscale of the input.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.convolution import convolve
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, zero_last_layer

__all__ = ["Compact"]


class Compact(BicubicSkip):
    """6 -> width, depth x (width -> width), width -> 6·scale², all 3x3 at chroma resolution."""

    def __init__(self, *, scale: int, width: int = 32, depth: int = 8) -> None:
        """width: channels of the body, a multiple of 32 for AMX tiles and tensor cores. depth: its
        convolutions.
        """
        # Every convolution reaches one chroma sample, two luma pixels, further; the bicubic skip reaches
        # less.
        super().__init__(scale=scale, packing=scale, halo_px=2 * (depth + 2))
        self.head = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.tail = nn.Conv2d(width, CHANNELS * scale * scale, 3, padding=1)
        from_identity(self.body)
        zero_last_layer(self.tail)

    @property
    def integer_layers(self) -> dict[str, nn.Conv2d]:
        """The convolutions, in the order of the data, by the names of what stands for them on 8-bit integers.

        The first one takes codes, which mean something else in either range (H.273), so it is there twice.
        """
        body = {f"body.{number}": layer for number, layer in enumerate(self.body)}
        return {"head.limited": self.head, "head.full": self.head, **body, "tail": self.tail}  # type: ignore[dict-item]

    def trunk(self, x: Tensor) -> Tensor:
        """(B,6,H/2,W/2) -> (B,6·scale²,H/2,W/2): what is to be added to the bicubic upscale, packed."""
        x = convolve(self.head, x, relu=True)
        for layer in self.body:
            x = convolve(layer, x, relu=True)  # type: ignore[arg-type]
        return convolve(self.tail, x)
