"""By how much tracks are shifted in the output, and which part of them is copied."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from pipelines.containers.track_times import KEEPS_MILLISECONDS
from pipelines.media.timestamps import CLOCKED

if TYPE_CHECKING:
    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["codec_delay", "copied_window", "start_shift"]


def start_shift(plan: Plan, info: VideoInfo) -> Fraction:
    """Seconds by which all tracks are shifted to begin at 0.

    This applies to a `--range`, and to broadcast recordings (MPEG-TS and PS): their clock may have run for
    hours. Other films keep their times, except those that begin before 0: MP4 and MOV would hide such frames,
    and Matroska has no times before 0, other than for the priming of sounds (`codec_delay`). There the shift
    is a whole number of the film's ticks, so that its times stay exact.
    """
    first = info.pts[plan.start_frame] * info.time_base
    if plan.start_frame != 0 or plan.stop_frame != info.frame_count:
        return first
    if info.format in CLOCKED:
        return min(first, info.start)
    if plan.encoder.container not in KEEPS_MILLISECONDS:
        return min(first, Fraction(0)) if plan.encoder.container in {"mp4", "mov"} else Fraction(0)
    others = (s.begins for s in info.streams if s.type in _NOT_CLIPPED and not s.priming and not s.is_cover)
    earliest = min((first, *others))
    return min(Fraction(0), math.floor(earliest / plan.time_base) * plan.time_base)


_NOT_CLIPPED = frozenset({"video", "audio", "data"})
"""Kinds of tracks of which every packet is kept; subtitles begin at 0 at the earliest."""


def codec_delay(plan: Plan, info: VideoInfo, index: int) -> Fraction:
    """Seconds of hidden sound before 0, which Matroska stores by a delay in the track's header.

    FFmpeg's muxer writes the delay if the source's container gives it, but not if an edit list hides the
    sound.
    """
    if plan.encoder.container not in KEEPS_MILLISECONDS or copied_window(plan, info) is not None:
        return Fraction(0)
    shift = start_shift(plan, info)
    return max(
        (
            shift - s.begins
            for s in info.streams
            if s.index == index and s.priming == "hidden" and s.begins < shift
        ),
        default=Fraction(0),
    )


def copied_window(plan: Plan, info: VideoInfo) -> tuple[Fraction, Fraction] | None:
    """Seconds [from, to) of a `--range`; None for a whole film."""
    if plan.start_frame == 0 and plan.stop_frame == info.frame_count:
        return None
    last = plan.stop_frame - 1
    return (
        info.pts[plan.start_frame] * info.time_base,
        (info.pts[last] + info.durations[last]) * info.time_base,
    )
