"""`convolve`: a convolution and its ReLU as one operation, by oneDNN on a CPU and by cuDNN on CUDA."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.layers.activations import relu_

__all__ = ["convolve", "pack_weights"]


_PACKED = "_vsr_packed"


def convolve(layer: nn.Conv2d, x: Tensor, *, relu: bool = False) -> Tensor:
    """Apply a convolution to (B,C,H,W), then max(·, 0) if `relu`.

    Gradients are computed unless the weights are packed.
    """
    packed = layer.__dict__.get(_PACKED)
    if packed is not None and not torch.is_grad_enabled():
        weight, bias = packed
        if x.is_cuda and torch.is_autocast_enabled("cuda"):
            x = x.to(weight.dtype)
        if x.dtype == weight.dtype and x.device.type == ("cuda" if weight.dtype == torch.float16 else "cpu"):
            return _fused(layer, x, weight, bias, relu=relu)
    made: Tensor = layer(x)
    return relu_(made) if relu else made


def _fused(layer: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None, *, relu: bool) -> Tensor:
    if x.is_cuda:
        # In PyTorch's own convolution, bias and ReLU are separate passes over memory, which take as long as
        # the convolution on small maps.
        operation: Any = torch.cudnn_convolution_relu if relu else torch.conv2d
        order = (layer.stride, layer.padding, layer.dilation, layer.groups)
        made: Tensor = operation(x.contiguous(memory_format=torch.channels_last), weight, bias, *order)
        return made
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x,
        weight,
        bias,
        layer.padding,
        layer.stride,
        layer.dilation,
        layer.groups,
        "relu" if relu else "none",
        [],
        "",
    )
    return result


def pack_weights(network: nn.Module, dtype: torch.dtype = torch.bfloat16) -> bool:
    """Store the weights of all convolutions in the layout of fused operations.

    Returns whether this build of torch supports them. bfloat16, float32: on a CPU, in oneDNN's layout.
    float16: on CUDA, channels_last; fp32 stays possible as well. torch keeps these operations for its
    compiler under private names, so they are tried first. The results have the same bits without them
    (`tests/models/layers/test_convolution.py`); only the ReLU costs another pass.
    """
    layers = [m for m in network.modules() if type(m) is nn.Conv2d and isinstance(m.padding, tuple)]
    try:
        with torch.inference_mode():
            for layer in layers:
                layer.__dict__[_PACKED] = _packed(layer, dtype)
            for layer in layers[:1]:
                with torch.autocast("cuda", torch.float16, enabled=dtype == torch.float16):
                    convolve(
                        layer,
                        torch.zeros(1, layer.in_channels, 16, 16, dtype=dtype, device=layer.weight.device),
                        relu=True,
                    )
    except (AttributeError, RuntimeError):
        for layer in layers:
            layer.__dict__.pop(_PACKED, None)
        return False
    return bool(layers)


def _packed(layer: nn.Conv2d, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    weight = layer.weight.to(dtype).contiguous(memory_format=torch.channels_last)
    bias = None if layer.bias is None else layer.bias.to(dtype)
    if dtype == torch.float16:
        return weight, bias
    reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
    return reorder(weight.to_mkldnn(), layer.padding, layer.stride, layer.dilation, layer.groups), bias
