"""Losses, as functions of tensors that return a scalar.

x, y: (B,C,H,W), floating, values 0..1 (chroma -0.5..0.5) and beyond; the output of the network and the ground
truth. Deep features are maps of any size and range; logits of a discriminator, for real or generated images,
have any shape and are positive for real.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "ADVERSARIAL",
    "LOSSES",
    "SAMPLES",
    "charbonnier",
    "cosine_distance",
    "hinge",
    "hinge_generator",
    "information_loss",
    "kl_divergence",
    "l1",
    "mse",
    "non_saturating",
    "non_saturating_generator",
    "perceptual",
    "sharpened",
    "ssim_loss",
    "ssim_map",
    "statistics_distance",
]


def mse(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared error, 0 or more: the basis of PSNR.

    The loss favours soft images (Zhao et al. 2017, arXiv:1511.08861).
    """
    return (x - y).square().mean()


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute error, 0 or more.

    Results are sharper than with MSE and, in practice, have a better PSNR too (Lim et al. 2017,
    arXiv:1707.02921).
    """
    return (x - y).abs().mean()


def charbonnier(x: Tensor, y: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt(d² + ε²), ε or more.

    L1 with a smooth minimum (Charbonnier et al. 1994; Lai et al. 2017, arXiv:1704.03915).
    """
    return ((x - y).square() + epsilon * epsilon).sqrt().mean()


def ssim_loss(x: Tensor, y: Tensor) -> Tensor:
    """1 - mean SSIM, 0 (equal) to 2; H and W of 11 or more.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    with torch.autocast(x.device.type, enabled=False):  # variances are small differences
        return 1 - ssim_map(x.float(), y.float(), peak=1.0).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": mse,
    "l1": l1,
    "charbonnier": charbonnier,
    "ssim": ssim_loss,
}
"""By their names in a configuration."""


SAMPLES: dict[str, Callable[[Tensor], Tensor]] = {
    "mse": torch.square,
    "l1": torch.abs,
    "charbonnier": lambda d: (d.square() + 1e-6).sqrt(),
}
"""Losses that are means over samples -> their value for each difference, before the mean."""


def cosine_distance(x: Sequence[Tensor], y: Sequence[Tensor], epsilon: float = 1e-6) -> Tensor:
    """1 - a·b / (|a| |b|), 0 (same direction) to 2 (opposite); mean over images.

    All deep features of an image form one vector. The distance ignores their strength, so another term has to
    cover contrast. One vector per position would not work: where hardly any feature responds, directions are
    noise, and their gradients, which are proportional to 1 / |a|, would dominate. A vector shorter than
    epsilon counts as 1 at most.
    """
    a, b = (torch.cat([maps.flatten(1).float() for maps in features], 1) for features in (x, y))
    return (1 - F.cosine_similarity(a, b, dim=1, eps=epsilon)).mean()


def perceptual(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of deep features, 0 or more, each map counting the same.

    Johnson et al. 2016, arXiv:1603.08155.
    """
    return torch.stack([l1(a.float(), b.float()) for a, b in zip(x, y, strict=True)]).mean()


def statistics_distance(x: Sequence[Tensor], y: Sequence[Tensor], constant: float = 1e-2) -> Tensor:
    """1 - mean similarity of means (texture) and deviations (structure) of deep features, 0 (equal) to 1.

    Has the form of DISTS (Ding et al. 2020, arXiv:2004.07728). Unlike `perceptual` it does not favour soft
    images: too little variance costs as much as too much. constant: added to numerator and denominator, so
    that weak features count little.
    """
    alike = []
    for a, b in zip(x, y, strict=True):
        mean_a, mean_b = (z.mean((2, 3), dtype=torch.float32) for z in (a, b))
        texture = (2 * mean_a * mean_b + constant) / (mean_a.square() + mean_b.square() + constant)
        covariance = (a * b).mean((2, 3), dtype=torch.float32) - mean_a * mean_b
        variances = (a * a + b * b).mean((2, 3), dtype=torch.float32) - mean_a.square() - mean_b.square()
        alike.append(((texture + (2 * covariance + constant) / (variances + constant)) / 2).mean())
    return 1 - torch.stack(alike).mean()


def non_saturating(real: Tensor, made: Tensor) -> Tensor:
    """Loss of a discriminator: -log σ(real) - log(1 - σ(made)), 0 or more.

    Goodfellow et al. 2014, arXiv:1406.2661.
    """
    return F.softplus(-real.float()).mean() + F.softplus(made.float()).mean()


def non_saturating_generator(made: Tensor) -> Tensor:
    """Loss of the generator: -log σ(made), which has a gradient even if the discriminator is certain."""
    return F.softplus(-made.float()).mean()


def hinge(real: Tensor, made: Tensor) -> Tensor:
    """Loss of a discriminator: max(0, 1 - real) + max(0, 1 + made).

    Lim & Ye 2017, arXiv:1705.02894.
    """
    return F.relu(1 - real.float()).mean() + F.relu(1 + made.float()).mean()


