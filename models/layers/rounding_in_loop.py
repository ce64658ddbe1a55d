"""`rounded_chain`: convolutions as on 8-bit integers, in floats, with gradients, to train weights.

Rounding has no useful gradient: backwards it counts as identity (Bengio et al. 2013, arXiv:1308.3432), and
clipping as constant. Units then learn from both, as in Esser et al. 2020 (arXiv:1902.08153).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from models.layers.int8 import HIGHEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

__all__ = ["rounded_chain"]


_TOP = 255
"""Highest activation, in units."""


def rounded_chain(layers: Sequence[nn.Conv2d], units: Sequence[Tensor], gains: Tensor, x: Tensor) -> Tensor:
    """(B,I,H,W) values -> (B,O,H,W), up to fp32 as `unit_rounding.layers_from_units` computes on codes.

    units: (C,) of each hidden layer's activations. gains: (I,) size of a sample value's step in x.
    """
    for number, layer in enumerate(layers):
        x = F.conv2d(x, _rounded_weights(layer.weight, gains), layer.bias, padding=1)
        if number < len(units):
            x = _rounded_activations(x.relu(), units[number][:, None, None])
            gains = units[number].detach()
    return x


def _rounded_activations(x: Tensor, unit: Tensor) -> Tensor:
    whole = (x / unit).clamp(0, _TOP)
    return (whole + (whole.round() - whole).detach()) * unit


def _rounded_weights(weight: Tensor, gains: Tensor) -> Tensor:
    """Weights (O,I,3,3) in the steps of their output channel."""
    with torch.no_grad():
        scaled = weight * gains[:, None, None]
        step = (scaled.abs().amax((1, 2, 3), keepdim=True) / HIGHEST).clamp_min(1e-12)
        rounded = _kernels_rounded(scaled / step) * step / gains[:, None, None]
    return weight + (rounded - weight).detach()


def _kernels_rounded(steps: Tensor) -> Tensor:
    """Round as `unit_rounding` does, the sum of each kernel to within half a step."""
    kernels = steps.flatten(2)
    whole = kernels.round()
    errors = whole - kernels
    surplus = errors.sum(-1, keepdim=True).round()
    rank = torch.argsort(torch.argsort(-errors, dim=-1, stable=True), dim=-1, stable=True)
    whole = whole - (rank < surplus).float() + ((kernels.shape[-1] - 1 - rank) < -surplus).float()
    return whole.clamp(-HIGHEST, HIGHEST).reshape(steps.shape)
