"""`EvaluationSource`: images, clips and pairs for scoring, downscaled or degraded, as `EvaluationItem`s.

How they are made is part of the protocol of `evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UsageError
from models.layers.resampling import resample
from pipelines.datasets.degradation import read_case
from pipelines.datasets.degrading import degrade
from pipelines.datasets.shards import Shards, is_dataset
from pipelines.frames.film_frames import frames_at
from pipelines.frames.sample_values import SampleValues, from_values, rgb_to_planes, to_values
from pipelines.frames.video_reader import VideoReader
from pipelines.media.file_types import find_inputs
from pipelines.plan.chunking import frame_range
from pipelines.probe.probe import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.network import Planes
    from pipelines.media.video_info import VideoInfo

__all__ = ["EvaluationItem", "EvaluationSource"]


@dataclass(frozen=True, eq=False)
class EvaluationItem:
    """One image or clip for scoring."""

    name: str
    low: SampleValues | Planes
    """Input; images as float planes of 8-bit R'G'B', which have no 4:2:0 integers."""
    truth: SampleValues | Planes
    low_rgb: torch.Tensor | None = None
    """(1,3,h,w) 8-bit R'G'B' of an image, as floats."""
    matrix: int = 5
    rate: float = 25.0
    is_video: bool = False

    @property
    def low_planes(self) -> Planes:
        """Input as float planes."""
        return to_values(self.low) if isinstance(self.low, SampleValues) else self.low

    @property
    def truth_planes(self) -> Planes:
        """Ground truth as float planes."""
        return to_values(self.truth) if isinstance(self.truth, SampleValues) else self.truth


@dataclass(frozen=True, eq=False)
class EvaluationSource:
    """Material for scoring from one place."""

    source: Path
    films: list[tuple[VideoInfo, int, int]] = field(default_factory=list)
    """Images and videos, and which frames [start, stop) of them."""
    pairs: Shards | None = None
    """The pairs of a data set."""
    count: int = 0
    """Number of pairs that are used."""
    notes: tuple[str, ...] = ()
    """Messages about skipped files."""

    @classmethod
    def read(
        cls, source: Path, *, limit: int = 0, frames: int = 48, range_: str | None = None
    ) -> EvaluationSource:
        """Examine files and shards, without decoding any.

        limit: most images or clips; 0: all. frames: most frames of a video. range_: the part of a video from
        which they are taken. Raises the errors of probing, and UsageError for a range without frames.
        """
        if is_dataset(source):
            pairs = Shards([source], "validation")
            return cls(source, pairs=pairs, count=len(range(len(pairs))[: limit or None]))
        films, notes = [], []
        for info in map(probe, find_inputs([source])[: limit or None]):
            start, stop = (0, 1) if info.is_picture else frame_range(info, range_)
            films.append((info, start, min(stop, start + frames)))
            if stop - start > frames:
                notes.append(
                    f"{info.path}: {frames} of {stop - start} frames are judged; --frames {stop - start}"
                    " takes all, --range others"
                )
        return cls(source, films, notes=tuple(notes))

    def work(self) -> float:
        """Millions of luma samples of the ground truth."""
        films = sum((stop - start) * info.width * info.height for info, start, stop in self.films)
        return (
            films
            + (self.count * self.pairs[0].truth.luma[0].size if self.pairs is not None and self.count else 0)
        ) / 1e6

    def frames(self) -> int:
        """Total number of frames, a pair of a data set counted as one."""
        return self.count + sum(stop - start for _, start, stop in self.films)

    @property
    def has_videos(self) -> bool:
        """Whether there are videos, not only images."""
        return any(not info.is_picture for info, _, _ in self.films)

    def items(self, scale: int, case: str, *, pictures: bool = True) -> Iterator[EvaluationItem]:
        """Yield the items one by one.

        pictures: include images. Raises UsageError for a data set with another scale.
        """
        if self.pairs is not None:
            yield from _dataset_items(self.source, self.pairs, self.count, scale)
        for info, start, stop in self.films:
            if info.is_picture and not pictures:
                continue
            reader = VideoReader(info)
            yield (
                _picture_item(reader, scale, case)
                if info.is_picture
                else _video_item(reader, scale, case, (start, stop))
            )


def _picture_item(reader: VideoReader, scale: int, case: str) -> EvaluationItem:
    name = Path(reader.info.path).stem
    frame = next(reader.frames())
    rgb = reader.rgb(frame)
    step = 2 * scale if case != "clean" else scale
    rgb = (rgb[..., : rgb.shape[-2] // step * step, : rgb.shape[-1] // step * step] * 255).round() / 255
    luma = 0.299 * rgb[:, :1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:]
    planes = rgb_to_planes(rgb[..., : rgb.shape[-2] // 2 * 2, : rgb.shape[-1] // 2 * 2])
    truth = (luma, planes[1])
    if case != "clean":
        return EvaluationItem(name, degrade(from_values(planes, 8), read_case(case), scale=scale), truth)
    height, width = rgb.shape[-2] // scale, rgb.shape[-1] // scale
    low_rgb = (resample(rgb.double(), height, width, "bicubic") * 255).round().clamp(0, 255).float() / 255
    even = torch.nn.functional.pad(low_rgb, (0, width % 2, 0, height % 2), mode="reflect")
    return EvaluationItem(name, rgb_to_planes(even), truth, even)


def _video_item(reader: VideoReader, scale: int, case: str, part: tuple[int, int]) -> EvaluationItem:
    step = 2 * scale
    height, width = reader.height // step * step, reader.width // step * step
    frames = reader.frames(part[1]) if part[0] == 0 else (f for _, f in frames_at(reader.info, [part]))
    clip = [reader.codes(f).crop(0, 0, height, width) for f in frames]
    truth = SampleValues(
        np.concatenate([c.luma for c in clip]), np.concatenate([c.chroma for c in clip]), reader.bits
    )
    low = degrade(truth, read_case(case), scale=scale)
    return EvaluationItem(
        Path(reader.info.path).stem,
        low,
        truth,
        matrix=reader.tags.matrix,
        rate=float(reader.info.rate),
        is_video=True,
    )


def _dataset_items(source: Path, shards: Shards, count: int, scale: int) -> Iterator[EvaluationItem]:
    if shards.scale != scale:
        raise UsageError(f"{source}: its pairs are of scale {shards.scale}, the model's is {scale}")
    for index in range(count):
        pair = shards[index]
        yield EvaluationItem(pair.key, pair.low, pair.truth, matrix=int(pair.record.get("matrix", 5)))
