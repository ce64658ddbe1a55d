"""`offers`: networks of the model index that could be downloaded, with their expected cost.

The cost is estimated from their compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.catalog.model_index import IndexEntry
    from pipelines.diagnostics.preview import Preview

__all__ = ["Offer", "offers"]


_BYTES_A_PIXEL = 3 * 4
"""R'G'B' in fp32."""


@dataclass(frozen=True)
class Offer:
    """A network that could be downloaded."""

    entry: IndexEntry
    gflop: float
    """Per frame of the film."""
    fps: float | None
    """Expected in a run here: scaled from a network that was tried; None if only classical ones were."""
    memory_bytes: int
    """Lower bound: the weights, and a frame before and after in fp32; feature maps come on top."""


def offers(preview: Preview, entries: Sequence[IndexEntry]) -> list[Offer]:
    """Expected cost of each network for the film of a preview."""
    plan = preview.planned.plan
    tried = max(preview.choices, key=lambda c: c.gflop)
    found = []
    for entry in entries:
        width, height, gflop = plan.width, plan.height, 0.0
        while True:
            gflop += entry.gflop_per_megapixel * width * height / 1e6
            before, width, height = (width, height), width * entry.scale, height * entry.scale
            if entry.scale == 1 or width >= plan.out_width or height >= plan.out_height:
                break
        # Stages overlap: the slowest one sets the pace.
        fps = 1 / max(1 / tried.fps, tried.network_seconds * gflop / tried.gflop) if tried.gflop else None
        memory = entry.bytes + _BYTES_A_PIXEL * (before[0] * before[1] + width * height)
        found.append(Offer(entry, gflop, fps, memory))
    return found
