"""`RangeCut`: the packets of the other tracks that belong to a range of a film."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from pipelines.containers.copied_tracks import is_plain_pcm
from pipelines.containers.track_times import clip_start, decode_ticks, rescaled, shown_ticks
from pipelines.probe.packet_index import pcm_samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["RangeCut"]


class RangeCut:
    """Selects the packets of the other tracks that belong to a range of a film, with times that begin at 0.

    Subtitles and data samples that are valid when the range begins are kept, and begin with it. PCM is cut to
    the sample, other audio to whole packets. A second video begins with its first key frame.
    """

    def __init__(self, window: tuple[Fraction, Fraction]) -> None:
        """window: seconds [from, to)."""
        self._window = window
        self._keys: dict[int, int] = {}
        """Second film -> time of the key frame with which it begins."""
        self._in_force: dict[int, Packet] = {}
        """Subtitle stream -> its latest packet without a duration that begins before the part."""

    def take(self, packet: Packet) -> Iterator[Packet]:
        """Yield a packet with its new times, or nothing.

        Subtitles that are shown when the range begins are yielded before it. The packet must have a decode
        time.
        """
        base, kind = Fraction(packet.time_base), packet.stream.type
        start, decoded = shown_ticks(packet) * base, decode_ticks(packet) * base
        if decoded > self._window[0]:
            yield from self._released()
        if kind == "video":
            kept: Packet | None = packet if self._is_of_film(packet, start, decoded) else None
        elif start >= self._window[1]:
            kept = None
        elif kind == "audio":
            kept = self._heard(packet, start, base)
        else:
            kept = self._in_part(packet, start, base)
        if kept is not None:
            yield self._moved(kept)

    def rest(self) -> Iterator[Packet]:
        """Yield the subtitles that are shown when the range begins, if no later packet has released them."""
        yield from self._released()

    def _released(self) -> Iterator[Packet]:
        for index in list(self._in_force):
            packet = self._in_force.pop(index)
            packet.pts = packet.dts = math.ceil(self._window[0] / Fraction(packet.time_base))
            yield self._moved(packet)

    def _moved(self, packet: Packet) -> Packet:
        shift = round(self._window[0] / Fraction(packet.time_base))
        packet.pts, packet.dts = shown_ticks(packet) - shift, decode_ticks(packet) - shift
        if packet.stream.type in {"subtitle", "data"}:
            clip_start(packet, 0)
        return packet

    def _is_of_film(self, packet: Packet, start: Fraction, decoded: Fraction) -> bool:
        """Whether a packet of a second video can be decoded, starting with its first key frame in the range.

        Reference frames of frames before the end are kept, even if they are shown later.
        """
        if start >= self._window[0] and packet.is_keyframe:
            self._keys.setdefault(packet.stream_index, shown_ticks(packet))
        first = self._keys.get(packet.stream_index)
        return first is not None and shown_ticks(packet) >= first and decoded < self._window[1]

    def _heard(self, packet: Packet, start: Fraction, base: Fraction) -> Packet | None:
        """Audio of the range: cut to the sample, if every sample has separate bytes."""
        samples = (
            pcm_samples(packet.stream.codec_context, packet) if is_plain_pcm(packet.stream) else Fraction(0)
        )
        rate = packet.stream.codec_context.rate if samples else 0
        if not samples or samples.denominator != 1 or packet.size % samples:
            return packet if start >= self._window[0] else None
        first, stop = (min(int(samples), max(0, math.ceil((edge - start) * rate))) for edge in self._window)
        if first == 0 and stop == samples:
            return packet
        if first >= stop:
            return None
        size = int(packet.size // samples)
        data = bytes(packet)[first * size : stop * size]
        cut: Packet = av.Packet(len(data))
        cut.update(data)
        cut.stream, cut.time_base, cut.is_keyframe = packet.stream, base, True
        cut.pts = cut.dts = rescaled(first, Fraction(1, rate), base) + shown_ticks(packet)
        cut.duration = rescaled(stop - first, Fraction(1, rate), base)
        return cut

    def _in_part(self, packet: Packet, start: Fraction, base: Fraction) -> Packet | None:
        """A subtitle or a data sample, not longer than the range."""
        end = start + (packet.duration or 0) * base
        if start < self._window[0] and end <= self._window[0]:
            self._in_force.pop(packet.stream_index, None)
            if packet.stream.type == "subtitle" and not packet.duration:
                self._in_force[packet.stream_index] = packet
            return None
        self._in_force.pop(packet.stream_index, None)
        if end > self._window[1]:
            packet.duration = round(self._window[1] / base) - shown_ticks(packet)
        return packet
