"""`make_pair`: makes a pair of clips from a place in a film or an image: rotated, moved, and degraded."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from models.catalog.card import file_name
from models.catalog.loader import load_network
from models.layers.resampling import resample
from pipelines.datasets.damage import level_of_damage, measure_damage
from pipelines.datasets.degradation import Degradation
from pipelines.datasets.degrading import degrade
from pipelines.datasets.shards import Pair
from pipelines.frames.reference_upscaler import upscale
from pipelines.frames.sample_values import SampleValues, from_values, oriented, rgb_to_planes, to_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from models.catalog.card import Card
    from models.network import Network, Planes

__all__ = [
    "Motion",
    "MotionSettings",
    "PairMaker",
    "PairOrder",
    "PairSetup",
    "clip_of_picture",
    "draw_motion",
    "make_pair",
]


@dataclass(frozen=True)
class MotionSettings:
    """Motion of images when a clip is needed; from frame to frame, at the size of the ground truth."""

    pan_px: float = 4.0
    """At most so far in each direction."""
    zoom: float = 0.004
    """At most this share in or out."""
    turn_degrees: float = 0.3


@dataclass(frozen=True)
class Motion:
    """A steady camera movement, sub-pixel; the last frame is the image itself."""

    down_px: float = 0.0
    across_px: float = 0.0
    zoom: float = 1.0
    turn_degrees: float = 0.0


def draw_motion(settings: MotionSettings, rng: np.random.Generator) -> Motion:
    """Draw one movement; every fourth is static, like many shots."""
    pan = rng.uniform(-settings.pan_px, settings.pan_px, 2).round(3)
    zoom, turn = (
        1 + rng.uniform(-settings.zoom, settings.zoom),
        rng.uniform(-settings.turn_degrees, settings.turn_degrees),
    )
    if rng.random() < 0.25:
        return Motion()
    return Motion(float(pan[0]), float(pan[1]), round(float(zoom), 6), round(float(turn), 4))


@dataclass(frozen=True, eq=False)
class PairOrder:
    """Everything that one pair is made from.

    Orders are independent of each other, so pairs can be made in parallel.
    """

    key: str
    split: str
    source: SampleValues | Tensor
    """A clip, of which the last frames are used; or an image, (1,3,H,W) R'G'B'."""
    side_px: int
    """Side of the ground truth; of the low-resolution clip if a teacher makes the ground truth."""
    shrink: float
    """Factor by which the source is scaled down first; for a clip: to `side_px`."""
    turn: int
    """See `sample_values.oriented`."""
    motion: Motion
    frames: int
    """Frames of the pair."""
    context_frames: int
    """Further frames before them that go through the codec."""
    degradation: Degradation
    record: dict[str, Any]
    with_level: bool = False
    """Measure the damage and the restoration level of the pair."""


def make_pair(task: PairOrder, scale: int, teacher: Network | None = None) -> Pair:
    """Make the pair of a task. teacher: makes the ground truth, `scale` times the size of the source."""
    clip = _clip(task)
    if teacher is not None:
        low = degrade(clip, task.degradation, scale=1)
        truth = from_values(upscale(teacher, to_values(clip), bf16=False), clip.bits)
    else:
        low, truth = degrade(clip, task.degradation, scale=scale), clip
    kept = slice(len(clip.luma) - task.frames, None)
    record = {
        **task.record,
        "turn": task.turn,
        "shrink": task.shrink,
        "degradation": task.degradation.record(),
    }
    if task.with_level:
        plain = degrade(
            clip.frames(kept), task.degradation.undamaged, scale=1 if teacher is not None else scale
        )
        damage = measure_damage(low.frames(kept), plain)
        record |= {"damage": asdict(damage), "level": level_of_damage(damage)}
    return Pair(task.key, low.frames(kept), truth.frames(kept), record)


