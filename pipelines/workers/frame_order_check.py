"""Checks that results show the frames they were made from, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.errors import VerificationError
from pipelines.frames.thumbnail import grid_for, packed_thumbnail, texture_of, thumbnail
from pipelines.media.video_info import Frame

if TYPE_CHECKING:
    from pipelines.plan.plan import Plan

__all__ = ["FrameOrderCheck"]


class FrameOrderCheck:
    """Compares thumbnails of every frame before and after the networks, to detect exchanged frames.

    A result must be more similar to its own source frame than to the one before or after; counts and
    timestamps can't reveal a swapped or duplicated frame. Thumbnails are compared without their mean
    brightness: in a fade, a frame that a network made slightly brighter would otherwise look like its
    neighbour. A difference of means counts only if no network causes such a large one.
    """

    _NOTICEABLE = 0.25
    """Mean difference of thumbnails, in 8-bit values, below which two frames count as equal."""
    _RATIO = 3.0
    _MOVED = 24.0
    """Difference of means, in 8-bit values, that no network causes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._source, self._target = plan.pixels, plan.out_pixels
        self._grid = grid_for(plan.width, plan.height)
        self._before: np.ndarray | None = None
        self._now: np.ndarray | None = None
        self._made: np.ndarray | None = None
        self.pts: list[int] = []
        self._thumbnails: list[bytes] = []
        self._marks: list[int] = []

    @property
    def thumbnails(self) -> bytes:
        """Thumbnails of all frames so far, as the networks got them.

        The finished output is compared with them again.
        """
        return b"".join(self._thumbnails)

    @property
    def dynamic_hdr(self) -> tuple[int, ...]:
        """Marks of the dynamic HDR metadata of all frames so far; empty if the plan keeps none."""
        return tuple(self._marks)

    def source(self, frame: Frame, filtered: Frame | None = None) -> None:
        """Add the next frame, upright, before the networks.

        Raises VerificationError if the last result is more similar to it. filtered: the frame after filters,
        if there are any. It may show one of two fields, or both woven, so results are compared with it; but
        the decoded neighbours decide whether it shows another time.
        """
        following = self._small(frame)
        if self._made is not None and self._now is not None:
            self._compare(self._made, self._now, following)
        self._before, self._now, self._made = self._now, following, None
        self.pts.append(frame.pts)
        if self._plan.dynamic_hdr:
            self._marks.append(frame.dynamic_hdr.mark if frame.dynamic_hdr else 0)
        shown = frame if filtered is None or filtered.planes is frame.planes else filtered
        cells = following if shown is frame else self._small(shown)
        self._thumbnails.append(packed_thumbnail(cells, texture_of(shown.planes, self._source)))

    def _small(self, frame: Frame) -> np.ndarray:
        return thumbnail(frame.planes, self._source, self._plan.color, self._grid, self._plan.luma_matrix)

    def result(self, frame: Frame) -> None:
        """Compare the result of the latest source frame with its source.

        Raises VerificationError for another timestamp, or the content of the frame before.
        """
        if frame.pts != self.pts[-1]:
            raise VerificationError(f"the frame at pts {self.pts[-1]} came back as pts {frame.pts}")
        self._made = thumbnail(
            frame.planes, self._target, self._plan.out_color, self._grid, self._plan.luma_matrix
        )
        assert self._now is not None
        if self._before is not None:
            self._compare(self._made, self._now, self._before)

    def _compare(self, made: np.ndarray, own: np.ndarray, other: np.ndarray) -> None:
        means = [float(t.mean()) for t in (made, own, other)]
        shape, *shapes = (t - mean for t, mean in zip((made, own, other), means, strict=True))
        apart, closer = (float(np.abs(shape - s).mean()) for s in shapes)
        moved, nearer = abs(means[0] - means[1]), abs(means[0] - means[2])
        bent = apart > self._NOTICEABLE and apart > self._RATIO * closer
        if bent or (moved > self._MOVED and moved > self._RATIO * nearer):
            raise VerificationError(
                f"the result for the frame at pts {self.pts[-1]} shows a neighbour instead; nothing was kept"
                " of it"
            )
