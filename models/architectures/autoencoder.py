"""`autoencoder`: encoder with pooling, decoder with transposed convolutions, and skips that preserve detail.

Its shape is that of U-Net (Ronneberger et al. 2015, arXiv:1505.04597). The trained encoder is also the
project's own extractor of deep features for perceptual and cosine losses (`features`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.activations import relu_
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, pack, zero_last_layer
from models.network import Planes

__all__ = ["Autoencoder"]


class Autoencoder(BicubicSkip):
    """Encoder 6 -> width -> 2·width -> 4·width with pooling between, decoder back to width, then 6·scale²."""

    def __init__(self, *, scale: int, width: int = 32) -> None:
        """width: channels at chroma resolution."""
        # In chroma samples: 4 convolutions of 1, 2 of 2 and 1 of 4, and up to 3 by where the pooled cells
        # lie.
        super().__init__(scale=scale, packing=scale, halo_px=2 * 12, size_multiple=8)
        self.first = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.third = nn.Conv2d(2 * width, 4 * width, 3, padding=1)
        self.up_to_second = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.at_second = nn.Conv2d(4 * width, 2 * width, 3, padding=1)
        self.up_to_first = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.at_first = nn.Conv2d(2 * width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, CHANNELS * scale * scale, 3, padding=1)
        from_identity([self.first, self.second, self.third])
        for layer in (self.up_to_second, self.at_second, self.up_to_first, self.at_first):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        zero_last_layer(self.tail)

    def encode(self, planes: Planes) -> list[Tensor]:
        """Compute the features of three levels, for luma (B,1,H,W) and chroma (B,2,H/2,W/2).

        Returns (B,width,H/2,W/2), (B,2·width,H/4,W/4) and (B,4·width,H/8,W/8).
        """
        first = relu_(self.first(pack(planes)))
        second = relu_(self.second(F.max_pool2d(first, 2)))
        return [first, second, relu_(self.third(F.max_pool2d(second, 2)))]

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> (B,6·scale²,H/2,W/2), the packed residual on the bicubic upscale."""
        first, second, third = self.encode((luma, chroma))
        x = relu_(self.at_second(torch.cat([second, self.up_to_second(third)], 1)))
        x = relu_(self.at_first(torch.cat([first, self.up_to_first(x)], 1)))
        residual: Tensor = self.tail(x)
        return residual
