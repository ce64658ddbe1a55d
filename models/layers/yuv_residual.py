"""`BicubicSkip`: base of the YUV-native networks, which add a residual to a bicubic upscale of packed planes.

Luma is pixel-unshuffled by 2 and joined with U and V: 6 channels at chroma resolution, where 3x3 convolutions
cost a quarter. The skip is an exact bicubic upscale. The last layer starts at zero, so a new network equals
bicubic and learns only the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.resampling import resample, upscale_in_graph
from models.network import Contract, Planes

__all__ = [
    "CHANNELS",
    "LEFT_SITED",
    "BicubicSkip",
    "bicubic",
    "from_identity",
    "pack",
    "unpack",
    "zero_last_layer",
]


CHANNELS = 6
"""Channels of packed planes: four of luma, U, V."""
LEFT_SITED = (0.0, -0.25)
"""Vertical and horizontal offset of 4:2:0 chroma co-sited with the left luma sample (H.273 type 0)."""


def pack(planes: Planes, factor: int = 1) -> Tensor:
    """Luma (B,1,H,W), chroma (B,2,H/2,W/2) -> (B,6·factor²,H/2/factor,W/2/factor), luma's channels first."""
    return torch.cat([F.pixel_unshuffle(planes[0], 2 * factor), F.pixel_unshuffle(planes[1], factor)], 1)


def unpack(x: Tensor) -> Planes:
    """Reverse `pack`; the factor follows from the number of channels."""
    factor = math.isqrt(x.shape[1] // CHANNELS)
    split = 4 * factor * factor
    return F.pixel_shuffle(x[:, :split], 2 * factor), F.pixel_shuffle(x[:, split:], factor)


def bicubic(planes: Planes, scale: int) -> Planes:
    """Bicubic upscale of luma and left-sited chroma by `scale`."""
    luma, chroma = planes
    if scale > 1 and (luma.is_cuda or torch.compiler.is_exporting()):
        return upscale_in_graph(luma, scale, "bicubic"), upscale_in_graph(
            chroma, scale, "bicubic", LEFT_SITED
        )
    return (
        resample(luma, luma.shape[-2] * scale, luma.shape[-1] * scale, "bicubic"),
        resample(chroma, chroma.shape[-2] * scale, chroma.shape[-1] * scale, "bicubic", offset=LEFT_SITED),
    )


class BicubicSkip(nn.Module):
    """A single-frame network that adds `residual` to a bicubic upscale; at scale 1, to the frame itself."""

    contract: Contract

    def __init__(self, *, scale: int, packing: int, halo_px: int, size_multiple: int = 2) -> None:
        """packing: the factor that `residual` is packed by.

        `scale` for a sub-pixel output, 1 if feature maps were upscaled before.
        """
        super().__init__()
        self.scale, self.packing = scale, packing
        self.contract = Contract(
            scale=scale, pixels="yuv420", halo_px=halo_px, size_multiple=size_multiple, kernel="bicubic"
        )

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> the residual on the bicubic upscale, packed by `packing`."""
        return self.trunk(pack((luma, chroma)))

    def trunk(self, x: Tensor) -> Tensor:
        """The residual for packed planes (B,6,H/2,W/2), for networks with packed input and output."""
        raise NotImplementedError

    def forward(self, planes: Planes) -> Planes:
        """Luma (B,1,H,W), chroma (B,2,H/2,W/2) -> (B,1,SH,SW), (B,2,SH/2,SW/2).

        The sum is in the input's dtype.
        """
        return self.added(planes, self.residual(*planes))

    def added(self, planes: Planes, residual: Tensor) -> Planes:
        """Add a packed residual to the bicubic upscale of `planes`."""
        (luma, chroma), (more_luma, more_chroma) = bicubic(planes, self.scale), unpack(residual)
        return luma + more_luma.to(luma.dtype), chroma + more_chroma.to(chroma.dtype)


def from_identity(layers: Iterable[nn.Module], noise: float = 0.02) -> None:
    """Initialise layers so that they pass their input on, with a little noise.

    This trains faster than noise alone. Convolutions start as Dirac, those of stride 2 as the mean of 2x2,
    transposed ones as bilinear; additional channels are initialised by He et al. 2015 (arXiv:1502.01852).
    """
    for layer in layers:
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        weight = layer.weight.data
        inputs, outputs = layer.in_channels, layer.out_channels
        start = torch.randn_like(weight) * noise
        rows = start if isinstance(layer, nn.Conv2d) else start.transpose(0, 1)
        if outputs > inputs:
            taps = (
                weight[0, 0].numel() / layer.stride[0] ** 2
                if isinstance(layer, nn.ConvTranspose2d)
                else weight[0, 0].numel()
            )
            rows[inputs:] *= math.sqrt(2 / (inputs * taps)) / noise
        same = range(min(inputs, outputs))
        rows[same, same] += _passing(layer)
        weight.copy_(start)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _passing(layer: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """Return a kernel that passes each channel on."""
    size, stride = layer.kernel_size[0], layer.stride[0]
    kernel = torch.zeros(size, size)
    if stride == 1:
        kernel[size // 2, size // 2] = 1
        return kernel
    if isinstance(layer, nn.Conv2d):
        kernel[size // 2 - 1 : size // 2 + 1, size // 2 - 1 : size // 2 + 1] = 0.25
        return kernel
    line = 1 - (torch.arange(size) - (size - 1) / 2).abs() / stride
    return torch.outer(line.clamp_min(0), line.clamp_min(0))


def zero_last_layer(layer: nn.Module) -> None:
    """Set weights and bias of a last layer to zero."""
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
