"""`tiles_of`: the tiles of a stage. `resizer_of`: the second stage, between integer planes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipelines.media.cicp import SITING_OFFSETS, Siting
from pipelines.media.pixel_format import PixelCrop
from pipelines.plan.tiling import cut_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.network import LoadedNetwork
    from pipelines.frames.plane_resizer import PlaneResizer
    from pipelines.plan.plan import Plan
    from pipelines.plan.tiling import Tile

__all__ = ["resizer_of", "tiles_of"]


def _bars_of(plan: Plan, network: LoadedNetwork, size: tuple[int, int]) -> PixelCrop:
    """The plan's bars in a stage's input of that (height, width), as far as the network can skip them."""
    contract, bars = network.contract, plan.bars
    factor = size[0] // plan.height
    if (
        not bars
        or contract.temporal
        or contract.halo_px is None
        or size != (plan.height * factor, plan.width * factor)
    ):
        return PixelCrop()
    return PixelCrop(bars.top * factor, bars.bottom * factor, bars.left * factor, bars.right * factor)


def tiles_of(plan: Plan, network: LoadedNetwork, size: tuple[int, int]) -> list[Tile]:
    """Tiles of a stage's input of that (height, width), a multiple of the network's size multiple.

    One tile if the network needs the whole frame.
    """
    contract = network.contract
    tile = size if contract.halo_px is None else plan.tile_px
    return list(
        cut_tiles(size, tile, contract.halo_px or 0, contract.size_multiple, _bars_of(plan, network, size))
    )


def resizer_of(plan: Plan, networks: Sequence[LoadedNetwork]) -> PlaneResizer | None:
    """The classical scaler after the networks, between 4:2:0 planes (`Plan.is_direct`), or None."""
    *before, scaler = networks
    if not before or not scaler.classical:
        return None
    from pipelines.frames.plane_resizer import PlaneResizer  # numba: a tenth of a second to load

    scale = math.prod(network.contract.scale for network in before)
    size = plan.height * scale, plan.width * scale
    target = scaler.module.reaches(size)  # type: ignore[attr-defined]
    offset = SITING_OFFSETS[Siting(plan.color.siting)]
    return PlaneResizer(size, target, scaler.contract.kernel, plan.pixels.bits, offset)
