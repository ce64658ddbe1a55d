"""`Contract`, what a network demands and promises, and `LoadedNetwork`, a network with its contract
and card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor

__all__ = ["Contract", "LoadedNetwork", "Network", "Planes", "State"]


Planes = tuple[Tensor, Tensor]
"""Luma (B,1,H,W) and chroma (B,2,h,w): luma 0..1 = nominal black..white, chroma -0.5..0.5, not clamped."""

State = Tensor | None
"""Hidden state of a recurrent network, (B,C,h,w); None at the start and after a scene cut."""


@dataclass(frozen=True)
class Contract:
    """What a network demands of its input and promises of its output."""

    scale: int
    """Output pixels per input pixel and axis."""
    pixels: Literal["yuv420", "rgb"]
    """What it eats: luma and quarter-size, left-sited chroma, or (B,3,H,W) R'G'B'."""
    past: int = 0
    """Frames before the current one that it looks at."""
    future: int = 0
    """Frames after the current one that it looks at."""
    recurrent: bool = False
    """Takes and hands on a hidden state."""
    halo_px: int | None = 0
    """Input pixels around a tile that influence it; None: sees the whole frame and is never tiled."""
    size_multiple: int = 1
    """What height and width must divide by; the caller pads by reflection and crops."""
    kernel: str = "lanczos"
    """The classical kernel for what the network leaves alone (full-size chroma, alpha)."""
    placed: bool = False
    """Wants to know where its input lies in the frame: called with `at=(top, left)`, in luma pixels."""
    low_precision: bool = True
    """May run in bf16 or fp16: measured at 50 dB or more from its fp32 result."""
    deep_low_precision: bool = True
    """The same where more than 8 bits are at stake: at 60 dB or more."""
    recordable: bool = True
    """All of it runs in torch, so that a CUDA graph can hold it."""

    def low_precision_at(self, bits: int) -> bool:
        """Whether it may run in bf16 or fp16 where codes have so many bits."""
        return self.low_precision and (self.deep_low_precision or bits <= 8)

    @property
    def temporal(self) -> bool:
        """Looks at more than the frame itself."""
        return self.recurrent or bool(self.past or self.future)


class Network(Protocol):
    """A network: its contract, and a call on tensors of the kind the contract names."""

    contract: Contract

    def __call__(self, x: Planes) -> Planes:
        """Upscale a batch."""
        ...


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network ready to run, with its name and where it came from."""

    name: str
    module: Network
    contract: Contract
    sha256: str = ""
    """Hash of the weights file; empty for networks without weights."""
    card: dict[str, object] = field(default_factory=dict)
    int8: Mapping[str, Tensor] = field(default_factory=dict)
    """Its layers on 8-bit integers, as `models.layers.int8.read_layers` reads them; empty where it has
    none."""

    @property
    def classical(self) -> bool:
        """A classical scaler: no weights, any subsampling, any siting."""
        return not self.sha256 and self.contract.halo_px is None
