"""One pass over all packets of a file: the packet index of the video and the extent of every stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from pipelines.media.bitstream import film_header, is_clean_point, nal_length_size
from pipelines.media.demuxer import PacketData, SideDataInForce, open_decoder
from pipelines.media.timestamps import EpochClock
from pipelines.media.video_info import NO_PTS, PacketIndex
from pipelines.probe.first_frames import Look

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from av.container import InputContainer
    from av.video.stream import VideoStream

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["PacketWalk", "walk_packets"]


_MOST_HEADERS = 64
"""Places with other headers that are looked at; a film with more has changed at one of them, or never does."""


@dataclass
class PacketWalk:
    """What one pass over all packets shows."""

    start: list[PacketData] = field(default_factory=list)
    """The first packets, up to those that frames were looked at of."""
    headers: list[tuple[int, PacketData]] = field(default_factory=list)
    """(row, packet) wherever what holds for the whole film is said otherwise than before."""

    index: PacketIndex = field(default_factory=PacketIndex)
    look: Look = field(default_factory=Look)
    counts: dict[int, int] = field(default_factory=dict)
    """Packets by stream."""
    epochs: tuple[tuple[int, int], ...] = ()
    end: Fraction = Fraction(0)
    """Seconds at which the film's last packet ends."""
    last: Fraction = Fraction(0)
    """The same of any stream."""
    damaged: int = 0
    """Packets of the film that the demuxer says have holes."""


def walk_packets(container: InputContainer, stream: VideoStream, codec: str) -> PacketWalk:
    """One pass over all packets."""
    seen, decoder = PacketWalk(), open_decoder(stream)
    index, look, counts = seen.index, seen.look, seen.counts
    ends: dict[int, int] = {}
    length_size = nal_length_size(codec, stream.codec_context.extradata)
    clock = EpochClock(container.format.name)
    epochs: list[tuple[int, int]] = []
    flagged: list[int] = []
    in_force = SideDataInForce()
    header = b""
    for packet in container.demux():
        if not packet.size:
            continue
        counts[packet.stream_index] = counts.get(packet.stream_index, 0) + 1
        clock.see(packet)
        if packet.pts is not None:
            ends[packet.stream_index] = max(ends.get(packet.stream_index, 0), packet.pts + (packet.duration or 0))
        if packet.stream_index != stream.index:
            continue
        if packet.is_corrupt:
            flagged.append(len(index))
        offset = clock.shift_ticks(stream)
        if offset != (epochs[-1][1] if epochs else 0):
            epochs.append((len(index), offset))
        side = in_force.see(packet)
        if in_force.is_changed and in_force.extradata is not None:
            length_size = nal_length_size(codec, in_force.extradata)
        data = bytes(packet) if packet.is_keyframe or not look.is_enough else b""
        look.first = look.first or data
        clean = packet.is_keyframe and is_clean_point(codec, data, length_size)
        if not look.is_enough:
            seen.start.append(_alone(packet, data, side))
        if packet.is_keyframe:
            said = film_header(codec, data, length_size) or header
            if (said != header or in_force.is_changed) and len(index) and len(seen.headers) < _MOST_HEADERS:
                seen.headers.append((len(index), _alone(packet, data, side)))
            header = said
        index.pts.append(NO_PTS if packet.pts is None else packet.pts + offset)
        index.dts.append(NO_PTS if packet.dts is None else packet.dts + offset)
        index.duration.append(packet.duration or 0)
        index.size.append(packet.size)
        index.clean.append(clean)
        index.discard.append(packet.is_discard)
        if not look.is_enough:
            look.take(packet, decoder)
    if not look.is_enough:
        look.take(None, decoder)
    # Where recordings are joined, the counters of TS packets jump, which flags what stands before the key frame there; it may be whole,
    # and if it is not, its frames say so.
    seen.damaged = sum(not any(index.clean[n + 1 : n + 3]) for n in flagged)
    seen.epochs = tuple(epochs)
    seconds = {n: end * Fraction(container.streams[n].time_base or 0) for n, end in ends.items()}
    seen.end, seen.last = seconds.get(stream.index, Fraction(0)), max(seconds.values(), default=Fraction(0))
    return seen


def _alone(packet: Packet, data: bytes, side: tuple[tuple[str, bytes], ...]) -> PacketData:
    return PacketData(data, packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, packet.is_discard, side)