def _clip(task: PairOrder) -> SampleValues:
    if isinstance(task.source, torch.Tensor):
        length = task.frames + (task.context_frames if task.degradation.coded else 0)
        return from_values(clip_of_picture(task, length), 8)
    codes = task.source
    if not task.degradation.coded:
        codes = codes.frames(slice(len(codes.luma) - task.frames, None))
    if task.shrink == 1 and not task.turn:
        return codes  # as it is
    planes = to_values(codes)
    if task.shrink > 1:
        planes = _shrunk(planes, task.side_px)
    return from_values(oriented(planes, task.turn), codes.bits)


def _shrunk(planes: Planes, side: int) -> Planes:
    luma, chroma = planes
    return resample(luma, side, side, "bicubic"), resample(
        chroma, side // 2, side // 2, "bicubic", offset=(0.0, -0.25)
    )


def clip_of_picture(task: PairOrder, length: int) -> Planes:
    """The image of a task, moved: luma (T,1,H,W), chroma (T,2,H/2,W/2).

    The image is rotated before chroma is subsampled, so all rotations are exact.
    """
    assert isinstance(task.source, torch.Tensor)
    source = task.source
    if task.shrink > 1:
        source = resample(
            source, round(source.shape[-2] / task.shrink), round(source.shape[-1] / task.shrink), "bicubic"
        )
    side, height, width = task.side_px, source.shape[-2], source.shape[-1]
    top, left = (
        task.record["place"][0] - task.record["region"][0],
        task.record["place"][1] - task.record["region"][1],
    )
    still = source[..., top : top + side, left : left + side]
    frames = [still]
    centre = torch.tensor([left + side / 2, top + side / 2])
    for back in range(1, length):
        frames.insert(
            0,
            _moved(source, centre, (side, height, width), task.motion, back)
            if task.motion != Motion()
            else still,
        )
    turned = torch.cat(frames)
    turned = turned.flip([axis for axis, bit in ((-1, 1), (-2, 2)) if task.turn & bit])
    if task.turn & 4:
        turned = turned.transpose(-1, -2)
    return rgb_to_planes(turned.contiguous())


def _moved(source: Tensor, centre: Tensor, size: tuple[int, int, int], motion: Motion, back: int) -> Tensor:
    """The square around `centre` as it was `back` frames before.

    (1,3,side,side), bicubic, with reflected border.
    """
    side, height, width = size
    angle, zoom = math.radians(motion.turn_degrees * back), motion.zoom**back
    line = torch.arange(side) + 0.5 - side / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    across = centre[0] + zoom * (math.cos(angle) * x - math.sin(angle) * y) + motion.across_px * back
    down = centre[1] + zoom * (math.sin(angle) * x + math.cos(angle) * y) + motion.down_px * back
    grid = torch.stack([2 * across / width - 1, 2 * down / height - 1], -1)[None]
    return F.grid_sample(source, grid, mode="bicubic", padding_mode="reflection", align_corners=False)


@dataclass(frozen=True)
class PairSetup:
    """Setup of workers that make pairs on other machines."""

    scale: int
    teacher: Card | None = None

    def files(self) -> dict[str, Path]:
        """The teacher's weights, by a name that begins with their SHA-256."""
        return (
            {file_name(self.teacher): Path(self.teacher.path)}
            if self.teacher is not None and self.teacher.path
            else {}
        )

    def placed(self, places: dict[str, Path]) -> PairSetup:
        """Replace the path of the weights."""
        assert self.teacher is not None
        return replace(self, teacher=replace(self.teacher, path=str(places[file_name(self.teacher)])))


class PairMaker:
    """A `Worker` for tasks of pairs: its items are pairs."""

    def __init__(self, setup: PairSetup) -> None:
        torch.set_num_threads(1)  # pairs are small and made in parallel
        self._scale = setup.scale
        self._teacher = load_network(setup.teacher).module if setup.teacher is not None else None
        self.facts = {"torch": str(torch.__version__)}

    def run(self, task: None, pieces: Iterator[PairOrder]) -> Iterator[Pair]:
        """Yield one training pair per `PairOrder`."""
        del task
        for piece in pieces:
            yield make_pair(piece, self._scale, self._teacher)
