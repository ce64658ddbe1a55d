"""Timestamps and durations of frames, predicted from packets, or counted by decoding."""

from __future__ import annotations

import math
import operator
from array import array
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import av
import numpy as np

from models.errors import MediaError
from models.errors import counted as counted_of
from pipelines.codec.decoder import Converter, checksum
from pipelines.codec.mid_stream_changes import change_of, facts_of
from pipelines.media.demuxer import film_decoder, open_source, packets_of
from pipelines.media.packet_reader import CurrentSideData
from pipelines.media.video_info import NO_PTS, ROUNDING_SECONDS, PacketIndex, VideoInfo
from pipelines.probe.first_frames import FirstFrames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.video.stream import VideoStream

    from pipelines.media.video_info import FrameFacts

__all__ = [
    "WILD_TIMES",
    "changes_of",
    "confirmed",
    "count",
    "counted",
    "even_rate",
    "expected_times",
    "frame_durations",
    "frame_rate",
    "has_hidden_times",
]


_MOST_DAMAGED = 1000
_CHECKED = 250
"""One frame in so many is compared with the decoding in workers, if frames are counted."""


WILD_TIMES = "its timestamps are farther apart than any film is long; it is damaged"


_UNRELIABLE_CODECS = frozenset(
    {"mpeg4", "msmpeg4v2", "msmpeg4v3", "vp8", "h263", "flv1", "rv10", "rv20", "rv30", "rv40"}
)
"""Packets of these may contain no frame (alt-ref, N-VOP) or two (packed B)."""


_COMMON_RATES = tuple(map(Fraction, (24, 25, 30, 48, 50, 60, 100, 120, 12, 15))) + tuple(
    Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)
)


def frame_rate(stream: VideoStream, pts: array[int]) -> Fraction:
    """Frames per second: the common rate of even timestamps, else that of the container, else as counted."""
    rate = stream.average_rate or stream.guessed_rate
    given = [Fraction(r) for r in (stream.average_rate, stream.guessed_rate) if r]
    if (even := even_rate(pts, Fraction(stream.time_base or 1), given)) is not None:
        return even
    if rate and 0 < rate <= 240:
        return Fraction(rate)
    if len(pts) > 1 and pts[-1] > pts[0] != NO_PTS:
        return ((len(pts) - 1) / ((pts[-1] - pts[0]) * Fraction(stream.time_base or 1))).limit_denominator(
            1001
        )
    return Fraction(25)


def even_rate(pts: array[int], time_base: Fraction, given: Sequence[Fraction] = ()) -> Fraction | None:
    """The common rate of rounded, even timestamps; None if there is none.

    given: rates named by the container; a common one among them takes precedence over others that fit too, as
    many do for a few frames. Containers compute a rate from rounded times and lengths, such as 24.004 for 24.
    """
    count = len(pts) - 1
    if count < 1 or pts[0] == NO_PTS or pts[-1] <= pts[0]:
        return None
    span = (pts[-1] - pts[0]) * time_base
    rounding = max(time_base, ROUNDING_SECONDS)
    fitting = [rate for rate in _COMMON_RATES if abs(count / rate - span) <= rounding]
    if not fitting:
        return None
    best = next((r for r in given if r in fitting), min(fitting, key=lambda r: abs(count / r - span)))
    times = (np.frombuffer(pts, np.int64) - pts[0]) * float(time_base)
    return best if np.abs(times - np.arange(count + 1) / float(best)).max() <= 2 * float(rounding) else None


def expected_times(
    index: PacketIndex, look: FirstFrames, format_name: str, codec: str
) -> tuple[array[int], bool]:
    """Return (timestamps that the packets promise, whether frames must be counted by decoding instead)."""
    shown = np.frombuffer(index.pts, np.int64)[np.frombuffer(index.discard, np.uint8) == 0]
    shown.sort()
    if NO_PTS in shown:
        shown[:] = NO_PTS  # of frames in another order, one without a time may be any
    promised = array("q")
    promised.frombytes(shown.data.cast("B"))
    unsure = (
        not promised
        or promised[0] == NO_PTS
        or any(map(operator.eq, promised, islice(promised, 1, None)))
        or codec in _UNRELIABLE_CODECS
        or format_name == "avi"
        or [p for p in look.pts if p is not None] != promised[: len(look.pts)].tolist()
    )
    return promised, unsure


