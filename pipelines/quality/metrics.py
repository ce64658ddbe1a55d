"""Image metrics: PSNR, NIQE, gradient energy and flicker; SSIM by torchmetrics; VMAF and XPSNR by FFmpeg.

All on luma planes in 8-bit limited range (black 16, white 235) with a peak of 255, as papers compute
"PSNR-Y".
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.errors import MediaError, UsageError, missing_package
from models.layers.resampling import resample
from pipelines.frames.ffmpeg_metrics import MetricsProcess, pooled

if TYPE_CHECKING:
    from fractions import Fraction

    from pipelines.frames.sample_values import SampleValues

__all__ = ["NiqeModel", "crop_border", "flicker", "gradient_energy", "niqe", "psnr", "ssim", "vmaf_and_xpsnr"]


PEAK = 255.0
_SSIM_REACH = 5
"""Half the size of its 11x11 window."""


def crop_border(plane: Tensor, border_px: int) -> Tensor:
    """Crop `border_px` from all four sides of (..., H, W)."""
    return (
        plane[..., border_px : plane.shape[-2] - border_px, border_px : plane.shape[-1] - border_px]
        if border_px
        else plane
    )


def psnr(result: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of (..., H, W) luma over all samples together.

    Infinite if they are equal.
    """
    error = (result.double() - truth.double()).square().mean().item()
    return math.inf if error == 0 else 10 * math.log10(PEAK * PEAK / error)


def ssim(result: Tensor, truth: Tensor) -> float:
    """Mean structural similarity of (T,H,W) luma, sides of 11 or more; at most 1, which means equal.

    Wang et al. 2004: Gaussian window of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, only where the window
    fits. Raises UsageError if torchmetrics is missing.
    """
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure as measure
    except ImportError as error:
        raise missing_package(
            "SSIM", "torchmetrics", "train", instead="or choose others with --metric"
        ) from error
    found = []
    for a, b in zip(result, truth, strict=True):  # one by one: its maps in fp64 are many times a frame
        _, full = measure(
            a.double()[None, None], b.double()[None, None], data_range=PEAK, return_full_image=True
        )
        # torchmetrics also counts windows over a mirrored border
        found.append(crop_border(full, _SSIM_REACH).mean().item())
    return float(np.mean(found))


def gradient_energy(result: Tensor, truth: Tensor) -> float:
    """Detail of (T,H,W) luma relative to the ground truth.

    Ratio of the mean squares of neighbour differences; 1 is equally sharp. Below 1 the result is soft
    (bicubic), above it is sharpened or noisy. Infinite for detail where the ground truth is flat.
    """
    energy = [
        x.double().diff(dim=-1).square().mean().item() + x.double().diff(dim=-2).square().mean().item()
        for x in (result, truth)
    ]
    return energy[0] / energy[1] if energy[1] else (math.inf if energy[0] else 1.0)


def flicker(result: Tensor, truth: Tensor) -> float:
    """How much a clip's change from frame to frame differs from that of the ground truth.

    This is a mean absolute difference, in 8-bit values. result, truth: (T,H,W) luma, T of 2 or more. 0 means
    no flicker.
    """
    if result.shape[0] < 2:
        raise UsageError(f"flicker is between frames; a clip of {result.shape[0]} frame(s) has none")
    change = result[1:].float() - result[:-1].float() - (truth[1:].float() - truth[:-1].float())
    return change.abs().mean().item()


