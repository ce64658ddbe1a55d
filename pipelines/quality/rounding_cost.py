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
from pipelines.quality.evaluation_items import EvaluationSource

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from models.network import LoadedNetwork

__all__ = ["RoundingCost", "ramps_db", "rounding_cost"]


_RAMPS = ((512, 0.0), (128, 0.0), (32, 0.0), (8, 0.0), (60, 0.5), (300, 1.0))
"""Rise of each ramp over its side, in 10-bit samples, and its share downwards, squared."""
_RAMP_PX = 256


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
    _refuse_inexact()
    scale = network.contract.scale
    ways = [FusedNetwork(network, 8, full=False, dtype=dtype) for dtype in (torch.uint8, torch.float32)]
    costs, near = [], []
    for source in sources:
        for item in EvaluationSource.read(source, limit=limit, frames=1).items(scale, "clean"):
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
            ours, theirs = (metrics.crop_border(r, scale) for r in (*results,))
            real = metrics.crop_border(truth, scale)
            costs.append(metrics.psnr(theirs[0], real[0]) - metrics.psnr(ours[0], real[0]))
            near.append(float((ours - theirs).square().mean()))
    if not costs:
        raise UsageError("there is nothing to judge by: no picture and no video")
    error = float(np.mean(near))
    return RoundingCost(
        float(np.mean(costs)), 10 * math.log10(255**2 / error) if error else math.inf, len(costs)
    )


@torch.inference_mode()
def ramps_db(network: LoadedNetwork) -> float:
    """PSNR of the integer result against the fp32 result on smooth ramps of 10 bits, the least of several.

    The result is at most 99. Raises UsageError if this CPU has no exact integer sums.
    """
    _refuse_inexact()
    y, x = np.mgrid[0:_RAMP_PX, 0:_RAMP_PX] / _RAMP_PX
    neutral, least = np.full((_RAMP_PX // 2,) * 2, 512, np.uint16), 99.0
    ways = [FusedNetwork(network, 10, full=False, dtype=dtype) for dtype in (torch.uint8, torch.float32)]
    for rise, down in _RAMPS:
        luma = (300 + rise * ((1 - down) * x + down * y * y)).round().astype(np.uint16)
        codes = SampleValues(luma[None], np.stack([neutral] * 2)[None], 10)
        ours, theirs = (_luma(way, codes, network.contract.scale).astype(np.float64) for way in ways)
        error = float(np.square(ours - theirs).mean()) / 16
        least = min(least, 10 * math.log10(255**2 / error) if error else math.inf)
    return least


def _refuse_inexact() -> None:
    if not int8_is_exact():
        raise UsageError(
            "what 8-bit integers cost is measured on a CPU with VNNI, AMX or their like, and this one has"
            " none of them"
        )


def _luma(way: FusedNetwork, codes: SampleValues, scale: int) -> np.ndarray:
    """Luma of the first frame with a given implementation of a network."""
    planes = [np.ascontiguousarray(p) for p in (codes.luma[0], *codes.chroma[0])]
    height, width = planes[0].shape
    made = [np.empty((p.shape[0] * scale, p.shape[1] * scale), p.dtype) for p in planes]
    with torch.inference_mode():
        way.run([planes], None, planes, Tile(0, height, 0, width, 0, height, 0, width), made)
    return made[0]
