"""`ShotUpscaler`: runs the networks of a plan with the restoration level of each shot."""

from __future__ import annotations

import bisect
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from pipelines.inference.upscaler import Upscaler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from models.network import Contract
    from pipelines.inference.temporal_windows import Window
    from pipelines.inference.tile_cache import TileCache
    from pipelines.media.video_info import Frame
    from pipelines.plan.plan import NetworkStage, Plan

__all__ = ["ShotUpscaler"]


_MOST_KEPT = 3
"""Levels with networks that stay loaded."""


class ShotUpscaler:
    """Uses an `Upscaler` for each restoration level of a plan; each is loaded when its first frame comes.

    Networks that take a level use no neighbouring frames, so nothing passes from one shot to the next.
    """

    def __init__(self, plan: Plan, device: torch.device) -> None:
        """Raise MediaError if weights are not those of the plan."""
        self._plan = plan
        self._starts = [plan.results(frame) for frame, _ in plan.restore_levels]
        levels: list[float | None] = [level for _, level in plan.restore_levels]
        self._details = dict(zip(levels, plan.detail_levels, strict=False))
        self.device = device
        self._now = Upscaler(plan, device)
        self._kept = {self._level(0): self._now}
        self._done = 0
        self.notes = self._now.notes
        """Messages for the user; the reader empties the list."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which networks compute."""
        return self._now.dtype

    @property
    def contract(self) -> Contract:
        """Contract of the first network, the only one that may use neighbouring frames."""
        return self._now.contract

    @property
    def facts(self) -> dict[str, str]:
        """See `Upscaler.facts`."""
        return self._now.facts

    @property
    def stills(self) -> TileCache:
        """Tiles of the last frame."""
        return self._now.stills

    @property
    def pulse(self) -> int:
        """See `Upscaler.pulse`."""
        return self._done + sum(upscaler.pulse for upscaler in self._kept.values())

    @property
    def runs_ahead(self) -> bool:
        """Whether `stream` keeps several frames in flight."""
        return self._now.runs_ahead

    def stream(self, windows: Iterable[Window]) -> Iterator[tuple[Window, Frame]]:
        """See `Upscaler.stream`. Before the level changes, frames in flight are finished."""
        for level, some in groupby(windows, key=lambda window: self._level(window.number)):
            yield from self._at(level).stream(some)

    def follow(self, window: Window) -> Frame:
        """See `Upscaler.follow`."""
        return self._at(self._level(window.number)).follow(window)

    def turned(self, frame: Frame) -> Frame:
        """The upright frame."""
        return self._now.turned(frame)

    def _level(self, number: int) -> float | None:
        """Restoration level of a frame of the result; None if the whole film has one level."""
        if not self._starts:
            return None
        return self._plan.restore_levels[max(0, bisect.bisect_right(self._starts, number) - 1)][1]

    def _at(self, level: float | None) -> Upscaler:
        found = self._kept.pop(level, None)
        if found is None:
            stages = tuple(self._told(stage, level) for stage in self._plan.stages)
            found = Upscaler(replace(self._plan, stages=stages), self.device, beside=self._now)
            if len(self._kept) == _MOST_KEPT:
                self._done += self._kept.pop(next(iter(self._kept))).pulse
        if found is not self._now:
            self.stills.forget()  # of another network
        self._kept[level] = self._now = found
        return found

    def _told(self, stage: NetworkStage, level: float | None) -> NetworkStage:
        if stage.restore is None:
            return stage
        detail = None if stage.detail is None else self._details.get(level, stage.detail)
        return replace(stage, restore=level, detail=detail)
