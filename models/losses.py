"""Losses, as functions of two tensors of one shape that return a scalar.

x, y: (B,C,H,W), floating, values 0..1 (chroma -0.5..0.5) and beyond; the network's result and the truth.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["LOSSES", "SAMPLES", "charbonnier", "l1", "mse", "ssim_loss", "ssim_map"]


def mse(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared error, 0 or more: what PSNR counts; favours soft pictures (Zhao et al. 2017, arXiv:1511.08861)."""
    return (x - y).square().mean()


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute error, 0 or more: sharper than MSE, and better PSNR too in practice (Lim et al. 2017, arXiv:1707.02921)."""
    return (x - y).abs().mean()


def charbonnier(x: Tensor, y: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt(d² + ε²), ε or more: L1 with a round bottom (Charbonnier et al. 1994; Lai et al. 2017, arXiv:1704.03915)."""
    return ((x - y).square() + epsilon * epsilon).sqrt().mean()


def ssim_loss(x: Tensor, y: Tensor) -> Tensor:
    """1 - mean SSIM, 0 (equal) to 2; H and W of 11 or more (Wang et al. 2004, doi:10.1109/TIP.2003.819861)."""
    return 1 - ssim_map(x, y, peak=1.0).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "l1": l1, "charbonnier": charbonnier, "ssim": ssim_loss}
"""By the name a configuration gives."""


SAMPLES: dict[str, Callable[[Tensor], Tensor]] = {
    "mse": torch.square,
    "l1": torch.abs,
    "charbonnier": lambda d: (d.square() + 1e-6).sqrt(),
}
"""Losses that are means over samples: what each makes of the differences before the mean is taken."""


@functools.cache
def _line(size: int, sigma: float) -> tuple[float, ...]:
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-x.square() / (2 * sigma * sigma))
    return tuple((weights / weights.sum()).tolist())


def ssim_map(x: Tensor, y: Tensor, *, peak: float, size: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity at every place where the window fits: (B,C,H,W) -> (B,C,H-size+1,W-size+1), -1..1.

    peak: difference of black and white. Windows are Gaussian; means, variances and covariance are weighted by them.
    """
    channels = x.shape[1]
    weights = torch.tensor(_line(size, sigma), dtype=x.dtype, device=x.device)
    down, across = weights.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1), weights.reshape(1, 1, 1, -1).expand(channels, 1, 1, -1)

    def blur(z: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(z, down, groups=channels), across, groups=channels)

    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x.square(), blur(y * y) - mean_y.square()
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similar = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return similar / ((mean_x.square() + mean_y.square() + c1) * (variance_x + variance_y + c2))