def hinge_generator(made: Tensor) -> Tensor:
    """Loss of the generator: minus the logit, of any sign."""
    return -made.float().mean()


ADVERSARIAL: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non-saturating": (non_saturating, non_saturating_generator),
    "hinge": (hinge, hinge_generator),
}
"""Name in a configuration -> (loss of the discriminator, loss of the generator)."""


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ,σ²) || N(0,1)) = (μ² + σ² - 1 - log σ²) / 2 in nats, 0 or more.

    Mean over latent values (Kingma & Welling 2013, arXiv:1312.6114).
    """
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


@functools.cache
def _line(size: int, sigma: float) -> tuple[float, ...]:
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-x.square() / (2 * sigma * sigma))
    return tuple((weights / weights.sum()).tolist())


def ssim_map(x: Tensor, y: Tensor, *, peak: float, size: int = 11, sigma: float = 1.5) -> Tensor:
    """Structural similarity at every position where the window fits, -1..1.

    (B,C,H,W) -> (B,C,H-size+1,W-size+1). peak: difference of black and white. Windows are Gaussian; means,
    variances and covariance are weighted by them.
    """
    channels = x.shape[1]
    weights = torch.tensor(_line(size, sigma), dtype=x.dtype, device=x.device)
    down, across = (
        weights.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1),
        weights.reshape(1, 1, 1, -1).expand(channels, 1, 1, -1),
    )

    def blur(z: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(z, down, groups=channels), across, groups=channels)

    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x.square(), blur(y * y) - mean_y.square()
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similar = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return similar / ((mean_x.square() + mean_y.square() + c1) * (variance_x + variance_y + c2))


_OVERSHOOT = 0.08
"""Largest change of luma: prevents halos around strong edges."""
_CORE = 1.5 / 219
"""Luma differences below this are grain or gradients, and are left unchanged."""


def sharpened(luma: Tensor, amount: float | Tensor) -> Tensor:
    """Add `amount` times the detail that a Gaussian of σ = 1 removes, except faint detail; (B,1,H,W), 0..1.

    Mean brightness is preserved. amount: a number, or one for each image as (B,1,1,1).
    """
    with torch.autocast(luma.device.type, enabled=False):
        away = luma - _blurred(F.pad(luma, (2, 2, 2, 2), mode="reflect"), 5)
        return luma + (amount * F.softshrink(away, _CORE)).clamp(-_OVERSHOOT, _OVERSHOOT)


_NOISE = 2 / 219**2
"""Variance of invisible noise, for luma 0..1: 2 squared 8-bit values, as in VMAF."""
_WINDOWS = (17, 9, 5, 3)
"""Sizes of the Gaussian windows in samples, from the finest scale to the coarsest; σ is a fifth of that."""


def information_loss(x: Tensor, y: Tensor) -> Tensor:
    """1 minus the share of the information in y that is also in x (luma), 0 (equal) to 1.

    H and W of 17 or more, values 0..1. Visual information fidelity (Sheikh & Bovik 2006,
    doi:10.1109/TIP.2005.859378) on pixels, with gains above 1 counted as 1. Lost contrast is penalised,
    contrast beyond the ground truth is not rewarded, and everything that the ground truth can't explain is
    noise. Computed at four scales, or as many as fit.
    """
    shares: list[Tensor] = []
    with torch.autocast(x.device.type, enabled=False):
        x, y = x.float(), y.float()
        for size in _WINDOWS:
            if shares:
                if min(y.shape[-2:]) < 3 * size - 2:
                    break
                x, y = (_blurred(z, size)[..., ::2, ::2] for z in (x, y))
            mean_x, mean_y, xx, yy, xy = _blurred(torch.cat([x, y, x * x, y * y, x * y]), size).chunk(5)
            variance_x, variance_y = (xx - mean_x.square()).clamp_min(0), (yy - mean_y.square()).clamp_min(0)
            covariance = (xy - mean_x * mean_y).clamp_min(0)
            gain = covariance / (variance_y + 1e-8)
            unexplained = (variance_x - gain * covariance).clamp_min(0)
            told = torch.log1p(gain.clamp_max(1).square() * variance_y / (unexplained + _NOISE))
            shares.append(told.sum() / (torch.log1p(variance_y / _NOISE).sum() + 1e-6))
    return 1 - torch.stack(shares).mean()


def _blurred(z: Tensor, size: int) -> Tensor:
    """(B,1,H,W) filtered by a Gaussian window of that many samples, where it fits.

    Matrix products are faster than such narrow convolutions.
    """
    down, across = (_window(length, size).to(z) for length in z.shape[-2:])
    return down @ z @ across.T


@functools.cache
def _window(length: int, size: int) -> Tensor:
    """(length-size+1, length): the window at every position of a line where it fits."""
    made = torch.zeros(length - size + 1, length)
    for place in range(len(made)):
        made[place, place : place + size] = torch.tensor(_line(size, size / 5))
    return made
