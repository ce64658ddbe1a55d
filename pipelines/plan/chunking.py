"""Frame ranges, chunks, and the packets that decode them; pure arithmetic."""

from __future__ import annotations

import bisect
import hashlib
import math
from array import array
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.media.video_info import NO_PTS, Chunk, Span
from pipelines.settings.option_values import parse_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.media.video_info import PacketIndex, VideoInfo

__all__ = [
    "SETTLING_FRAMES",
    "clean_starts",
    "cut_chunks",
    "cut_spans",
    "frame_range",
    "range_text",
    "timing_digest",
    "with_context",
]


SETTLING_FRAMES = 8
"""Frames that a recurrent network gets before a chunk; its output for the chunk then hardly depends on where
it started (measured in tests/benchmarks/seams.py)."""


_CHUNK_SECONDS, _FIRST_SECONDS = 6.0, 1.5
"""Target length of chunks, and of the first one. With short first chunks, a run that is stopped early keeps
more, at the cost of two more key frames per film."""
_LONGEST_PREROLL = 3
"""If the pre-roll of a chunk would be longer than this many times its frames, the chunk shares the decoder of
the one before."""


def frame_range(info: VideoInfo, text: str | None) -> tuple[int, int]:
    """Frames [start, stop) of a `--range`; times count from the first frame.

    Raises UsageError if there are none.
    """
    if text is None:
        return 0, info.frame_count
    start_s, stop_s = parse_range(text)
    first = info.pts[0]
    start = bisect.bisect_left(info.pts, first + start_s / info.time_base)
    stop = (
        info.frame_count if stop_s is None else bisect.bisect_left(info.pts, first + stop_s / info.time_base)
    )
    if start >= stop:
        raise UsageError(
            f"--range {text}: there is no frame in it; the video is {float(info.seconds):.3f} s long"
        )
    return start, stop


def range_text(pts: Sequence[int], time_base: Fraction, frames: tuple[int, int]) -> str:
    """The `--range` of frames [start, stop), in whole milliseconds; "" for all of them.

    Rounded down, so that it selects the same frames in a file with times rounded to milliseconds.
    """
    if frames == (0, len(pts)):
        return ""
    start, stop = (
        f"{math.floor((pts[n] - pts[0]) * time_base * 1000) / 1000:.3f}".rstrip("0").rstrip(".")
        if n < len(pts)
        else ""
        for n in frames
    )
    return f"{start}-{stop}"


def cut_chunks(
    pts: Sequence[int],
    time_base: Fraction,
    chunk_seconds: float | None,
    clean: Sequence[int],
    frames: tuple[int, int],
    most_frames: int | None = None,
) -> tuple[Chunk, ...]:
    """Cut frames [start, stop) into chunks of about `chunk_seconds`, at clean points if one is near.

    pts: ascending ticks of all frames. chunk_seconds: None: the first chunk has `_FIRST_SECONDS`, and each
    further one is as long as all before it together, up to `_CHUNK_SECONDS`. So even a short film has several
    chunks, and a run that is stopped in its first minute keeps some. clean: timestamps at which decoding may
    start, ascending. most_frames: per chunk; None: no limit.
    """
    start, stop = frames
    longest, first = (
        max(1, round(Fraction(seconds) / time_base))
        for seconds in (
            (_CHUNK_SECONDS, _FIRST_SECONDS) if chunk_seconds is None else (chunk_seconds, chunk_seconds)
        )
    )
    chunks: list[Chunk] = []
    at = start
    while at < stop:
        ticks = min(longest, max(first, pts[at] - pts[start]))
        ideal = pts[at] + ticks
        lo, hi = (
            bisect.bisect_left(clean, pts[at] + (ticks + 1) // 2),
            bisect.bisect_right(clean, pts[at] + ticks + ticks // 2),
        )
        near = min(clean[lo:hi], key=lambda p: abs(p - ideal), default=ideal)
        end = bisect.bisect_left(pts, max(near, pts[at] + 1), at + 1, stop)
        if stop > end and pts[stop - 1] - pts[end] < ticks // 3:
            end = stop  # no very short chunk at the end
        if most_frames is not None:
            end = min(end, at + most_frames)
        chunks.append(Chunk(len(chunks), at, end))
        at = end
    return tuple(chunks)


def cut_spans(
    index: PacketIndex,
    pts: Sequence[int],
    chunks: Sequence[Chunk],
    *,
    linear: bool,
    context: tuple[int, int] = (0, 0),
) -> tuple[Span, ...]:
    """Which packets each decoder run needs, and which chunks it feeds.

    A chunk starts decoding at the last clean point from which all its frames can be decoded. Its packets end
    with the last one that is shown before its end, which is after the next clean point if the GOP is open. If
    the pre-roll would be too long, or frames are known by order only, chunks share one run. context: frames
    before and after a chunk's own that are decoded with them, if the film has them.
    """
    if linear:
        return (Span(0, len(index), tuple(chunks)),)
    starts, start_rows = clean_starts(index)
    # The last row shown no later than a time is the last one from which on the earliest time still is.
    earliest = array("q", accumulate(reversed(index.pts), min))
    earliest.reverse()
    spans: list[Span] = []
    for chunk in chunks:
        start_frame, stop_frame = with_context(chunk.start_frame, chunk.stop_frame, context, len(pts))
        place = bisect.bisect_right(starts, pts[start_frame]) - 1
        first = start_rows[place] if place >= 0 else 0
        stop = bisect.bisect_right(earliest, pts[stop_frame - 1])
        preroll = chunk.start_frame - (bisect.bisect_left(pts, starts[place]) if place >= 0 else 0)
        if spans and spans[-1].first_row == first and preroll > _LONGEST_PREROLL * chunk.frame_count:
            spans[-1] = Span(first, max(stop, spans[-1].stop_row), (*spans[-1].chunks, chunk))
        else:
            spans.append(Span(first, stop, (chunk,)))
    return tuple(spans)


def with_context(start: int, stop: int, context: tuple[int, int], count: int) -> tuple[int, int]:
    """Extend frames [start, stop) by so many on either side, within a film of `count` frames."""
    return max(0, start - context[0]), min(count, stop + context[1])


def clean_starts(index: PacketIndex) -> tuple[array[int], array[int]]:
    """Return (timestamps, rows) of the points at which decoding may start, both ascending.

    A key packet counts only if nothing decoded before it is shown after it.
    """
    starts, rows = array("q"), array("q")
    latest, seen = NO_PTS, 0
    row = index.clean.find(1)
    while row >= 0:
        # Slices are searched at the speed of C; a film may have millions of packets.
        latest = max(latest, max(index.pts[seen:row], default=NO_PTS))
        seen = row
        if index.pts[row] > latest:
            starts.append(index.pts[row])
            rows.append(row)
        row = index.clean.find(1, row + 1)
    return starts, rows


def timing_digest(pts: array[int], durations: array[int], start: int, stop: int) -> str:
    """Hash over the timestamps and durations of the frames [start, stop)."""
    digest = hashlib.sha256(memoryview(pts)[start:stop])
    digest.update(memoryview(durations)[start:stop])
    return digest.hexdigest()
