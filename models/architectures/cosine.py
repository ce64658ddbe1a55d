"""`cosine`: a plain network of 64, 128 and 64 channels with a sub-pixel output.

It differs from the others in its training: mean squared error plus the cosine distance between deep features
of result and ground truth (`losses.cosine_distance`). The second term is sensitive to structure but not to
contrast, which the first one covers.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.activations import relu_
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, pack, zero_last_layer

__all__ = ["Cosine"]


class Cosine(BicubicSkip):
    """The three planes, packed, -> width -> 2·width -> width -> 6·scale²; 3x3 at chroma resolution."""

    def __init__(self, *, scale: int, width: int = 64) -> None:
        """width: channels of the first layer, half of those of the widest."""
        super().__init__(scale=scale, packing=scale, halo_px=2 * 4)
        self.head = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.wide = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.narrow = nn.Conv2d(2 * width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, CHANNELS * scale * scale, 3, padding=1)
        from_identity([self.head, self.wide, self.narrow])
        zero_last_layer(self.tail)

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> (B,6·scale²,H/2,W/2), the packed residual on the bicubic upscale."""
        x = pack((luma, chroma))
        for conv in (self.head, self.wide, self.narrow):
            x = relu_(conv(x))
        residual: Tensor = self.tail(x)
        return residual
