"""Clock times of broadcast containers, made to start at zero and to run through wraps."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from av.stream import Stream as AnyStream

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["CLOCKED", "EpochClock"]


CLOCKED = ("mpegts", "mpeg")
"""Demuxers with a clock that starts anywhere and may jump back inside a file (concatenated recordings)."""


_BACKSTEP_SECONDS = Fraction(1, 10)
"""How far decode times may go back before the clock is taken to have jumped."""


class EpochClock:
    """Notices where a broadcast clock jumps back, and what to add to keep all streams in step.

    Each stream notices its own jump; the n-th jump of any stream belongs to the n-th epoch of all. The offset of an epoch
    puts its earliest start behind the latest end of the one before, so no stream overlaps itself and none drifts.
    Show it all packets of a file, in order.
    """

    def __init__(self, format_name: str) -> None:
        self._enabled = format_name in CLOCKED
        self._last: dict[int, Fraction] = {}
        self._epoch_of: dict[int, int] = {}
        self._offsets = [Fraction(0)]
        self._end = Fraction(0)

    def see(self, packet: Packet) -> None:
        """Take note of a packet; `shift_ticks` then holds for it."""
        if not self._enabled or packet.dts is None or packet.time_base is None:
            return
        index, base = packet.stream_index, Fraction(packet.time_base)
        if packet.stream.type not in {"video", "audio"}:
            self._epoch_of[index] = len(self._offsets) - 1  # a subtitle's own clock may stutter; it follows the others
            return
        now = packet.dts * base
        # A jump back of more than a minute reaches us as one ahead: the demuxer takes it for the wrap of a 33-bit clock.
        if index in self._last and not self._last[index] - _BACKSTEP_SECONDS <= now <= self._last[index] + 3600:
            self._epoch_of[index] = self._epoch_of.get(index, 0) + 1
            if self._epoch_of[index] == len(self._offsets):
                self._offsets.append(self._end - now)
        self._last[index] = now
        shown = max(packet.pts or packet.dts, packet.dts) + (packet.duration or 0)
        self._end = max(self._end, shown * base + self._offsets[self._epoch_of.get(index, 0)])

    def shift_ticks(self, stream: AnyStream) -> int:
        """What to add to the times of that stream's latest packet, in its own ticks."""
        offset = self._offsets[self._epoch_of.get(stream.index, 0)]
        return round(offset / Fraction(stream.time_base or 1)) if offset else 0
