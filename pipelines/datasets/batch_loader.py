"""`BatchLoader`: batches of random crops of a data set, determined by seed and step number."""

from __future__ import annotations

import functools
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UsageError
from pipelines.datasets.gpu_loader import SampleCrop
from pipelines.frames import color_conversion
from pipelines.frames.sample_values import oriented

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from models.network import Planes
    from pipelines.datasets.gpu_loader import ResidentPairs
    from pipelines.datasets.shards import Shards
    from pipelines.frames.sample_values import SampleValues

__all__ = ["Batch", "BatchLoader", "BatchSettings"]


_AHEAD = 3
_ALIKE = 0.01
"""Share of all pairs that count as similar in their level."""


@dataclass(frozen=True)
class BatchSettings:
    """The content of a training step."""

    pairs: int = 32
    truth_px: int = 128
    """Side of the ground truth; must be divisible by twice the scale."""
    frames: int = 1
    """Frames of each clip; pairs may have more."""
    orientations: int = 2
    """2: as stored and upside down, which is exact for left-sited chroma. 8: all flips and rotations, with
    chroma resampled where necessary; for data that was not rotated when it was made."""
    reverse: bool = True
    """Play half of the clips backwards."""
    levels: int = 0
    """Number of equal parts of a batch with pairs of similar restoration level, for networks conditioned on
    it; 0: no parts."""

    def __post_init__(self) -> None:
        if self.levels < 0 or (self.levels and self.pairs % self.levels):
            raise UsageError(
                f"batch.levels = {self.levels}: expected a number that divides batch.pairs = {self.pairs}"
            )
        if self.orientations not in {1, 2, 8}:
            raise UsageError(f"batch.orientations = {self.orientations}: expected 1, 2 or 8")
        if self.pairs < 1 or self.frames < 1:
            raise UsageError("batch.pairs and batch.frames: expected at least 1")


@dataclass(frozen=True, eq=False)
class Batch:
    """Input clips and ground truth: luma (B·T,1,H,W) 0..1, chroma (B·T,2,H/2,W/2) -0.5..0.5, float32.

    T is the fastest index.
    """

    low: Planes
    truth: Planes
    frames: int
    levels: Tensor | None = None
    """(G,) restoration levels of the equal parts of the batch, in order."""
    target: Tensor | None = None
    """Target of a network that adds a residual to a classical upscale, in the layout of its last layer."""

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        low, truth = (
            (p[0].to(device, non_blocking=True), p[1].to(device, non_blocking=True))
            for p in (self.low, self.truth)
        )
        levels, target = (
            None if t is None else t.to(device, non_blocking=True) for t in (self.levels, self.target)
        )
        return Batch(low, truth, self.frames, levels, target)


