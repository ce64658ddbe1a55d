"""Events of a training, as values, and what its processes agree by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["GradientExchange", "Stepped", "Trained", "Validated"]


@dataclass(frozen=True)
class Stepped:
    """Event: so many steps are done."""

    step: int
    steps: int
    loss: float
    """Mean since the last of these events."""
    steps_per_second: float


@dataclass(frozen=True)
class Validated:
    """Event: the average weights were judged on held-out shots."""

    step: int
    scores: dict[str, float]
    """PSNR-Y in dB of all pairs ("psnr"), and gains over Lanczos: "gain", "gain_clean", "gain_degraded"."""
    best: bool
    """These weights are the result so far."""
    shipped: str = ""
    """The network of this architecture and size that comes with vsr; empty where there is none."""
    over_shipped: float | None = None
    """PSNR-Y in dB above it, on the same pairs."""


@dataclass(frozen=True)
class Trained:
    """Event: the best weights are written."""

    weights: str
    step: int
    scores: dict[str, float]
    seconds: float
    shipped: str = ""
    over_shipped: float | None = None
    """As in `Validated`."""


class GradientExchange(Protocol):
    """Processes that train together."""

    number: int
    count: int

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all peers into the tensors; every peer calls it in the same order."""
        ...
