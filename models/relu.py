"""`relu_`: ReLU in place, by integers where maps are bf16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["relu_"]


def relu_(x: Tensor) -> Tensor:
    """max(x, 0) of any shape, in place, with gradients.

    On a CPU, bf16 numbers are compared as 16-bit integers: negative ones have the same top bit, and no conversion to fp32 and
    back is needed, which takes five times as long. The result has the same bits (but for -0, which becomes 0).
    """
    if x.dtype != torch.bfloat16 or x.device.type != "cpu":
        return F.relu_(x)
    if torch.is_grad_enabled() and x.requires_grad:
        result: Tensor = _Relu.apply(x)  # type: ignore[no-untyped-call]
        return result
    x.view(torch.int16).clamp_min_(0)
    return x


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x.view(torch.int16).clamp_min_(0)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (result,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, result, 0)  # type: ignore[no-any-return]
