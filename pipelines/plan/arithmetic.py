"""How the networks of a plan are computed on a GPU: `choose_arithmetic`, by what trials on it have shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ArithmeticTrial", "choose_arithmetic"]


_LEAST_DB = 50.0
"""PSNR against fp32 on the CPU; rounding to whole codes alone leaves 59 dB at 8 bits."""
_CLEARLY_FASTER = 0.9
"""Share of the usual one's time: choices must not change with the noise of a timing, for chunks of other bits
are not joined."""


@dataclass(frozen=True)
class ArithmeticTrial:
    """A precision and an order of values that were tried."""

    precision: str
    """fp16, bf16 or fp32."""
    memory_format: str
    """nhwc or nchw."""
    seconds: float
    """A tile."""
    decibels: float
    """PSNR against fp32 on the CPU."""


def choose_arithmetic(trials: Sequence[ArithmeticTrial]) -> ArithmeticTrial | None:
    """The first that is right, which is the usual one, unless another is clearly faster.

    None where none is right.
    """
    right = [t for t in trials if t.decibels >= _LEAST_DB and t.seconds > 0]
    if not right:
        return None
    fastest = min(right, key=lambda t: t.seconds)
    return fastest if fastest.seconds < _CLEARLY_FASTER * right[0].seconds else right[0]
