"""`convolve`: a convolution and the ReLU behind it; on a CPU that multiplies bf16, as one operation on packed weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.relu import relu_

__all__ = ["convolve", "pack_weights"]

_PACKED = "_vsr_packed"


def convolve(layer: nn.Conv2d, x: Tensor, *, relu: bool = False) -> Tensor:
    """(B,C,H,W) through a convolution, then max(·, 0) if `relu`; with gradients unless the weights are packed."""
    packed = layer.__dict__.get(_PACKED)
    if packed is not None and x.dtype == torch.bfloat16 and not torch.is_grad_enabled():
        weight, bias = packed
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, layer.padding, layer.stride, layer.dilation, layer.groups, "relu" if relu else "none", [], ""
        )
        return result
    made: Tensor = layer(x)
    return relu_(made) if relu else made


def pack_weights(network: nn.Module) -> bool:
    """Bring the weights of all convolutions into oneDNN's own order, in bf16; whether this build of torch can.

    oneDNN is reached by names that torch keeps for its compiler, so they are tried and not relied upon: the results are
    the same bits either way (`tests/models/test_convolution.py`), only the ReLU costs a pass of its own.
    """
    layers = [m for m in network.modules() if type(m) is nn.Conv2d and isinstance(m.padding, tuple)]
    try:
        with torch.inference_mode():
            for layer in layers:
                weight = layer.weight.bfloat16().contiguous(memory_format=torch.channels_last)
                reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
                packed = reorder(weight.to_mkldnn(), layer.padding, layer.stride, layer.dilation, layer.groups)
                layer.__dict__[_PACKED] = packed, None if layer.bias is None else layer.bias.bfloat16()
            for layer in layers[:1]:
                convolve(layer, torch.zeros(1, layer.in_channels, 16, 16, dtype=torch.bfloat16), relu=True)
    except (AttributeError, RuntimeError):
        for layer in layers:
            layer.__dict__.pop(_PACKED, None)
        return False
    return bool(layers)
