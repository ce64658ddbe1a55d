"""`Timeline`: the timestamps of the output frames.

The times are those of the source, tick for tick. If every field becomes a frame, ticks are half as long, with
two frames per source frame. If film frames are woven from fields, ticks are a fourth as long, with four
frames per five source frames.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["Timeline", "all_times", "clock_text", "field_times", "timeline"]


def clock_text(seconds: float) -> str:
    """A time for people, like 0:12:30.500."""
    thousandths = round(seconds * 1000)
    whole, rest = divmod(thousandths, 1000)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:03d}"


@dataclass(frozen=True, eq=False)
class Timeline:
    """Timestamps and durations of the output frames, in order."""

    time_base: Fraction
    pts: array[int]
    durations: array[int]

    @property
    def start(self) -> Fraction:
        """Seconds at which the first frame is shown."""
        return self.pts[0] * self.time_base

    @property
    def stop(self) -> Fraction:
        """Seconds at which the last frame ends."""
        return (self.pts[-1] + self.durations[-1]) * self.time_base


def timeline(info: VideoInfo, plan: Plan) -> Timeline:
    """The timestamps that the plan promises, in ticks of its time base."""
    pts, durations = all_times(info, plan)
    if plan.start_frame == 0 and plan.stop_frame == info.frame_count:
        return Timeline(plan.time_base, pts, durations)
    part = slice(plan.results(plan.start_frame), plan.results(plan.stop_frame))
    return Timeline(plan.time_base, pts[part], durations[part])


def all_times(info: VideoInfo, plan: Plan) -> tuple[array[int], array[int]]:
    """(timestamps, durations) of the output for all source frames, in the range or not."""
    if plan.pulldown is not None:
        return plan.pulldown.times(info.pts, info.durations, plan.start_frame, plan.stop_frame)
    return field_times(info.pts, info.durations) if plan.per_frame == 2 else (info.pts, info.durations)


def field_times(pts: array[int], durations: array[int]) -> tuple[array[int], array[int]]:
    """(timestamps, durations) of all fields, in ticks half as long as the source's.

    The second field begins halfway through its frame's duration. If the frame is long because a gap follows,
    the second field begins after half the usual duration instead.
    """
    usual = (
        max(1, max(Counter(durations).items(), key=lambda item: (item[1], -item[0]))[0])
        if len(durations)
        else 1
    )
    times, lengths = array("q"), array("q")
    for start, duration in zip(pts, durations, strict=True):
        duration = max(1, duration)  # noqa: PLW2901
        first = duration if duration <= 2 * usual else usual
        times.extend((2 * start, 2 * start + first))
        lengths.extend((first, 2 * duration - first))
    return times, lengths
