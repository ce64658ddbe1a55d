"""Checks that results show the frames they were made from, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.errors import VerificationError
from pipelines.frames.thumbnail import grid_for, thumbnail
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame

if TYPE_CHECKING:
    from pipelines.plan.plan import Plan

__all__ = ["FrameOrderCheck"]


class FrameOrderCheck:
    """Sees every frame before and after the networks, small, and notices where one took the place of another.

    A result must look more like its own source frame than like the one before or after; counts and timestamps
    can't tell a swapped or doubled frame from the right one.

    Mean brightness is taken out, or in any fade a network that moves it a little would seem to show a
    neighbour; only as much as no network moves it by counts.
    """

    _NOTICEABLE = 0.25
    """Mean difference of thumbnails, in 8-bit codes, below which two frames are taken for the same."""
    _RATIO = 3.0
    _MOVED = 24.0
    """Difference of means, in 8-bit codes, that no network makes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._source, self._target = PixelFormat.parse(plan.pix_fmt), PixelFormat.parse(plan.out_pix_fmt)
        self._grid = grid_for(plan.width, plan.height)
        self._before: np.ndarray | None = None
        self._now: np.ndarray | None = None
        self._made: np.ndarray | None = None
        self.pts: list[int] = []
        self._thumbnails: list[bytes] = []
        self._marks: list[int] = []

    @property
    def thumbnails(self) -> bytes:
        """Of all frames so far, as the networks saw them.

        What came of them is compared with that again when it lies in the result.
        """
        return b"".join(self._thumbnails)

    @property
    def dynamic_hdr(self) -> tuple[int, ...]:
        """Marks of the dynamic HDR metadata of all frames so far; empty where the plan keeps none."""
        return tuple(self._marks)

    def source(self, frame: Frame, filtered: Frame | None = None) -> None:
        """The next frame, upright, before the networks.

        Raises VerificationError where the last result looks more like it.

        filtered: what filters made of it, where there are any. Of two fields they may show one, or both
        woven, so that what is shown is compared with theirs; but it is compared with the decoded neighbours
        whether it is another moment.
        """
        following = self._small(frame)
        if self._made is not None and self._now is not None:
            self._compare(self._made, self._now, following)
        self._before, self._now, self._made = self._now, following, None
        self.pts.append(frame.pts)
        if self._plan.dynamic_hdr:
            self._marks.append(frame.dynamic_hdr.mark if frame.dynamic_hdr else 0)
        shown = following if filtered is None or filtered.planes is frame.planes else self._small(filtered)
        self._thumbnails.append(np.clip(np.round(shown), 0, 255).astype(np.uint8).tobytes())

    def _small(self, frame: Frame) -> np.ndarray:
        return thumbnail(frame.planes, self._source, self._plan.color, self._grid, self._plan.luma_matrix)

    def result(self, frame: Frame) -> None:
        """What came of it.

        Raises VerificationError for another timestamp, or the picture of the frame before.
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
