"""Which frames of a film a preview shows: those at requested times, or detailed ones from all its parts."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UsageError
from pipelines.frames.film_frames import frames_at
from pipelines.plan.chunking import clean_starts
from pipelines.settings.option_values import parse_range

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["SAMPLE_FRAMES", "chosen_frames", "frames_within", "requested_time", "shown_frames"]


SAMPLE_FRAMES = 2
"""Frames of a sample: the one shown, and the next one, to measure the size of a frame that is not a key
frame."""


def requested_time(text: str) -> tuple[str, Fraction]:
    """Parse a requested time: the text itself, and seconds. Raises UsageError."""
    try:
        return text, parse_range(f"{text}-")[0]
    except UsageError as error:
        raise UsageError(f"--at {text}: expected seconds or [hh:]mm:ss[.fff], such as 12:30") from error


def shown_frames(info: VideoInfo, times: Sequence[tuple[str, Fraction]]) -> list[int]:
    """Numbers of the frames that are shown at these times. Raises UsageError for a time after the end."""
    found = []
    for text, seconds in times:
        tick = info.pts[0] + seconds / info.time_base
        if tick >= info.pts[-1] + max(1, info.durations[-1]):
            raise UsageError(f"--at {text}: is behind the end; the video is {float(info.seconds):.3f} s long")
        found.append(bisect.bisect_right(info.pts, tick) - 1)
    return found


def frames_within(frames: Sequence[int], plan: Plan) -> list[int]:
    """The frames, moved to the nearest frame of a plan's range if they are outside it."""
    return sorted({min(max(frame, plan.start_frame), plan.stop_frame - 1) for frame in frames})


def chosen_frames(info: VideoInfo, shots: int, plan: Plan) -> list[int]:
    """The clean point with the largest packet in each of so many equal parts of the film; else the middle."""
    size_of = dict(zip(info.index.pts, info.index.size, strict=True))
    entries = (
        []
        if info.linear
        else [(bisect.bisect_left(info.pts, p), size_of.get(p, 0)) for p in clean_starts(info.index)[0]]
    )
    count = plan.stop_frame - plan.start_frame
    shots = max(1, min(shots, count))
    found = []
    for part in range(shots):
        first, stop = (plan.start_frame + count * n // shots for n in (part, part + 1))
        inside = sorted(
            (
                (size, frame)
                for frame, size in entries
                if first <= frame < max(first + 1, stop - SAMPLE_FRAMES)
            ),
            reverse=True,
        )
        spread = [first + (stop - first) * n // 4 for n in (2, 1, 3)]
        found.append(
            _lit(
                info,
                list(
                    dict.fromkeys(
                        [*(frame for _, frame in inside[:1]), *spread, *(frame for _, frame in inside[1:3])]
                    )
                ),
            )
        )
    return sorted(set(found))


_DARK, _FLAT = 0.12, 0.03
"""Largest mean and standard deviation of luma, relative to its range, of frames that show next to nothing:
fades, and titles on black."""


def _lit(info: VideoInfo, candidates: Sequence[int]) -> int:
    """The first of several frames with content, else the brightest.

    The first one if each would have to be decoded from the beginning.
    """
    if info.linear or info.made_of_pictures or info.pixels.is_float or len(candidates) < 2:
        return candidates[0]
    seen: dict[int, float] = {}
    for frame in candidates:
        luma = next((shown.planes[0] for _, shown in frames_at(info, [(frame, frame + 1)])), None)
        if luma is None:
            continue
        values = luma[::4, ::4].astype(np.float32) / ((1 << info.pixels.bits) - 1)
        seen[frame] = float(values.mean())
        if seen[frame] > _DARK and float(values.std()) > _FLAT:
            return frame
    return max(seen, key=seen.__getitem__, default=candidates[0])
