"""Events of a training, as values, and the interface between its processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["GradientExchange", "Stepped", "Stepping", "Trained", "Validated"]


@dataclass(frozen=True)
class Stepped:
    """Event: so many steps are done."""

    step: int
    steps: int
    loss: float
    """Mean since the last of these events."""
    steps_per_second: float


@dataclass(frozen=True)
class Stepping:
    """Event: so many steps are done; about once a second, to show that training goes on."""

    step: int
    steps: int


@dataclass(frozen=True)
class Validated:
    """Event: the average weights were scored on held-out shots."""

    step: int
    scores: dict[str, float]
    """PSNR-Y in dB of all pairs ("psnr"), and gains over Lanczos: "gain", "gain_clean", "gain_degraded"."""
    best: bool
    """Whether these weights are the best so far."""
    shipped: str = ""
    """The shipped network of this architecture and size; empty if there is none."""
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
    """Gain over the shipped network, as in `Validated`."""
    init: str = ""
    """The network that training started from; empty for random weights."""
    last_step: int = 0
    """The last step of the training; `step`, whose weights are the best, may be earlier."""


class GradientExchange(Protocol):
    """Processes that train together."""

    number: int
    count: int

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace the tensors by their means over all processes; every process calls it in the same order."""
        ...