def count(info: VideoInfo) -> VideoInfo:
    """Decode the whole film once, in order, and return the info with the decoded frames."""
    seen = counted(info)
    try:
        pts, moved = _timeline(seen.pts, info)
        durations = frame_durations(pts, info.index, None, info.rate, info.time_base)
    except OverflowError as error:
        raise MediaError(f"{info.path}: {WILD_TIMES}") from error
    note = (
        f"its packets do not tell which frames they hold; counted by decoding, "
        f"{counted_of(len(info.index), 'packet')} gave {counted_of(len(pts), 'frame')}"
    )
    if moved:
        note += f"; {moved} of their times do not ascend and are put forward by a millisecond or a tick"
    return replace(
        info,
        pts=pts,
        durations=durations,
        linear=True,
        damage=seen.damage,
        damaged=tuple(seen.damaged),
        decoder=replace(info.decoder, clock=(pts[0], info.time_base)),
        checks=tuple(seen.checks),
        changes=changes_of(info, seen),
        notes=(*info.notes, note),
    )


@dataclass
class _Counted:
    """Findings from decoding a whole film once, in its container."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    damage: int = 0
    """Frames and packets found damaged."""
    damaged: list[int] = field(default_factory=list)
    """Positions of the first damaged frames."""
    checks: list[tuple[int, int]] = field(default_factory=list)
    """(position, `decoder.checksum`) of some frames, and of those with a new header or palette."""
    changes: list[tuple[int, str]] = field(default_factory=list)
    """(position, difference from the first frame), of the first change."""


def counted(info: VideoInfo) -> _Counted:
    """Decode all frames of a film once, with its own container and decoder.

    Returns their timestamps, damage, checksums and changes.
    """
    container = open_source(info.path)
    seen = _Counted()
    pixels = info.pixels
    converter = None if pixels.is_float else Converter(pixels)
    first: FrameFacts | None = None
    in_force = CurrentSideData()
    wanted = 0
    try:
        stream, decoder = film_decoder(container, info.stream_index)
        for packet in packets_of(container, info.path, stream):
            in_force.see(packet)
            wanted = max(wanted, in_force.is_changed)
            try:
                frames = decoder.decode(packet)
            except av.error.EOFError:
                break
            except av.error.FFmpegError:
                # before the first frame: a recording that begins between key frames
                seen.damage += len(seen.pts) > 0
                continue
            for frame in frames:
                place = len(seen.pts)
                seen.pts.append(NO_PTS if frame.pts is None else frame.pts)
                seen.damage += frame.is_corrupt
                if frame.is_corrupt and len(seen.damaged) < _MOST_DAMAGED:
                    seen.damaged.append(place)
                found = facts_of(frame, decoder, first)
                first = first or found
                change = (
                    change_of(first, found, info.decoder, pixels)
                    if found != first and not seen.changes
                    else ""
                )
                if change:
                    seen.changes.append((place, change))
                if (
                    (wanted or place % _CHECKED == 0)
                    and not frame.is_corrupt
                    and converter is not None
                    and not seen.changes
                ):
                    seen.checks.append((place, checksum(converter.planes(frame))))
                    wanted = 0
    finally:
        container.close()
    if not len(seen.pts):
        raise MediaError(f"{info.path}: no frame of its video can be decoded")
    return seen


def changes_of(info: VideoInfo, seen: _Counted) -> tuple[tuple[int, str], ...]:
    """Changes reported by frames, else by headers, which a decoder may have missed.

    The latter are located by their times.
    """
    if seen.changes:
        return tuple(seen.changes)
    places = {pts: place for place, pts in enumerate(seen.pts)}
    return tuple(
        (places[pts], change)
        for pts, change in ((info.pts[place], change) for place, change in info.changes)
        if pts in places
    )


def has_hidden_times(info: VideoInfo) -> bool:
    """Whether hidden frames have times at which others are shown.

    This happens with several edits: packets can't predict how they are decoded.
    """
    first, last = info.pts[0], info.pts[-1]
    return any(
        discard and first < pts < last
        for pts, discard in zip(info.index.pts, info.index.discard, strict=True)
    )


def confirmed(info: VideoInfo) -> VideoInfo:
    """The same info if the container's own decoder returns the promised frames; else they go by order."""
    seen = counted(info)
    if seen.pts == info.pts:
        return replace(info, changes=changes_of(info, seen))
    if seen.pts[0] != NO_PTS and all(a < b for a, b in pairwise(seen.pts)):
        return count(info)
    place = next(n for n, (a, b) in enumerate(pairwise((seen.pts[0] - 1, *seen.pts))) if a >= b)
    raise MediaError(
        f"{info.path}: its edit list puts frame {place}"
        f" ({float((seen.pts[place] - seen.pts[0]) * info.time_base):.3f} s) out of order (not later than the"
        " previous frame); convert the file to FFV1 with FFmpeg and upscale the result"
    )


