"""`choose_arithmetic`: precision and memory format of a plan's networks on a GPU, chosen from trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ArithmeticTrial", "choose_arithmetic"]


_LEAST_DB = 50.0
"""PSNR against fp32 on the CPU; rounding to integers alone gives 59 dB at 8 bits."""
_CLEARLY_FASTER = 0.9
"""Share of the default's time. Choices must not change with the noise of a timing, because chunks with other
bits can't be joined."""


@dataclass(frozen=True)
class ArithmeticTrial:
    """A precision and memory format that were tried."""

    precision: str
    """fp16, bf16 or fp32."""
    memory_format: str
    """nhwc or nchw."""
    seconds: float
    """Seconds per tile; infinite if a tile of the plan's size does not fit into the device's memory."""
    decibels: float
    """PSNR against fp32 on the CPU; 0 if the device can't compute it."""


def choose_arithmetic(trials: Sequence[ArithmeticTrial]) -> ArithmeticTrial | None:
    """The first correct trial, which is the default, unless another one is clearly faster.

    None if none is correct.
    """
    right = [t for t in trials if t.decibels >= _LEAST_DB and t.seconds > 0]
    if not right:
        return None
    fastest = min(right, key=lambda t: t.seconds)
    return fastest if fastest.seconds < _CLEARLY_FASTER * right[0].seconds else right[0]
