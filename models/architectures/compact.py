"""`compact`: the plain, YUV-native network of the built-in families `fast` and `quality`.

Luma is pixel-unshuffled by 2 and joined with U and V (6 channels at chroma resolution). 3x3 convolutions with
ReLU follow, and a sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158) gives the residual on a bicubic
upscale of the input.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.convolution import convolve
from models.layers.int8 import layer_shapes
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, zero_last_layer

__all__ = ["Compact"]


class Compact(BicubicSkip):
    """6 -> width, depth x (width -> width), width -> 6·scale², all 3x3 at chroma resolution."""

    def __init__(self, *, scale: int, width: int = 32, depth: int = 8) -> None:
        """width: channels of the body, a multiple of 32 (AMX tiles, tensor cores). depth: convolutions."""
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
        """Return the convolutions in order, keyed by the names of their 8-bit integer versions.

        The first convolution reads sample values. They mean different things in limited and in full range
        (H.273), so it has two versions.
        """
        body = {f"body.{number}": layer for number, layer in enumerate(self.body)}
        return {"head.limited": self.head, "head.full": self.head, **body, "tail": self.tail}  # type: ignore[dict-item]

    @property
    def integer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors that hold the integer layers, by name."""
        return layer_shapes(self.integer_layers)

    def trunk(self, x: Tensor) -> Tensor:
        """(B,6,H/2,W/2) -> (B,6·scale²,H/2,W/2), the packed residual on the bicubic upscale."""
        x = convolve(self.head, x, relu=True)
        for layer in self.body:
            x = convolve(layer, x, relu=True)  # type: ignore[arg-type]
        return convolve(self.tail, x)
