"""Times of copied packets: missing ones are filled in, none steps back, and they are cut to a range."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from typing import TypeAlias

    from av.container import OutputContainer

    Packet: TypeAlias = av.Packet[Any]

__all__ = [
    "KEEPS_MILLISECONDS",
    "EndToEndClock",
    "MonotonicClock",
    "clip_start",
    "decode_ticks",
    "rescaled",
    "shown_ticks",
    "with_decode_times",
]


KEEPS_MILLISECONDS = frozenset({"matroska", "webm"})
"""Containers that round every timestamp to 1 ms."""


_MOST_WITHOUT_TIME = 64
"""Packets of a stream that are held back until one has a decode time."""


def with_decode_times(packets: Iterable[Packet], films: Container[int]) -> Iterator[Packet]:
    """Yield packets, and fill in missing decode times of the first packets of videos with B-frames.

    Matroska lacks them; they follow from later packets.

    films: indexes of the video streams that are passed on.
    """
    held: dict[int, list[Packet]] = {}
    known: set[int] = set()
    for packet in packets:
        index = packet.stream_index
        if index not in films or index in known or not packet.size:
            yield packet
            continue
        held.setdefault(index, []).append(packet)
        if packet.dts is not None or len(held[index]) == _MOST_WITHOUT_TIME:
            known.add(index)
            yield from _counted_back(held.pop(index))
    for rest in held.values():
        yield from _counted_back(rest)


def _counted_back(packets: list[Packet]) -> list[Packet]:
    """Give decode times to packets of which at most the last has one.

    Each one gets a time one step before the next one's, or the times follow the order of presentation.
    """
    steps = [packet.duration or 1 for packet in packets]
    if packets[-1].dts is not None:
        for place in range(len(packets) - 2, -1, -1):
            packets[place].dts = decode_ticks(packets[place + 1]) - steps[place]
        return packets
    times = [packet.pts for packet in packets]
    if all(time is not None for time in times):
        shown = sorted(time for time in times if time is not None)
        lead = max(place - shown.index(time) for place, time in enumerate(times) if time is not None)
        for place, packet in enumerate(packets):
            packet.dts = shown[place - lead] if place >= lead else shown[0] - (lead - place) * steps[place]
    return packets


class MonotonicClock:
    """Keeps decode times from stepping back in any track of the output, as its muxer requires.

    Times that would step back are moved forward, as FFmpeg's command does. They are counted in ticks of the
    output, because two times of the source may round to the same tick.
    """

    def __init__(self, output: OutputContainer, container: str) -> None:
        self._output, self._least = output, 0 if container in KEEPS_MILLISECONDS else 1
        self._last: dict[int, int] = {}

    def follow(self, packet: Packet) -> None:
        """Move a packet of the output after the one before it in its track, if necessary.

        Its presentation time changes only if it would be before its decode time.
        """
        base, own = Fraction(packet.stream.time_base or 1), Fraction(packet.time_base)
        decoded = rescaled(decode_ticks(packet), own, base)
        earliest = self._last.get(packet.stream_index, decoded - 1) + self._least
        if decoded < earliest:
            shown = decoded if packet.pts is None else rescaled(packet.pts, own, base)
            duration = rescaled(packet.duration or 0, own, base)
            packet.time_base = base
            packet.dts, packet.pts, packet.duration = earliest, max(shown, earliest), duration
            decoded = earliest
        self._last[packet.stream_index] = decoded


class EndToEndClock:
    """Gives packets of plain PCM the times at which MP4 and MOV play them: each begins where the last ends.

    If packets of the source overlap and keep their times, the muxer declares a track shorter than its
    samples, and players cut off its end.
    """

    def __init__(self) -> None:
        self._next: dict[int, tuple[int, Fraction]] = {}
        """Stream of the output -> (sample at which its first packet begins, samples so far)."""

    def follow(self, packet: Packet, samples: Fraction, rate: int) -> None:
        """Put a packet of the output after the one before it in its track."""
        begin = rescaled(shown_ticks(packet), Fraction(packet.time_base), Fraction(1, rate))
        first, count = self._next.get(packet.stream_index, (begin, Fraction(0)))
        self._next[packet.stream_index] = first, count + samples
        packet.time_base = Fraction(1, rate)
        packet.pts = packet.dts = first + round(count)
        packet.duration = round(count + samples) - round(count)


def rescaled(ticks: int, base: Fraction, to: Fraction) -> int:
    """Ticks in another time base, rounded as in FFmpeg: to nearest, halves away from zero."""
    up, down = base.numerator * to.denominator, base.denominator * to.numerator
    whole = (2 * abs(ticks) * up + down) // (2 * down)
    return whole if ticks >= 0 else -whole


def clip_start(packet: Packet, start: int) -> bool:
    """Let a subtitle that is shown before a tick begin there; False if it has ended by then.

    Its end stays the same.

    FFmpeg's MP4 muxer fills gaps between subtitles, and miscounts them if the text begins before 0.
    """
    shown, length = shown_ticks(packet), packet.duration or 0
    if shown >= start:
        return True
    if shown + length <= start and (length or packet.is_discard):
        return False
    packet.pts = packet.dts = start
    packet.duration = max(0, shown + length - start)
    return True


def shown_ticks(packet: Packet) -> int:
    """Presentation time, if it has one."""
    return packet.pts if packet.pts is not None else decode_ticks(packet)


def decode_ticks(packet: Packet) -> int:
    """Decode time, which every packet here has."""
    return packet.dts if packet.dts is not None else 0
