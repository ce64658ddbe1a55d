"""`Contract`, the requirements and properties of a network, and `LoadedNetwork`, a network ready to run."""

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
    """Input: luma and quarter-size, left-sited chroma, or (B,3,H,W) R'G'B'."""
    past: int = 0
    """Number of frames before the current one that it uses."""
    future: int = 0
    """Number of frames after the current one that it uses."""
    recurrent: bool = False
    """Takes a hidden state and returns the next one."""
    halo_px: int | None = 0
    """Input pixels around a tile that influence it; None: uses the whole frame and is never tiled."""
    size_multiple: int = 1
    """Height and width must be divisible by it; the caller pads by reflection and crops."""
    kernel: str = "lanczos"
    """The classical kernel for planes that the network doesn't process (full-size chroma, alpha)."""
    placed: bool = False
    """Needs the position of its input in the frame: called with `at=(top, left)`, in luma pixels."""
    low_precision: bool = True
    """May run in bf16 or fp16: measured at 50 dB or more against its fp32 result."""
    deep_low_precision: bool = True
    """May do so for more than 8 bits: measured at 60 dB or more."""
    recordable: bool = True
    """Runs completely in torch, so a CUDA graph can record it."""

    def low_precision_at(self, bits: int) -> bool:
        """Whether the network may run in bf16 or fp16 if its samples have that bit depth."""
        return self.low_precision and (self.deep_low_precision or bits <= 8)

    @property
    def temporal(self) -> bool:
        """Whether the network uses other frames than the current one."""
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
    """The layers on 8-bit integers, as read by `models.layers.int8.read_layers`; empty if the network has
    none."""

    @property
    def classical(self) -> bool:
        """Whether the network is a classical scaler: no weights, any subsampling, any siting."""
        return not self.sha256 and self.contract.halo_px is None
