"""`layers_from_units`: 8-bit integer layers as a pure function of float weights and activation units.

Only elementwise float64 and integer operations are used, in a fixed order, so all CPUs get the same integers.
The weights of a kernel are rounded together, so that the error of their sum is at most half a step: the sum
matters most because neighbouring samples are similar (SQuant, Guo et al. 2022, arXiv:2202.07471).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from models.layers.int8 import HIGHEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

__all__ = ["layers_from_units"]


_CODES = {
    "limited": (np.array([16.0] * 4 + [128.0] * 2), 1 / np.array([219.0] * 4 + [224.0] * 2)),
    "full": (np.array([0.0] * 4 + [128.0] * 2), 1 / np.array([255.0] * 6)),
}
"""Offset and step of the 8-bit codes of packed planes, by range (H.273, 8.3)."""
_LEAST = 1e-12
"""Smallest scale, for channels without weights."""


def layers_from_units(
    convolutions: Mapping[str, nn.Conv2d], units: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Convert a chain of convolutions to the tensors that `models.layers.int8.read_layers` reads.

    convolutions: "head.limited" and "head.full", the first layer for sample values of either range, then the
    others in order. units: (C,), the units of each layer's output activations, by layer name; "head" for the
    first layer, none for the last.
    """
    found: dict[str, Tensor] = {}
    before = np.ones(1)
    for name, layer in convolutions.items():
        first, _, codes = name.partition(".")
        is_head = first == "head"
        offsets, gains = _CODES[codes] if is_head else (np.zeros(1), before)
        unit = units.get("head" if is_head else name)
        after = np.ones(1) if unit is None else unit.double().numpy()
        weight, bias = (
            t.detach().double().numpy()
            for t in (layer.weight, torch.zeros(layer.out_channels) if layer.bias is None else layer.bias)
        )
        scaled = weight * gains[:, None, None] / after[:, None, None, None]
        scale = (np.abs(scaled).max((1, 2, 3)) / HIGHEST).clip(_LEAST).astype(np.float32)
        whole = _rounded(scaled / scale.astype(np.float64)[:, None, None, None])
        # The float network pads with zeros, which are black; integer layers pad with the code of black.
        black = (whole.astype(np.int64) * offsets.astype(np.int64)[:, None, None]).sum((1, 2, 3))
        own = (bias / after - scale * black.astype(np.float64)).astype(np.float32)
        found |= {
            f"{name}.weight": torch.from_numpy(whole),
            f"{name}.scale": torch.from_numpy(scale),
            f"{name}.bias": torch.from_numpy(own),
        }
        if unit is not None:
            before = after
    return found


def _rounded(steps: np.ndarray) -> np.ndarray:
    """Round (O,I,3,3) in steps to int8 with the sum of each kernel within half a step."""
    kernels = steps.reshape(*steps.shape[:2], -1)
    taps = kernels.shape[-1]
    whole = np.rint(kernels)
    errors = whole - kernels
    surplus = np.rint(sum(errors[..., tap] for tap in range(taps)))[..., None]
    # If the sum is too large, the weights that were rounded up most are rounded down instead, and vice versa.
    rank = np.argsort(np.argsort(-errors, -1, kind="stable"), -1)
    whole -= rank < surplus
    whole += (taps - 1 - rank) < -surplus
    made: np.ndarray = whole.clip(-HIGHEST, HIGHEST).astype(np.int8).reshape(steps.shape)
    return made
