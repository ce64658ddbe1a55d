"""Losses, as functions of tensors that return a scalar.

x, y: (B,C,H,W), floating, values 0..1 (chroma -0.5..0.5) and beyond; the network's result and the truth. Deep features are maps
of any size and range; what a discriminator says of real or made pictures are logits of any shape, positive for real.
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
    "kl_divergence",
    "l1",
    "mse",
    "non_saturating",
    "non_saturating_generator",
    "perceptual",
    "ssim_loss",
    "ssim_map",
]


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


def cosine_distance(x: Sequence[Tensor], y: Sequence[Tensor], epsilon: float = 1e-6) -> Tensor:
    """1 - a·b / (|a| |b|), 0 (same direction) to 2 (opposite), of all deep features of a picture as one vector; mean over pictures.

    Blind to how strong features are: contrast is left to another term. One vector a picture, not one a place: where hardly any
    feature responds, directions are noise, and their gradients, which go with 1 / |a|, would drown all others. A vector
    shorter than epsilon counts as 1 at most.
    """
    a, b = (torch.cat([maps.flatten(1).float() for maps in features], 1) for features in (x, y))
    return (1 - F.cosine_similarity(a, b, dim=1, eps=epsilon)).mean()


def perceptual(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of deep features, 0 or more, each map counting the same (Johnson et al. 2016, arXiv:1603.08155)."""
    return torch.stack([l1(a.float(), b.float()) for a, b in zip(x, y, strict=True)]).mean()


def non_saturating(real: Tensor, made: Tensor) -> Tensor:
    """What a discriminator minimises: -log σ(real) - log(1 - σ(made)), 0 or more (Goodfellow et al. 2014, arXiv:1406.2661)."""
    return F.softplus(-real.float()).mean() + F.softplus(made.float()).mean()


def non_saturating_generator(made: Tensor) -> Tensor:
    """What the generator minimises against it: -log σ(made), which has a gradient where it is seen through, too."""
    return F.softplus(-made.float()).mean()


def hinge(real: Tensor, made: Tensor) -> Tensor:
    """What a discriminator minimises: max(0, 1 - real) + max(0, 1 + made) (Lim & Ye 2017, arXiv:1705.02894)."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + made.float()).mean()


def hinge_generator(made: Tensor) -> Tensor:
    """What the generator minimises against it: minus the logit, of any sign."""
    return -made.float().mean()


ADVERSARIAL: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "non-saturating": (non_saturating, non_saturating_generator),
    "hinge": (hinge, hinge_generator),
}
"""By the name a configuration gives: what the discriminator minimises, and what the generator."""


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ,σ²) || N(0,1)) = (μ² + σ² - 1 - log σ²) / 2 in nats, 0 or more; mean over latent numbers (Kingma & Welling 2013, arXiv:1312.6114)."""
    mean, log_variance = mean.float(), log_variance.float()
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


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