@dataclass(frozen=True, eq=False)
class NiqeModel:
    """Statistics of patches of pristine images: the mean and covariance that NIQE compares with."""

    mean: np.ndarray
    """(36,)"""
    covariance: np.ndarray
    """(36,36)"""

    @classmethod
    def read(cls, path: str | Path) -> NiqeModel:
        """Read the .npz that BasicSR distributes (mu_pris_param, cov_pris_param).

        Raises MediaError for any other file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(file["mu_pris_param"].reshape(-1), file["cov_pris_param"])
        except (OSError, KeyError, ValueError) as error:
            raise MediaError(
                f"{path}: is not a NIQE model ({error}); expected BasicSR's niqe_pris_params.npz"
            ) from error


_NIQE_PATCH_PX = 96


def niqe(luma: Tensor, model: NiqeModel) -> float:
    """Natural image quality evaluator (Mittal et al. 2013) of one (H,W) plane, sides of 96 or more.

    Lower is better.
    """
    rows, columns = luma.shape[0] // _NIQE_PATCH_PX, luma.shape[1] // _NIQE_PATCH_PX
    if not rows or not columns:
        raise UsageError(
            f"NIQE wants pictures of {_NIQE_PATCH_PX} pixels and more a side; this one is"
            f" {luma.shape[1]}x{luma.shape[0]}"
        )
    x = luma.double()[: rows * _NIQE_PATCH_PX, : columns * _NIQE_PATCH_PX]
    scales = []
    for patch in (_NIQE_PATCH_PX, _NIQE_PATCH_PX // 2):
        normal = _mscn(x)
        tiles = normal.reshape(rows, patch, columns, patch).permute(0, 2, 1, 3).reshape(-1, patch, patch)
        scales.append(np.stack([_features(t.numpy()) for t in tiles]))
        x = resample(x / PEAK, x.shape[0] // 2, x.shape[1] // 2, "bicubic") * PEAK
    features = np.concatenate(scales, 1)  # (patches, 36)
    mean = np.nanmean(features, 0)
    kept = features[~np.isnan(features).any(1)]
    covariance = np.cov(kept, rowvar=False) if len(kept) > 1 else np.zeros_like(model.covariance)
    gap = model.mean - mean
    return float(np.sqrt(gap @ np.linalg.pinv((model.covariance + covariance) / 2) @ gap))


@functools.cache
def _gaussian(size: int, sigma: float) -> Tensor:
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    line = torch.exp(-x.square() / (2 * sigma * sigma))
    window = torch.outer(line, line)
    return (window / window.sum())[None, None]


def _mscn(x: Tensor) -> Tensor:
    """Mean-subtracted, contrast-normalised coefficients: 7x7 Gaussian of sigma 7/6, border repeated."""
    window = _gaussian(7, 7 / 6)
    mean = F.conv2d(F.pad(x[None, None], (3, 3, 3, 3), mode="replicate"), window)
    square = F.conv2d(F.pad(x.square()[None, None], (3, 3, 3, 3), mode="replicate"), window)
    deviation = (square - mean.square()).abs().sqrt()
    return ((x[None, None] - mean) / (deviation + 1))[0, 0]


@functools.cache
def _shape_table() -> tuple[np.ndarray, np.ndarray]:
    """Shapes of a generalised Gaussian, and the moment ratio Γ(2/a)² / (Γ(1/a)·Γ(3/a)) of each."""
    shapes = np.arange(0.2, 10.001, 0.001)
    ratio = [math.exp(2 * math.lgamma(2 / a) - math.lgamma(1 / a) - math.lgamma(3 / a)) for a in shapes]
    return shapes, np.array(ratio)


def _fit(block: np.ndarray) -> tuple[float, float, float]:
    """Asymmetric generalised Gaussian: (shape, left scale, right scale)."""
    values = block.ravel()
    left, right = values[values < 0], values[values > 0]
    if not len(left) or not len(right):
        return math.nan, math.nan, math.nan
    left_std, right_std = math.sqrt((left**2).mean()), math.sqrt((right**2).mean())
    gamma = left_std / right_std
    ratio = np.abs(values).mean() ** 2 / (values**2).mean()
    norm = ratio * (gamma**3 + 1) * (gamma + 1) / (gamma**2 + 1) ** 2
    shapes, table = _shape_table()
    shape = float(shapes[np.argmin((table - norm) ** 2)])
    factor = math.exp((math.lgamma(1 / shape) - math.lgamma(3 / shape)) / 2)
    return shape, left_std * factor, right_std * factor


def _features(block: np.ndarray) -> list[float]:
    """18 numbers of one patch: fits of its coefficients, and of products of neighbours in four directions."""
    shape, left, right = _fit(block)
    found = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = _fit(block * np.roll(block, shift, (0, 1)))
        mean = (
            (right - left) * math.exp(math.lgamma(2 / shape) - math.lgamma(1 / shape))
            if not math.isnan(shape)
            else math.nan
        )
        found += [shape, mean, left, right]
    return found


def vmaf_and_xpsnr(
    result: SampleValues, truth: SampleValues, *, rate: Fraction | int = 25, threads: int = 2
) -> dict[str, float]:
    """VMAF and VMAF-NEG (0 to 100, with the model for the size) and XPSNR of luma (dB), by FFmpeg.

    Raises UsageError if the packages for it are missing, MediaError if FFmpeg fails.
    """
    with MetricsProcess(
        truth.luma.shape[2], truth.luma.shape[1], truth.bits, rate=rate, threads=threads
    ) as meter:
        for number in range(len(truth.luma)):
            meter.add([result.frames(slice(number, number + 1)), truth.frames(slice(number, number + 1))])
        (figures,) = meter.figures()
    return {name: pooled(name, figures[name]) for name in ("vmaf", "vmaf_neg", "xpsnr")}


def cvvdp(result: Tensor, truth: Tensor, *, rate: float = 25.0) -> float:
    """ColorVideoVDP of (T,3,H,W) of 8-bit R'G'B', 0..1, on a 4K screen.

    Mantiuk et al. 2024, arXiv:2401.11485. 10 for no visible difference, one less for each just-objectionable
    one. Raises UsageError if the package cvvdp is missing.
    """
    try:
        import pycvvdp
    except ImportError as error:
        raise UsageError(
            "ColorVideoVDP needs the package cvvdp (pip install vsr-upscale[cvvdp]); or choose others with"
            f" --metric: {error}"
        ) from error
    judge = pycvvdp.cvvdp(display_name="standard_4k", device=torch.device("cpu"), quiet=True)
    found, _ = judge.predict(
        result, truth, dim_order="FCHW", frames_per_second=rate if len(result) > 1 else 0
    )
    return float(found)
