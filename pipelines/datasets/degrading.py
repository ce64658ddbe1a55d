"""`degrade`: applies a `Degradation` to a clean clip."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from models.errors import UsageError
from models.layers.resampling import resample
from pipelines.datasets.recompression import recode
from pipelines.frames.sample_values import LEFT, SampleValues, from_values, to_values

if TYPE_CHECKING:
    from torch import Tensor

    from models.network import Planes
    from pipelines.datasets.degradation import Degradation, DegradationStep

__all__ = ["degrade"]


_RINGING_TAPS = 21
_HALO_SIGMA_PX = 1.2
_GRAIN_SIGMA_PX = 0.8


def degrade(truth: SampleValues, degradation: Degradation, *, scale: int) -> SampleValues:
    """(T,H,W) samples -> (T,H/scale,W/scale) samples of the same bit depth.

    H and W must be divisible by twice the scale.
    """
    height, width = truth.luma.shape[1:]
    if height % (2 * scale) or width % (2 * scale):
        raise UsageError(
            f"a clip of {width}x{height} can't be made {scale} times smaller as 4:2:0; its sides must divide"
            f" by {2 * scale}"
        )
    generator = torch.Generator().manual_seed(degradation.seed)
    codes = truth
    for stage in degradation.stages:
        factor = stage.shrink or 1.0 / scale
        size = (height // scale, width // scale)
        if stage.shrink:
            size = (max(size[0], round(height * factor / 2) * 2), max(size[1], round(width * factor / 2) * 2))
        codes = _apply(codes, stage, size, generator)
    return codes


def _apply(
    codes: SampleValues, stage: DegradationStep, size: tuple[int, int], generator: torch.Generator
) -> SampleValues:
    luma, chroma = to_values(codes)
    if stage.blur_sigma_px:
        luma, chroma = (
            _filter(luma, _gaussian(stage.blur_sigma_px)),
            _filter(chroma, _gaussian(stage.blur_sigma_px / 2)),
        )
    luma, chroma = _resize((luma, chroma), size, stage.kernel)
    if stage.halo_amount:
        luma = luma + stage.halo_amount * (luma - _filter(luma, _gaussian(_HALO_SIGMA_PX)))
    if stage.sensor_codes:
        # Shot noise on top of read noise (Foi et al. 2008, doi:10.1109/TIP.2008.2001399); on chroma, it
        # depends on the luma at the same place.
        strength = (0.5 + luma.clamp(0, 1)).sqrt() * (stage.sensor_codes / 219)
        luma = luma + torch.randn(luma.shape, generator=generator) * strength
        chroma = chroma + torch.randn(chroma.shape, generator=generator) * F.avg_pool2d(strength, 2) / 2
    if stage.grain_codes:
        luma = luma + _grain(luma.shape, generator) * (4 * luma * (1 - luma)).clamp(0.1, 1).sqrt() * (
            stage.grain_codes / 219
        )
    if stage.noise_codes:
        luma = luma + torch.randn(luma.shape, generator=generator) * (stage.noise_codes / 219)
        chroma = chroma + torch.randn(chroma.shape, generator=generator) * (stage.noise_codes / 2 / 224)
    if stage.ringing_cutoff:
        luma, chroma = (_filter(p, _sinc(stage.ringing_cutoff)) for p in (luma, chroma))
    if stage.banding_bits:
        steps = (1 << stage.banding_bits) - 1
        luma = (luma * steps).round() / steps
    if stage.miss_sited:
        height, width = chroma.shape[-2:]
        chroma = resample(chroma, height, width, "bilinear", offset=LEFT, out_offset=(0.0, 0.0))
    small = from_values((luma, chroma), codes.bits)
    coding = stage.coding
    return recode(small, coding) if coding else small


def _grain(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """(T,1,H,W) noise of variance 1 with grains wider than a pixel."""
    weights = _gaussian(_GRAIN_SIGMA_PX)
    return _filter(torch.randn(shape, generator=generator), weights) / weights.square().sum()


def _resize(planes: Planes, size: tuple[int, int], kernel: str) -> Planes:
    luma, chroma = planes
    if luma.shape[-2:] == size:
        return planes
    half = (size[0] // 2, size[1] // 2)
    if kernel == "area":
        # A box filter can't be shifted to the chroma siting, so chroma is shrunk with a triangle filter.
        return F.interpolate(luma, size, mode="area"), resample(chroma, *half, "bilinear", offset=LEFT)
    return resample(luma, *size, kernel), resample(chroma, *half, kernel, offset=LEFT)


def _filter(x: Tensor, weights: Tensor) -> Tensor:
    """Separable filter of odd length over (T,C,H,W), the border repeated."""
    channels, reach = x.shape[1], len(weights) // 2
    padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    down = F.conv2d(padded, weights.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(down, weights.reshape(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def _gaussian(sigma: float) -> Tensor:
    reach = max(1, math.ceil(3 * sigma))
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-x.square() / (2 * sigma * sigma))
    return weights / weights.sum()


def _sinc(cutoff: float) -> Tensor:
    """A low-pass filter with a sharp cutoff, as a share of the Nyquist frequency, with 21 taps: it rings."""
    x = torch.arange(_RINGING_TAPS, dtype=torch.float32) - _RINGING_TAPS // 2
    weights = torch.sinc(cutoff * x)
    return weights / weights.sum()