class BatchLoader:
    """Batches by step number: pairs, crops and flips depend on (seed, step) alone."""

    def __init__(
        self,
        shards: Shards,
        settings: BatchSettings,
        seed: int,
        *,
        share: tuple[int, int] = (0, 1),
        resident: ResidentPairs | None = None,
    ) -> None:
        """share: (number, count) of the equal parts of every batch, for processes that train together.

        resident: the same pairs on a device, where batches are then cut. Raises UsageError if the pairs are
        smaller or shorter than a batch needs, or can't be divided.
        """
        self._shards, self._settings, self._seed, self._resident = shards, settings, seed, resident
        if settings.pairs % share[1]:
            raise UsageError(
                f"batch.pairs = {settings.pairs}: can't be shared out among {share[1]} workers; choose a"
                " multiple"
            )
        own = settings.pairs // share[1]
        if settings.levels and settings.levels % share[1]:
            raise UsageError(
                f"batch.levels = {settings.levels}: can't be shared out among {share[1]} workers; choose a"
                " multiple"
            )
        parts = settings.levels // share[1]
        self._own_levels = slice(share[0] * parts, (share[0] + 1) * parts)
        self._own = slice(share[0] * own, (share[0] + 1) * own)
        scale, side = shards.scale, settings.truth_px
        if side % (2 * scale):
            raise UsageError(f"batch.truth_px = {side}: expected a multiple of {2 * scale} (twice the scale)")
        for folder, number in shards.firsts.items():  # the pairs of one data set are all of one size
            first = shards.record(number)
            if min(first["truth_size"]) < side or first["frames"] < settings.frames:
                have = f"{first['truth_size'][1]}x{first['truth_size'][0]}, {first['frames']} frame(s)"
                raise UsageError(
                    f"{folder}: its pairs are {have}; a batch needs {side}x{side}, {settings.frames}"
                    " frame(s): make a larger one"
                )

    @functools.cached_property
    def _by_level(self) -> tuple[np.ndarray, np.ndarray]:
        """(levels of all pairs, ascending; their numbers). Raises UsageError if a pair has none."""
        records = [self._shards.record(n) for n in range(len(self._shards))]
        if any("level" not in r for r in records):
            raise UsageError(
                "batch.levels: the pairs have no restoration level; make a data set with degrade.levels"
                " (configs/dataset/real.toml)"
            )
        levels = np.array([r["level"] for r in records], np.float32)
        order = np.argsort(levels, kind="stable")
        return levels[order], order

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        settings = self._settings
        crops, turn, levels = self._drawn(step)
        if self._resident is not None:
            low, truth = self._resident.cut(crops, settings.frames, settings.truth_px)
        else:
            cut = [self._cut(crop) for crop in crops]
            low, truth = (
                _stack([c[0] for c in cut], self._shards.bits),
                _stack([c[1] for c in cut], self._shards.bits),
            )
        if settings.orientations == 8:
            # One turn for the batch; flipping up and down was drawn for each pair already.
            low, truth = oriented(low, turn & 5), oriented(truth, turn & 5)
        return Batch(low, truth, settings.frames, levels)

    def _chosen(self, rng: np.random.Generator) -> tuple[list[int], Tensor | None]:
        """Pairs of a batch, and the restoration level of each of its parts.

        Every level is equally frequent, whatever the distribution of the pairs.
        """
        settings = self._settings
        if not settings.levels:
            return rng.integers(len(self._shards), size=settings.pairs).tolist(), None
        levels, order = self._by_level
        size = min(len(order), max(settings.pairs // settings.levels, round(_ALIKE * len(order))))
        chosen: list[int] = []
        means = []
        for wanted in rng.random(settings.levels):
            first = min(max(int(np.searchsorted(levels, wanted)) - size // 2, 0), len(order) - size)
            part = first + rng.integers(size, size=settings.pairs // settings.levels)
            chosen += order[part].tolist()
            means.append(float(levels[part].mean()))
        return chosen, torch.tensor(means)[self._own_levels]

    def _drawn(self, step: int) -> tuple[list[SampleCrop], int, Tensor | None]:
        """Crops of this process's part of a batch, orientation of the batch, and the levels of its parts."""
        settings, shards = self._settings, self._shards
        rng = np.random.Generator(np.random.Philox(key=[self._seed, step]))
        chosen, levels = self._chosen(rng)
        flips, reversals = rng.random(settings.pairs) < 0.5, rng.random(settings.pairs) < 0.5
        turn = int(rng.integers(8))
        side = settings.truth_px // shards.scale
        crops = []
        for index, flip, backwards in zip(chosen, flips.tolist(), reversals.tolist(), strict=True):
            record = shards.record(index)
            top, left = (int(rng.integers((extent - side) // 2 + 1)) * 2 for extent in record["low_size"])
            start = int(rng.integers(record["frames"] - settings.frames + 1))
            flipped = flip and settings.orientations > 1
            crops.append(
                SampleCrop(
                    index, top, left, start, flipped, backwards and settings.reverse and settings.frames > 1
                )
            )
        return crops[self._own], turn, levels

    def _cut(self, crop: SampleCrop) -> tuple[SampleValues, SampleValues]:
        """A crop of a pair in space and time, as views."""
        settings, scale = self._settings, self._shards.scale
        pair, side = self._shards[crop.pair], settings.truth_px // scale
        step = slice(crop.start, crop.start + settings.frames)
        low = pair.low.frames(step).crop(crop.top, crop.left, side, side)
        truth = pair.truth.frames(step).crop(crop.top * scale, crop.left * scale, side * scale, side * scale)
        return _turned(low, crop.flipped, crop.backwards), _turned(truth, crop.flipped, crop.backwards)

    def leave_device(self) -> bool:
        """Cut batches from the files from now on, with the same values.

        Returns whether they were cut on a device.
        """
        was, self._resident = self._resident is not None, None
        return was

    def batches(self, start: int, stop: int, prepare: Callable[[Batch], Batch]) -> Iterator[Batch]:
        """Batches of steps `start` to `stop`, prepared.

        They are cut on the device, or a few steps ahead in a thread.
        """
        if self._resident is None:
            yield from self._prefetched(start, stop, prepare)
            return
        for step in range(start, stop):
            yield prepare(self.batch(step))

    def _prefetched(self, start: int, stop: int, prepare: Callable[[Batch], Batch]) -> Iterator[Batch]:
        """Make and prepare a few batches ahead, in a separate thread."""
        ready: queue.Queue[Batch | BaseException] = queue.Queue(_AHEAD)
        halt = threading.Event()

        def offer(item: Batch | BaseException) -> None:
            while not halt.is_set():
                try:
                    ready.put(item, timeout=0.2)
                except queue.Full:
                    continue
                return

        def work() -> None:
            try:
                for step in range(start, stop):
                    if halt.is_set():
                        return
                    offer(prepare(self.batch(step)))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for the batch
                offer(error)

        thread = threading.Thread(target=work, name="loader", daemon=True)
        thread.start()
        try:
            for _ in range(start, stop):
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            halt.set()
            thread.join()


def _turned(codes: SampleValues, flip: bool, backwards: bool) -> SampleValues:
    time, down = slice(None, None, -1 if backwards else 1), slice(None, None, -1 if flip else 1)
    return type(codes)(codes.luma[time, down], codes.chroma[time, :, down], codes.bits)


def _stack(clips: list[SampleValues], bits: int) -> Planes:
    """Clips -> float planes with B·T in front. bits: the largest bit depth of the data set.

    8-bit values are shifted to ten bits, which is exact.
    """
    dtype = np.uint8 if bits == 8 else np.uint16
    frames, height, width = clips[0].luma.shape
    luma = np.empty((len(clips), frames, height, width), dtype)
    chroma = np.empty((len(clips), frames, 2, height // 2, width // 2), dtype)
    for number, clip in enumerate(clips):
        luma[number], chroma[number] = clip.luma, clip.chroma
        if clip.bits < bits:
            luma[number] <<= bits - clip.bits
            chroma[number] <<= bits - clip.bits
    flat = (luma.reshape(-1, 1, height, width), chroma.reshape(-1, 2, height // 2, width // 2))
    return color_conversion.to_float(flat[0], bits, full=False, chroma=False), color_conversion.to_float(
        flat[1], bits, full=False, chroma=True
    )
