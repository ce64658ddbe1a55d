"""`srcnn`: upsample first, then three convolutions at full size (Dong et al. 2014, arXiv:1501.00092).

The paper uses 9-5-5 on luma; here 5-3-3 on packed planes, which have the same reach and restore chroma too.
The initial bicubic upscale is also the skip connection (VDSR, Kim et al. 2016, arXiv:1511.04587), so training
starts from it.
"""

from __future__ import annotations

from torch import Tensor, nn

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
from models.network import Planes

__all__ = ["Srcnn"]


class Srcnn(BicubicSkip):
    """Bicubic, 6 -> width (5x5), width -> narrow (3x3), narrow -> 6 (3x3).

    All at the chroma resolution of the output.
    """

    def __init__(self, *, scale: int, width: int = 64, narrow: int = 32) -> None:
        """width: channels after the first convolution. narrow: channels after the second."""
        # Four samples of the result's chroma, and bicubic: two samples of the input's chroma, off by a
        # quarter.
        super().__init__(scale=scale, packing=1, halo_px=-(-8 // scale) + 6)
        self.patches = nn.Conv2d(CHANNELS, width, 5, padding=2)
        self.mapping = nn.Conv2d(width, narrow, 3, padding=1)
        self.tail = nn.Conv2d(narrow, CHANNELS, 3, padding=1)
        from_identity([self.patches, self.mapping])
        zero_last_layer(self.tail)

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> (B,6,SH/2,SW/2), the packed residual on the bicubic upscale."""
        return self._of_upscaled(bicubic((luma, chroma), self.scale))

    def _of_upscaled(self, planes: Planes) -> Tensor:
        x = relu_(self.patches(pack(planes)))
        x = relu_(self.mapping(x))
        residual: Tensor = self.tail(x)
        return residual

    def forward(self, planes: Planes) -> Planes:
        """Luma (B,1,H,W), chroma (B,2,H/2,W/2) -> (B,1,SH,SW), (B,2,SH/2,SW/2).

        The sum is in the input's dtype.
        """
        luma, chroma = bicubic(planes, self.scale)
        more_luma, more_chroma = unpack(self._of_upscaled((luma, chroma)))
        return luma + more_luma.to(luma.dtype), chroma + more_chroma.to(chroma.dtype)
