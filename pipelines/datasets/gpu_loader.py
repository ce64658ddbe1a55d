"""`ResidentPairs`: all pairs of a data set in a device's memory, where batches are cut.

A GPU finishes a step of a small network before a CPU has cut, converted and sent the next batch; data sets of
small networks are small too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.frames.color_conversion import as_tensor, codes_to_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from models.network import Planes
    from pipelines.datasets.shards import Pair, Shards
    from pipelines.frames.sample_values import SampleValues

__all__ = ["ResidentPairs", "SampleCrop"]


_SHARE = 0.5
"""Share of the free memory; the rest is for the network."""


@dataclass(frozen=True)
class SampleCrop:
    """A crop of a pair; positions refer to the low-resolution clip."""

    pair: int
    top: int
    """Even, as is `left`."""
    left: int
    start: int
    """The first frame."""
    flipped: bool
    """Upside down."""
    backwards: bool


@dataclass(frozen=True, eq=False)
class _Clips:
    """One side of all pairs: luma (N,T,H,W) and chroma (N,T,2,H/2,W/2) as integers."""

    luma: Tensor
    chroma: Tensor
    bits: int

    def cut(self, crops: Tensor, frames: int, side: int, factor: int) -> Planes:
        """Cut values, with T as the fastest index.

        crops: (6,B), the fields of `SampleCrop`. side: side of the crop in the clips that are cut. factor:
        their size relative to the low-resolution clips.
        """
        pair, top, left, start, flipped, backwards = crops
        time = torch.arange(frames, device=pair.device)
        time = start[:, None] + torch.where(backwards[:, None] > 0, frames - 1 - time, time)
        planes = []
        for codes, half in ((self.luma[:, :, None], 1), (self.chroma, 2)):
            line = torch.arange(side // half, device=pair.device)
            rows = top[:, None] * factor // half + torch.where(
                flipped[:, None] > 0, side // half - 1 - line, line
            )
            columns = left[:, None] * factor // half + line
            channels = torch.arange(codes.shape[2], device=pair.device)[:, None, None]
            # Each with the axes (B,T,C,H,W) it goes along.
            index = (
                pair[:, None, None, None, None],
                time[:, :, None, None, None],
                channels,
                rows[:, None, None, :, None],
                columns[:, None, None, None],
            )
            planes.append(
                codes_to_values(codes[index].flatten(0, 1), self.bits, full=False, chroma=half == 2)
            )
        return planes[0], planes[1]


class ResidentPairs:
    """The pairs of `shards` on a device."""

    def __init__(self, shards: Shards, device: torch.device) -> None:
        """Raise MediaError for damage. The pairs must have one size (`have_equal_sizes`)."""
        self._device, self._scale = device, shards.scale
        self._low = _gathered(shards, lambda pair: pair.low, shards.bits, device)
        self._truth = _gathered(shards, lambda pair: pair.truth, shards.bits, device)

    @staticmethod
    def fit(shards: Shards, device: torch.device) -> bool:
        """Whether all pairs have one size and leave enough of a CUDA device's memory for the network."""
        if device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(device)
        # memory that this process no longer uses
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return have_equal_sizes(shards) and size_bytes(shards) <= _SHARE * (free + kept)

    def cut(self, crops: Sequence[SampleCrop], frames: int, truth_px: int) -> tuple[Planes, Planes]:
        """(low, truth) of a batch, as in `batch_loader.Batch`."""
        fields = np.array(
            [[c.pair, c.top, c.left, c.start, c.flipped, c.backwards] for c in crops], np.int64
        ).T
        there = torch.from_numpy(np.ascontiguousarray(fields)).to(self._device, non_blocking=True)
        return self._low.cut(there, frames, truth_px // self._scale, 1), self._truth.cut(
            there, frames, truth_px, self._scale
        )


def have_equal_sizes(shards: Shards) -> bool:
    """Whether all pairs have the same size and length."""
    return (
        len({(*r["low_size"], *r["truth_size"], r["frames"]) for r in map(shards.record, range(len(shards)))})
        == 1
    )


def size_bytes(shards: Shards) -> int:
    """Size of all pairs in bytes, if each is stored at the largest bit depth that occurs."""
    records = [shards.record(n) for n in range(len(shards))]
    sample = 2 if shards.bits > 8 else 1
    return sum(
        (int(np.prod(r["low_size"])) + int(np.prod(r["truth_size"]))) * r["frames"] * 3 // 2 * sample
        for r in records
    )


def _gathered(
    shards: Shards, side: Callable[[Pair], SampleValues], bits: int, device: torch.device
) -> _Clips:
    """8-bit values next to deeper ones are shifted, which is exact."""
    first = side(shards[0])
    dtype = torch.uint8 if bits == 8 else torch.int16
    luma = torch.empty((len(shards), *first.luma.shape), dtype=dtype, device=device)
    chroma = torch.empty((len(shards), *first.chroma.shape), dtype=dtype, device=device)
    for number in range(len(shards)):
        codes = side(shards[number])
        for store, plane in ((luma, codes.luma), (chroma, codes.chroma)):
            deep = plane if bits == 8 else plane.astype(np.uint16) << (bits - codes.bits)
            store[number].copy_(as_tensor(deep))
    return _Clips(luma, chroma, bits)
