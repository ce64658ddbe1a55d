"""Clock times of broadcast containers, shifted to start at zero and to continue through wraps."""

from __future__ import annotations

import re
from bisect import bisect_right
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from pipelines.file_parsing.matroska import joined_films

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from av.container import InputContainer
    from av.stream import Stream as AnyStream

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["CLOCKED", "EpochClock", "convert_timecode", "later_timecode"]


CLOCKED = ("mpegts", "mpeg")
"""Demuxers with a clock that starts anywhere and may jump back inside a file (concatenated recordings)."""


_BACKSTEP_SECONDS = Fraction(1, 10)
"""How far decode times may go back before it counts as a clock jump."""


class EpochClock:
    """Detects backward jumps of a clock, and how to shift times to keep all streams in sync.

    The clock of a broadcast may jump anywhere. Each of its streams detects its own jump; the n-th jump of any
    stream belongs to the n-th epoch of all. The clock of a Matroska file jumps where a second file was
    appended byte by byte, in all streams at once. The offset of an epoch puts its earliest start after the
    latest end of the one before, so no stream overlaps itself and none drifts. It must get all packets of a
    file, in order.
    """

    def __init__(self, container: InputContainer) -> None:
        name = container.format.name
        self._joins = (
            joined_films(container.name.removeprefix("file:")) if name.startswith("matroska") else []
        )
        self._enabled = name in CLOCKED or bool(self._joins)
        self._last: dict[int, Fraction] = {}
        self._epoch_of: dict[int, int] = {}
        self._offsets = [Fraction(0)]
        self._end = Fraction(0)

    def see(self, packet: Packet) -> None:
        """Process a packet; `shift_ticks` is then valid for it."""
        time = packet.pts if packet.dts is None and self._joins else packet.dts
        if not self._enabled or time is None or packet.time_base is None:
            return
        index, base = packet.stream_index, Fraction(packet.time_base)
        if packet.stream.type not in {"video", "audio"}:
            # a subtitle's clock may stutter, so it follows the others
            self._epoch_of[index] = len(self._offsets) - 1
            return
        now = time * base
        self._epoch_of[index] = epoch = self._epoch(packet, now)
        while epoch >= len(self._offsets):
            self._offsets.append(self._end - now)
        self._last[index] = now
        shown = max(packet.pts or time, time) + (packet.duration or 0)
        self._end = max(self._end, shown * base + self._offsets[self._epoch_of.get(index, 0)])

    def _epoch(self, packet: Packet, now: Fraction) -> int:
        """Number of the epoch of a packet that is decoded at `now`."""
        if self._joins:
            return bisect_right(self._joins, packet.pos or 0)
        last, before = self._last.get(packet.stream_index), self._epoch_of.get(packet.stream_index, 0)
        # A jump back of more than a minute appears as a jump ahead, because the demuxer treats it as the wrap
        # of a 33-bit clock.
        return before + (last is not None and not last - _BACKSTEP_SECONDS <= now <= last + 3600)

    def shift_ticks(self, stream: AnyStream) -> int:
        """The shift of the times of that stream's latest packet, in its own ticks."""
        offset = self._offsets[self._epoch_of.get(stream.index, 0)]
        return round(offset / Fraction(stream.time_base or 1)) if offset else 0


_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def later_timecode(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode some frames later (SMPTE ST 12-1); empty if the given one is invalid.

    rate: frames per second. Drop-frame counting, with ";" before the frames, skips two numbers per minute at
    29.97 Hz and four at 59.94, except in every tenth minute.
    """
    match = _TIMECODE.fullmatch(timecode)
    if match is None or not frames:
        return timecode if match is not None else ""
    hours, minutes, seconds, own = (int(match[n]) for n in (1, 2, 3, 5))
    base = max(1, round(rate))
    dropped = base // 15 if match[4] == ";" else 0
    minute = 60 * hours + minutes
    count = (60 * minute + seconds) * base + own - dropped * (minute - minute // 10) + frames
    if dropped:
        tens, rest = divmod(count, 600 * base - 9 * dropped)
        count += 9 * dropped * tens + dropped * max(0, (rest - dropped) // (60 * base - dropped))
    seconds, own = divmod(count, base)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{match[4]}{own:02}"


def convert_timecode(timecode: str, rate: Fraction, film: Fraction) -> str:
    """Convert a timecode to another frame rate; empty stays empty.

    rate, film: frames per second before and after. Drop-frame counting is kept if each frame becomes several,
    else removed, as it isn't defined at 23.976 Hz.
    """
    match = _TIMECODE.fullmatch(timecode)
    if match is None:
        return timecode
    mark = match[4] if (film / rate).denominator == 1 else ":"
    return f"{match[1]}:{match[2]}:{match[3]}{mark}{int(match[5]) * round(film) // max(1, round(rate)):02}"