def _timeline(seen: array[int], info: VideoInfo) -> tuple[array[int], int]:
    """(strictly ascending timestamps for frames known by order, how many of the decoder's were moved).

    Frames keep their own timestamps if possible. Otherwise they get those of the packets, else their own with
    a few moved later, else those of the frame rate. In recordings, packets need not all have a timestamp:
    frames without one get that of the frame rate if the others agree with it, else an even one in between.
    """
    ascending = all(map(operator.lt, seen, islice(seen, 1, None)))
    if seen[0] != NO_PTS and ascending:
        return seen, 0
    period = 1 / (info.rate * info.time_base)
    packets, some_lack_one = info.index, NO_PTS in info.index.pts
    if some_lack_one and 0 < seen.count(NO_PTS) < len(seen) and (filled := _filled(seen, period)) is not None:
        return filled, 0
    times = sorted({p for p in (packets.dts if some_lack_one else packets.pts) if p != NO_PTS})
    if len(times) == len(seen):
        return array("q", times), 0
    nudged, moved = _nudged(seen, least=max(1, math.ceil(Fraction(1, 1000) / info.time_base)), most=period)
    if nudged is not None:
        return nudged, moved
    start = next((p for p in seen if p != NO_PTS), 0)
    return array("q", (start + round(i * period) for i in range(len(seen)))), 0


def _filled(seen: array[int], period: Fraction) -> array[int] | None:
    """Fill in missing times; None if the others do not ascend."""
    places = np.flatnonzero(np.frombuffer(seen, np.int64) != NO_PTS).tolist()
    known = [seen[place] for place in places]
    if any(map(operator.ge, known, islice(known, 1, None))):
        return None
    first, last = places[0], places[-1]
    even = [known[0] + round((place - first) * period) for place in range(len(seen))]
    if abs(even[last] - known[-1]) <= period / 2:
        return array("q", even)
    made = np.interp(range(len(seen)), places, [time - known[0] for time in known])
    for place in (*range(first), *range(last + 1, len(seen))):
        made[place] = even[place] - even[min(max(place, first), last)] + made[min(max(place, first), last)]
    return array("q", (known[0] + round(offset) for offset in made))


_FEW = 8
"""Share of timestamps (one in so many) that may fail to ascend before none is believed."""


def _nudged(seen: array[int], *, least: int, most: Fraction) -> tuple[array[int] | None, int]:
    """(ascending times, how many were moved); None if many do not ascend, one is missing, or a clock jumps.

    Those that do not ascend follow the one before by `least` ticks, or halfway to the next if that is closer.
    most: ticks that a time may step back.
    """
    made = array("q", seen[:1])
    moved = 0
    for place, said in enumerate(islice(seen, 1, None), start=1):
        time, before = said, made[-1]
        if NO_PTS in {before, time} or time + most < before:
            return None, 0
        if time <= before:
            moved += 1
            later = next(
                (t for t in islice(seen, place + 1, place + 1 + _FEW) if t > before), before + 2 * least
            )
            time = before + max(1, min(least, (later - before) // 2))
        made.append(time)
    return (made, moved) if moved * _FEW <= len(seen) + _FEW else (None, 0)


def frame_durations(
    pts: array[int],
    index: PacketIndex,
    stream: VideoStream | None,
    rate: Fraction = Fraction(25),
    time_base: Fraction = Fraction(1, 25),
) -> array[int]:
    """Time from each frame to the next; the last one as in its packet, else as long as the one before."""
    if stream is not None:
        rate, time_base = frame_rate(stream, pts), Fraction(stream.time_base or time_base)
    steps = array("q", map(operator.sub, islice(pts, 1, None), pts))
    if len(pts):
        last = next(
            (d for p, d in zip(reversed(index.pts), reversed(index.duration), strict=True) if p == pts[-1]), 0
        )
        if stream is None and len(index) != len(pts):
            last = 0  # here, a packet is not a frame, but a field or two frames
        typical = steps[-1] if steps else max(1, round(1 / (rate * time_base)))
        # Matroska and FLV without durations report one tick, or what their average rate would give.
        steps.append(
            last
            if last * 3 > typical or (stream is not None and stream.container.format.name.startswith("mov"))
            else typical
        )
    return steps
