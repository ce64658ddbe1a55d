"""`Dists`: distance of structure and texture of images (Ding et al. 2020, arXiv:2004.07728).

The user provides two files: the authors' `weights.pt` (alpha, beta), and VGG16 of torchvision
(`vgg16-397923af.pth`). Its maximum poolings become L2 poolings, and the image itself is the first of six
features. Images keep their size; the authors' own script first resizes the smaller side to 256.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from models.errors import UsageError
from models.losses.backbones import DEVIATION, MEAN, Backbone, find_backbone

__all__ = ["Dists"]


_RECIPE = "give the authors' weights.pt (alpha, beta) and torchvision's vgg16-*.pth"
_C = 1e-6
"""Keeps both quotients defined where features are 0."""


def _l2_pool(x: Tensor) -> Tensor:
    """Root of the weighted mean square over 3x3 (Hann window), stride 2: free of aliasing."""
    line = torch.tensor([0.25, 0.5, 0.25])
    window = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


class Dists:
    """Similarity of the means (texture) and deviations (structure) of feature maps."""

    def __init__(self, backbone: Backbone, alpha: Tensor, beta: Tensor) -> None:
        """alpha, beta: weights of texture and structure of all 1475 channels, 0 or more."""
        total = alpha.sum() + beta.sum()
        widths = [3, *(convolutions[-1][0].shape[0] for _, convolutions in backbone.stages)]
        self._backbone = backbone
        self._alpha, self._beta = (torch.split(w.float().flatten() / total, widths) for w in (alpha, beta))

    @classmethod
    def read(cls, paths: tuple[str, ...]) -> Dists:
        """Read the authors' weights and VGG16's.

        Raises UsageError for unsuitable files, MediaError for unreadable ones.
        """
        backbone, rest = find_backbone(paths, "DISTS", _RECIPE)
        alpha, beta = rest.get("alpha"), rest.get("beta")
        if (
            backbone.name != "vgg16"
            or alpha is None
            or beta is None
            or {alpha.numel(), beta.numel()} != {1475}
        ):
            raise UsageError(f"DISTS: alpha, beta or VGG16 is missing in {', '.join(paths)}; {_RECIPE}")
        return cls(backbone, alpha, beta)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Two (B,3,H,W) of R'G'B', 0..1, sides of 32 or more -> (B,), from 0 (equal images) to 1."""
        alike = torch.zeros(x.shape[0])
        for a, b, alpha, beta in zip(
            self._features(x), self._features(y), self._alpha, self._beta, strict=True
        ):
            mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
            variance_a, variance_b = a.var((2, 3), correction=0), b.var((2, 3), correction=0)
            covariance = ((a - mean_a[..., None, None]) * (b - mean_b[..., None, None])).mean((2, 3))
            texture = (2 * mean_a * mean_b + _C) / (mean_a.square() + mean_b.square() + _C)
            structure = (2 * covariance + _C) / (variance_a + variance_b + _C)
            alike = alike + (alpha * texture + beta * structure).sum(1)
        return 1 - alike

    def _features(self, x: Tensor) -> list[Tensor]:
        mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, DEVIATION))
        return [x, *self._backbone.taps((x - mean) / deviation, _l2_pool)]
