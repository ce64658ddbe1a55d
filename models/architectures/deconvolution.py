"""`deconvolution`: restores noisy, blurred frames, at the same size (×1) or twice as large (×2).

Convolutions of 32 and 64 channels run at half resolution in the middle; transposed convolutions restore the
resolution. Their kernels of 4 are divisible by their stride of 2, so every output sample is made of the same
number of taps and no checkerboard appears (Odena et al. 2016, doi:10.23915/distill.00003).
"""

from __future__ import annotations

from torch import Tensor, nn

from models.errors import UsageError
from models.layers.activations import relu_
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, pack, zero_last_layer

__all__ = ["Deconvolution"]


class Deconvolution(BicubicSkip):
    """6 -> width, width -> 2·width at half size, depth x (2·width -> 2·width), transposed to 6 channels."""

    def __init__(self, *, scale: int, width: int = 32, depth: int = 4) -> None:
        """scale: 1 or 2. width: channels at chroma resolution. depth: convolutions in the middle."""
        if scale not in {1, 2}:
            raise UsageError(f"scale = {scale}: deconvolution is built for 1 and 2")
        # In chroma samples: 3 where maps are as fine, 2 a convolution in the middle, 3 down and up.
        super().__init__(scale=scale, packing=1, halo_px=2 * (2 * depth + 7), size_multiple=4)
        self.head = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.middle = nn.ModuleList(nn.Conv2d(2 * width, 2 * width, 3, padding=1) for _ in range(depth))
        self.up = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.fine = nn.Conv2d(width, width, 3, padding=1)
        self.grow = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1) if scale == 2 else None
        self.tail = nn.Conv2d(width, CHANNELS, 3, padding=1)
        from_identity(
            [self.head, self.down, *self.middle, self.up, self.fine, *([self.grow] if self.grow else [])]
        )
        zero_last_layer(self.tail)

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> (B,6,SH/2,SW/2), the packed residual on the bicubic upscale."""
        near = relu_(self.head(pack((luma, chroma))))
        x = relu_(self.down(near))
        for conv in self.middle:
            x = relu_(conv(x))
        x = near + relu_(self.up(x))
        x = relu_(self.fine(x))
        if self.grow is not None:
            x = relu_(self.grow(x))
        residual: Tensor = self.tail(x)
        return residual
