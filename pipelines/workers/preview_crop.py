"""`CropUpscaler`: parts of a frame through the network of a plan, with the same pixels as in the whole frame.

A part is cut out of the source with everything that its pixels depend on, and processed like a whole frame.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pipelines.inference.shot_upscaler import ShotUpscaler
from pipelines.inference.temporal_windows import single_frame_window
from pipelines.media.pixel_format import PixelCrop, PixelFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from models.network import Contract
    from pipelines.inference.temporal_windows import Window
    from pipelines.plan.plan import Plan

__all__ = ["CropUpscaler", "Place", "cut_out"]


Place = tuple[slice, slice]
"""Rows and columns of a result, in luma pixels."""

_REACH_PX = 12
"""Extra context for classical kernels: Lanczos' three samples of chroma, and two for its siting."""
_GRID_PX = 8


class CropUpscaler:
    """Makes parts of one size, several at once."""

    def __init__(
        self, plan: Plan, contract: Contract, device: torch.device, size: tuple[int, int], count: int = 1
    ) -> None:
        """contract: of the plan's network. size: height and width of a part, in pixels of the result.

        count: parts side by side.
        """
        self._plan, self._contract, self._scale = plan, contract, plan.out_width // plan.width
        self._margin = (contract.halo_px or 0) + _REACH_PX
        self._grid = math.lcm(_GRID_PX, contract.size_multiple)
        self._rows, self._columns = (
            self._side(n, total) for n, total in zip(size, (plan.height, plan.width), strict=True)
        )
        width = self._columns * count
        (stage,) = plan.stages
        bars = PixelCrop(plan.bars.top, plan.bars.bottom) if self._rows == plan.height else PixelCrop()
        smaller = replace(
            plan, width=width, height=self._rows, out_width=width * self._scale,
            out_height=self._rows * self._scale, bars=bars, stages=(replace(stage, width=width * self._scale,
            height=self._rows * self._scale),),
        )  # fmt: skip
        self.share = width * self._rows / (plan.width * plan.height)
        """Share of a frame's pixels that networks have to process."""
        self._upscaler = ShotUpscaler(smaller, device)

    @staticmethod
    def takes(plan: Plan, contract: Contract, *, classical: bool) -> bool:
        """Whether a result's pixels depend only on their surroundings, and are on the source's grid."""
        scale = plan.out_width // plan.width if classical else contract.scale
        return (
            len(plan.stages) == 1
            and (plan.out_height, plan.out_width) == (plan.height * scale, plan.width * scale)
            and not (plan.height % 2 or plan.width % 2 or plan.orientation or plan.grain)
            and plan.width % contract.size_multiple
            == 0  # otherwise parts next to each other would not be aligned to the network's grid
            and not (contract.temporal or contract.placed)
            and (classical or contract.halo_px is not None)
        )

    def __call__(self, window: Window, places: Sequence[Place]) -> list[list[np.ndarray]]:
        """The planes of each of `count` places of the result."""
        frame = window.frame
        source = self._plan.pixels
        starts = [
            (
                self._start(p[0], self._rows, self._plan.height),
                self._start(p[1], self._columns, self._plan.width),
            )
            for p in places
        ]
        parts = [
            cut_out(frame.planes, source, (slice(top, top + self._rows), slice(left, left + self._columns)))
            for top, left in starts
        ]
        planes = [np.concatenate(side_by_side, axis=1) for side_by_side in zip(*parts, strict=True)]
        part = replace(frame, planes=planes, origin=None)
        made = self._upscaler.follow(single_frame_window(part, self._contract, window.number)).planes
        result = self._plan.out_pixels
        found = []
        for number, ((rows, columns), (top, left)) in enumerate(zip(places, starts, strict=True)):
            down, across = -top * self._scale, (number * self._columns - left) * self._scale
            found.append(
                cut_out(
                    made,
                    result,
                    (
                        slice(rows.start + down, rows.stop + down),
                        slice(columns.start + across, columns.stop + across),
                    ),
                )
            )
        return found

    def _side(self, wanted: int, total: int) -> int:
        """Side of the part that is read, in pixels of the source.

        Sufficient at any position, and ending on the grid at the end of the frame.
        """
        least = -(-wanted // self._scale) + 1 + self._grid + 2 * self._margin
        return min(total, least + (total - least) % self._grid)

    def _start(self, part: slice, side: int, total: int) -> int:
        first: int = (part.start // self._scale - self._margin) // self._grid * self._grid
        return min(max(0, first), total - side)


def cut_out(planes: Sequence[np.ndarray], pixels: PixelFormat, place: Place) -> list[np.ndarray]:
    """Rows and columns of every plane."""
    cut = []
    for number, plane in enumerate(planes):
        down, across = (pixels.sub_y, pixels.sub_x) if pixels.family == "yuv" and number in {1, 2} else (0, 0)
        rows, columns = (
            slice(s.start >> by, -(-s.stop >> by)) for s, by in zip(place, (down, across), strict=True)
        )
        cut.append(plane[rows, columns])
    return cut
