"""ReLU and PReLU in place: one pass over memory, with integer arithmetic if feature maps are bf16."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Prelu", "relu_"]


class Prelu(nn.PReLU):
    """max(x, 0) + weight·min(x, 0) of (B,C,H,W) (He et al. 2015, arXiv:1502.01852), bit-identical to torch's.

    It may overwrite x, so the caller must not need x afterwards. It does so on a CPU with few threads if
    gradients are off and x is channels_last, in fp32 or bf16.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> the same shape."""
        kernel, most = _kernels().get(x.dtype, (None, 0))
        if (
            kernel is None
            or torch.get_num_threads() > most
            or x.device.type != "cpu"
            or torch.is_grad_enabled()
            or x.dim() != 4
            or not x.is_contiguous(memory_format=torch.channels_last)
        ):
            made: Tensor = super().forward(x)
            return made
        places = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        weight = self.weight.detach().to(x.dtype).float().expand(x.shape[1]).numpy()
        kernel(
            places.view(torch.int16).numpy().view(np.uint16) if x.dtype == torch.bfloat16 else places.numpy(),
            np.ascontiguousarray(weight),
        )
        return x


def _of_fp32(x: np.ndarray, weight: np.ndarray) -> None:
    """PReLU in place. x: (positions, C)."""
    places, channels = x.shape
    for place in range(places):
        row = x[place]
        for channel in range(channels):
            value = row[channel]
            row[channel] = value if value > np.float32(0) else value * weight[channel]


def _of_bf16(x: np.ndarray, weight: np.ndarray) -> None:
    """x: (positions, C), the bits of bf16 as uint16; products are rounded to nearest, ties to even."""
    places, channels = x.shape
    values = np.empty(channels, np.float32)
    bits = values.view(np.uint32)
    for place in range(places):
        row = x[place]
        for channel in range(channels):
            bits[channel] = np.uint32(row[channel]) << np.uint32(16)
        for channel in range(channels):
            value = values[channel]
            values[channel] = value if value > np.float32(0) else value * weight[channel]
        for channel in range(channels):
            full = bits[channel]
            row[channel] = (full + np.uint32(0x7FFF) + ((full >> np.uint32(16)) & np.uint32(1))) >> np.uint32(
                16
            )


@functools.cache
def _kernels() -> dict[torch.dtype, tuple[Callable[[np.ndarray, np.ndarray], None], int]]:
    """Dtype -> (kernel, largest number of threads for which it is faster than torch with all threads).

    torch takes 15.7 and 3.1 ms, these kernels 1.4 and 1.7 ms (one core, 64 maps of 288x480). numba takes a
    tenth of a second to load, so only those that need it do.
    """
    try:
        import numba
    except ImportError:  # pragma: no cover - numba is a dependency, but not on every platform
        return {}
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
    return {torch.float32: (compiled(_of_fp32), 8), torch.bfloat16: (compiled(_of_bf16), 2)}


def relu_(x: Tensor) -> Tensor:
    """max(x, 0) of any shape, in place, with gradients.

    On a CPU, bf16 values are compared as 16-bit integers, as negative ones have the same top bit. This avoids
    the conversion to fp32 and back, which takes five times as long. The result has the same bits (except that
    -0 becomes 0).
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
