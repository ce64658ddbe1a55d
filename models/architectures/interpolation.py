"""`Interpolation`: the classical scalers as a network."""

from __future__ import annotations

from torch import nn

from models.layers.resampling import resample, upscale_plane
from models.network import Contract, Planes

__all__ = ["Interpolation"]


class Interpolation(nn.Module):
    """A classical scaler with the contract of a YUV-native network.

    It reaches any size, so a plan gives the size as well as the scale; `scale` in the contract is nominal.
    """

    def __init__(
        self,
        kernel: str,
        *,
        height: int = 0,
        width: int = 0,
        scale: int = 1,
        chroma_offset: tuple[float, float] = (0.0, -0.25),
    ) -> None:
        """kernel: a key of KERNELS, or "identity". height, width: output luma size.

        0 means `scale` times the input.
        """
        super().__init__()
        self.kernel, self.height, self.width, self.chroma_offset = kernel, height, width, chroma_offset
        self.contract = Contract(
            scale=scale, pixels="yuv420", halo_px=None, kernel="nearest" if kernel == "identity" else kernel
        )

    def reaches(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) to which luma of that (height, width) is scaled."""
        return self.height or size[0] * self.contract.scale, self.width or size[1] * self.contract.scale

    def forward(self, planes: Planes) -> Planes:
        """Luma (B,1,H,W) and chroma (B,2,h,w), subsampled by 2 or not, -> the same at the target size."""
        luma, chroma = planes
        if self.kernel == "identity":
            return planes
        size = (luma.shape[-2], luma.shape[-1])
        height, width = self.reaches(size)
        return (
            resample(luma, height, width, self.kernel),
            upscale_plane(chroma, size, (height, width), self.kernel, self.chroma_offset),
        )
