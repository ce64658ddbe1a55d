"""`DatasetSettings`: how a data set is built."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.errors import UsageError
from pipelines.datasets.crop_selection import CropSettings
from pipelines.datasets.degradation import DegradeSettings
from pipelines.datasets.pair_maker import MotionSettings

__all__ = ["DatasetSettings"]


@dataclass(frozen=True)
class DatasetSettings:
    """Settings of a data set."""

    scale: int = 2
    truth_px: int = 256
    """Side of the square ground-truth crops; must be divisible by twice the scale."""
    frames: int = 1
    """Frames per pair: 1 for single-frame networks, more for recurrent ones."""
    context_frames: int = 3
    """Frames before a pair that go through the codec, so that it does not always begin with a key frame."""
    every_frames: int = 12
    """One frame in so many of each shot is examined."""
    shrink: int = 0
    """Factor by which the source is scaled down first; 0: halve it while even its sharpest parts are soft."""
    soft_db: float = 42.0
    """With `shrink = 0`: soft means surviving scaling down and up by two with a higher PSNR."""
    passes: int = 1
    """Number of passes over the footage: at its own size first, then each time at random sizes from
    `rescale`, with other crops, rotations and degradations (for videos: other frames). Held-out footage is
    used in the first pass only."""
    rescale: tuple[float, ...] = (0.5, 1.0)
    """Smallest and largest relative size of a source from the second pass on; antialiased bicubic."""
    most_pairs: int = 600
    """Most pairs of one video in a pass."""
    turn: bool = True
    """Rotate and flip crops at random; chroma of videos is resampled if its siting requires it."""
    validation: float = 0.08
    """Share of the frames that is held out, by whole shots and images: depends on the footage alone, not on
    the seed or other footage, so that data sets of the same footage can be mixed."""
    shard_mb: int = 64
    seed: int = 0
    degrade: DegradeSettings = field(default_factory=DegradeSettings)
    crops: CropSettings = field(default_factory=CropSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)

    def __post_init__(self) -> None:
        if self.scale < 1 or self.truth_px < 32 or self.truth_px % (2 * self.scale):
            raise UsageError(
                f"truth_px = {self.truth_px}: expected 32 or more, divisible by {2 * self.scale} (twice the"
                " scale)"
            )
        if not 0 < self.validation < 0.5:
            raise UsageError(f"validation = {self.validation}: expected a share between 0 and 0.5")
        if len(self.rescale) != 2 or not 0 < self.rescale[0] <= self.rescale[1] <= 1:
            raise UsageError(
                f"rescale = {self.rescale}: expected the smallest and the largest share of a source's size,"
                " above 0 and at most 1"
            )
        for name in ("frames", "every_frames", "passes", "most_pairs", "shard_mb"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} = {getattr(self, name)}: expected at least 1")
        if self.context_frames < 0 or self.shrink < 0:
            raise UsageError("context_frames and shrink can't be negative")
