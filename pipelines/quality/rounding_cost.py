"""`rounding_cost`: loss of a network on 8-bit integers, against ground truth and against fp32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UsageError
from models.layers.int8 import int8_is_exact
from pipelines.frames.sample_values import SampleValues, from_values
from pipelines.inference.fused_cpu import FusedNetwork
from pipelines.plan.tiling import Tile
from pipelines.quality import metrics
from pipelines.quality.evaluation_items import Material

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from models.network import LoadedNetwork

__all__ = ["RoundingCost", "rounding_cost"]


@dataclass(frozen=True)
class RoundingCost:
    """Means over images and clips, of luma after rounding to integers."""

    cost_db: float
    """PSNR against ground truth in fp32, minus that on integers."""
    near_db: float
    """PSNR of the integer result against the fp32 result."""
    count: int


def rounding_cost(network: LoadedNetwork, sources: Iterable[Path], *, limit: int = 0) -> RoundingCost:
    """Compare both on images and clips downscaled by the network's scale.

    For a clip, its first frame is used. limit: of images or clips of a source; 0: all. Raises UsageError if
    this CPU has no exact integer sums, or there is no material.
    """
    if not int8_is_exact():
        raise UsageError(
            "what 8-bit integers cost is measured on a CPU with VNNI, AMX or their like, and this one has"
            " none of them"
        )
    scale = network.contract.scale
    ways = [FusedNetwork(network, 8, full=False, dtype=dtype) for dtype in (torch.uint8, torch.float32)]
    costs, near = [], []
    for source in sources:
        for item in Material.read(source, limit=limit, frames=1).items(scale, "clean"):
            low = (
                item.low
                if isinstance(item.low, SampleValues) and item.low.bits == 8
                else from_values(item.low_planes, 8)
            )
            truth = item.truth_planes[0][:1, 0] * 219 + 16
            height, width = truth.shape[-2:]
            results = [
                torch.from_numpy(_luma(way, low, scale)[None, :height, :width]).float() for way in ways
            ]
            ours, theirs = (metrics.trim(r, scale) for r in (*results,))
            real = metrics.trim(truth, scale)
            costs.append(metrics.psnr(theirs[0], real[0]) - metrics.psnr(ours[0], real[0]))
            near.append(float((ours - theirs).square().mean()))
    if not costs:
        raise UsageError("there is nothing to judge by: no picture and no video")
    error = float(np.mean(near))
    return RoundingCost(
        float(np.mean(costs)), 10 * math.log10(255**2 / error) if error else math.inf, len(costs)
    )


def _luma(way: FusedNetwork, codes: SampleValues, scale: int) -> np.ndarray:
    """Luma of the first frame with a given implementation of a network."""
    planes = [np.ascontiguousarray(p) for p in (codes.luma[0], *codes.chroma[0])]
    height, width = planes[0].shape
    made = [np.empty((p.shape[0] * scale, p.shape[1] * scale), np.uint8) for p in planes]
    with torch.inference_mode():
        way.run([planes], None, planes, Tile(0, height, 0, width, 0, height, 0, width), made)
    return made[0]
