"""`Int8Chain`: 3x3 convolutions on 8-bit integers, with the same bits on every CPU with exact int32 sums.

Activations are u8 with zero point 0, weights are s8 and symmetric, sums are int32 and exact. Per output
channel a layer has one scale and one bias, fp32, and computes `max(sum · scale + bias, 0)`, rounded half to
even and clipped to 255. The last layer computes `sum · scale + bias` in fp32. The unit of every activation
channel is folded into the weights on both sides of it (Nagel et al. 2019, arXiv:1906.04721), so there are no
other multiplications. Product and sum are rounded once each, in this order, on every implementation.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

__all__ = [
    "HIGHEST",
    "INTEGERS",
    "Int8Chain",
    "Int8Layer",
    "int8_is_exact",
    "layer_shapes",
    "read_layers",
]


INTEGERS = "int8."
"""Prefix of the names of their tensors in a weights file."""
HIGHEST = 127
"""Largest magnitude of a weight."""
_SIZE = 3
"""Kernel size."""
_ZERO = 0
"""The zero point of activations and weights."""


@dataclass(frozen=True, eq=False)
class Int8Layer:
    """Weights (O,I,3,3) s8, scale (O,) and bias (O,) fp32 of one convolution."""

    weight: Tensor
    scale: Tensor
    bias: Tensor


class Int8Chain:
    """Convolutions in sequence, with ReLU between them.

    Borders: the first layer adds none, the others one zero sample on each side.
    """

    def __init__(self, layers: Sequence[Int8Layer]) -> None:
        """Raise RuntimeError if this build of torch has no such operations."""
        self._layers = [
            (
                _packed(layer),
                layer.scale,
                torch.zeros(len(layer.scale), dtype=torch.int32),
                layer.bias,
                [0, 0] if number == 0 else [1, 1],
            )
            for number, layer in enumerate(layers)
        ]

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        """(B,C,H+2,W+2) u8 with channels_last -> (B,O,H,W) fp32."""
        last = len(self._layers) - 1
        for number, (weight, scale, zeros, bias, padding) in enumerate(self._layers):
            kind, after = (torch.float32, "none") if number == last else (torch.uint8, "relu")
            x = torch.ops.onednn.qconv2d_pointwise(
                x,
                1.0,
                _ZERO,
                weight,
                scale,
                zeros,
                bias,
                [1, 1],
                padding,
                [1, 1],
                1,
                1.0,
                _ZERO,
                kind,
                after,
                [],
                "",
            )
        return x


def _packed(layer: Int8Layer) -> Tensor:
    weight = layer.weight.contiguous(memory_format=torch.channels_last)
    prepack: Any = torch.ops.onednn.qconv_prepack
    made: Tensor = prepack(weight, layer.scale, 1.0, _ZERO, [1, 1], [1, 1], [1, 1], 1, None)
    return made


def layer_shapes(layers: Mapping[str, nn.Conv2d]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors that represent convolutions."""
    return {
        f"{name}.{part}": tuple(layer.weight.shape) if part == "weight" else (layer.out_channels,)
        for name, layer in layers.items()
        for part in ("weight", "scale", "bias")
    }


def read_layers(tensors: Mapping[str, Tensor], names: Sequence[str]) -> list[Int8Layer]:
    """Read layers by name, in order, from tensors `NAME.weight` (s8), `NAME.scale` and `NAME.bias` (fp32)."""
    return [
        Int8Layer(
            tensors[f"{name}.weight"].to(torch.int8),
            tensors[f"{name}.scale"].float(),
            tensors[f"{name}.bias"].float(),
        )
        for name in names
    ]


@functools.cache
def int8_is_exact() -> bool:
    """Whether this CPU and this build of torch sum products of u8 and s8 exactly.

    Without VNNI, AMX or similar instructions, oneDNN adds pairs of products in 16 bits, which overflow;
    `ONEDNN_MAX_CPU_ISA` can force this. CPU flags are therefore not enough: the largest sums are tried.
    """
    weight = torch.full((32, 32, _SIZE, _SIZE), 127, dtype=torch.int8)
    weight[1::2] = -127
    ones, zeros = torch.ones(32), torch.zeros(32)
    codes = torch.full((1, 32, 10, 34), 255, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    try:
        found = Int8Chain([Int8Layer(weight, ones, zeros)])(codes)
    except (AttributeError, RuntimeError):
        return False
    expected = np.where(np.arange(32) % 2, -1.0, 1.0) * (255 * 127 * 32 * _SIZE * _SIZE)
    return bool((found == torch.from_numpy(expected.astype(np.float32))[:, None, None]).all())
