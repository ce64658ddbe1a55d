"""`Lpips`: learned perceptual distance of images (Zhang et al. 2018, arXiv:1801.03924).

The user provides two files: the linear heads of the authors (`alex.pth` or `vgg.pth` of version 0.1:
lin0.model.1.weight ...), and the matching backbone of torchvision (`alexnet-owt-7be5be79.pth`,
`vgg16-397923af.pth`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.errors import UsageError
from models.losses.backbones import Backbone, find_backbone

__all__ = ["Lpips"]


_RECIPE = (
    "give the authors' linear heads (alex.pth, vgg.pth) and torchvision's backbone (alexnet-*.pth,"
    " vgg16-*.pth)"
)
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation for values of -1 to 1."""


class Lpips:
    """Distance of deep features, with channels weighted by human judgements."""

    def __init__(self, backbone: Backbone, heads: list[Tensor]) -> None:
        """heads: (1,C,1,1), 0 or more, of the five taps of the backbone."""
        self._backbone, self._heads = backbone, heads

    @classmethod
    def read(cls, paths: tuple[str, ...]) -> Lpips:
        """Read heads and backbone.

        Raises UsageError if they don't match, MediaError for an unreadable file.
        """
        backbone, rest = find_backbone(paths, "LPIPS", _RECIPE)
        heads = [rest.get(f"lin{n}.model.1.weight") for n in range(5)]
        widths = [convolutions[-1][0].shape[0] for _, convolutions in backbone.stages]
        if [None if h is None else h.numel() for h in heads] != widths:
            raise UsageError(f"LPIPS: no linear heads for {backbone.name} in {', '.join(paths)}; {_RECIPE}")
        return cls(backbone, [h.float().reshape(1, -1, 1, 1) for h in heads if h is not None])

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Two (B,3,H,W) of R'G'B', 0..1, sides of 32 or more -> (B,), 0 for equal images.

        Very different images have about 0.7.
        """
        total = torch.zeros(x.shape[0])
        for a, b, head in zip(self._taps(x), self._taps(y), self._heads, strict=True):
            total = total + ((a - b).square() * head).sum(1).mean((1, 2))
        return total

    def _taps(self, x: Tensor) -> list[Tensor]:
        """Features of unit length at each place."""
        shift, scale = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (_SHIFT, _SCALE))
        return [
            t / (t.square().sum(1, keepdim=True).sqrt() + 1e-10)
            for t in self._backbone.taps((2 * x - 1 - shift) / scale)
        ]
