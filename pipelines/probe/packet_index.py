"""One pass over all packets of a file: the packet index of the video, and the extent of every stream."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av

from pipelines.file_parsing.container_check import detects_truncation
from pipelines.media.bitstream import film_header, is_clean_point, nal_length_size
from pipelines.media.demuxer import open_decoder, to_gap
from pipelines.media.frame_sizes import ResizeDetector
from pipelines.media.packet_reader import CurrentSideData, PacketData, is_filler
from pipelines.media.timestamps import EpochClock
from pipelines.media.video_info import NO_PTS, PacketIndex
from pipelines.probe.dynamic_hdr_look import DynamicHdrLook
from pipelines.probe.first_frames import FirstFrames

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from av.container import InputContainer
    from av.video.stream import VideoStream

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["PacketWalk", "pcm_samples", "walk_packets"]


_MOST_HEADERS = 64
"""Most places with other headers that are examined; a film with more has changed at one of them, or never
does."""


_FIRST_PACKETS, _LAST_PACKETS = 8, 2
"""Number of kept packets of every other stream."""


_LONGEST_GROUP = 100
"""Packets between two clean points that are kept in memory and decoded once more."""


class OtherTracks:
    """Findings about the streams other than the film."""

    def __init__(self) -> None:
        self.first: dict[int, list[PacketData]] = {}
        self.last: dict[int, deque[Packet]] = {}
        self.start: Fraction | None = None
        """Seconds at which the first video or audio stream begins, including the film."""
        self.steps_back: dict[int, tuple[int, Fraction]] = {}
        """stream -> (how often its decode times step back, by how many seconds at most)."""
        self.drift: dict[int, Fraction] = {}
        """stream -> largest difference in seconds between the time of a PCM packet and that of its
        samples."""
        self._decoded: dict[int, int] = {}
        self._samples: dict[int, tuple[Fraction, Fraction]] = {}
        """stream -> (seconds of the first packet, samples of each channel so far)."""

    def see(self, packet: Packet, offset: int, *, is_film: bool) -> None:
        """Process a packet. offset: added to its times by its clock's epoch."""
        index, kind, base = packet.stream_index, packet.stream.type, Fraction(packet.time_base or 1)
        if packet.pts is not None and kind in {"video", "audio"} and not packet.is_discard:
            shown = (packet.pts + offset) * base
            self.start = shown if self.start is None else min(self.start, shown)
        if is_film:
            return
        if len(self.first.setdefault(index, [])) < _FIRST_PACKETS:
            self.first[index].append(_alone(packet, bytes(packet), ()))
        else:
            self.last.setdefault(index, deque(maxlen=_LAST_PACKETS)).append(packet)
        if kind not in {"video", "audio"} or packet.is_discard:
            return
        if packet.dts is not None:
            now = packet.dts + offset
            back = self._decoded.get(index, now) - now
            if back > 0:
                count, most = self.steps_back.get(index, (0, Fraction(0)))
                self.steps_back[index] = (count + 1, max(most, back * base))
            self._decoded[index] = now
        if packet.pts is not None and kind == "audio":
            self._see_samples(packet, (packet.pts + offset) * base)

    def _see_samples(self, packet: Packet, shown: Fraction) -> None:
        context = packet.stream.codec_context
        samples = pcm_samples(context, packet) if context is not None else 0
        if samples:
            first, count = self._samples.setdefault(packet.stream_index, (shown, Fraction(0)))
            off = abs(shown - first - count / context.rate)
            self.drift[packet.stream_index] = max(self.drift.get(packet.stream_index, Fraction(0)), off)
            self._samples[packet.stream_index] = (first, count + samples)

    def kept(self) -> dict[int, tuple[PacketData, ...]]:
        """The first and last packets of every stream, the last ones shifted to follow the first.

        Packets between them are missing.
        """
        found = {}
        for index, first in self.first.items():
            last = [_alone(packet, bytes(packet), ()) for packet in self.last.get(index, ())]
            times = [t for p in last for t in (p.dts, p.pts) if t is not None]
            decoded = [p.dts for p in first if p.dts is not None]
            # for packets without a duration
            step = max((b - a for a, b in pairwise(decoded)), default=0)
            end = max(
                (t + (p.duration or step) for p in first for t in (p.dts, p.pts) if t is not None), default=0
            )
            move = end - min(times, default=end)
            moved = [
                replace(
                    p,
                    pts=None if p.pts is None else p.pts + move,
                    dts=None if p.dts is None else p.dts + move,
                )
                for p in last
            ]
            found[index] = (*first, *moved)
        return found


def pcm_samples(context: Any, packet: Packet) -> Fraction:
    """Samples of each channel in a packet of PCM; 0 for anything else.

    In packets of discs and broadcasts a header gives the bits of a sample. A disc splits packets when they
    are full, even in the middle of a sample. Blu-ray pads to whole pairs of channels (BD-ROM part 3), DVD
    stores 20 bits in two and a half bytes, SMPTE ST 302 four flags with each sample.
    """
    name, channels, size = context.codec.canonical_name, context.layout.nb_channels, packet.size
    head = bytes(memoryview(packet)[:4])
    if name in {"pcm_bluray", "pcm_dvd", "s302m"} and len(head) == 4 and channels:
        if name == "pcm_bluray":
            return Fraction(size - 4, (channels + channels % 2) * (2 if head[3] >> 6 == 1 else 3))
        if name == "pcm_dvd":
            return Fraction((size - 3) * 2, channels * (4 + (head[1] >> 6 & 3)))
        return Fraction((size - 4) * 2, channels * (5 + (head[3] >> 4 & 3)))
    match = re.fullmatch(r"pcm_(?:[suf](\d+)(?:le|be)?|alaw|mulaw)", name)
    bits = int(match[1] or 8) if match else 0
    return Fraction(size * 8, channels * bits) if bits and channels else Fraction(0)


@dataclass
class PacketWalk:
    """Findings of one pass over all packets."""

    start: list[PacketData] = field(default_factory=list)
    """The first packets, up to the last one with an examined frame."""
    headers: list[tuple[int, PacketData]] = field(default_factory=list)
    """(row, packet) wherever headers of the whole film change."""

    index: PacketIndex = field(default_factory=PacketIndex)
    look: FirstFrames = field(default_factory=FirstFrames)
    dynamic_hdr: DynamicHdrLook = field(default_factory=DynamicHdrLook)
    counts: dict[int, int] = field(default_factory=dict)
    """Packets by stream."""
    epochs: tuple[tuple[int, int], ...] = ()
    end: Fraction = Fraction(0)
    """Seconds at which the film's last packet ends."""
    last: Fraction = Fraction(0)
    """Seconds at which the last packet of any stream ends."""
    damaged: int = 0
    """Packets of the film that the demuxer reports as damaged."""
    tail: list[PacketData] = field(default_factory=list)
    """The film's packets from the last but one clean point on, which the last frames may need, for containers
    without lengths; empty if there are too many."""
    resizes: bool = False
    """An inter frame has a new size."""
    repeats: bool = False
    """An edit list goes back in the file, to packets that were shown."""
    others: OtherTracks = field(default_factory=OtherTracks)


def walk_packets(container: InputContainer, stream: VideoStream, codec: str) -> PacketWalk:
    """Make one pass over all packets."""
    return _Walk(container, stream, codec).run()


class _Walk:
    """State that is followed from packet to packet."""

    def __init__(self, container: InputContainer, stream: VideoStream, codec: str) -> None:
        self._container, self._stream, self._codec = container, stream, codec
        self._seen, self._decoder = PacketWalk(), open_decoder(stream)
        self._length_size = nal_length_size(codec, stream.codec_context.extradata)
        self._clock = EpochClock(container)
        self._in_force = CurrentSideData()
        self._sizes = ResizeDetector(codec)
        self._header = b""
        self._place = 0
        """Position of the film's previous packet in the file."""
        self._ends: dict[int, int] = {}
        """Stream -> tick at which its last packet ends."""
        self._epochs: list[tuple[int, int]] = []
        self._flagged: list[int] = []
        """Rows of packets that the demuxer reports as damaged."""
        self._groups: deque[list[tuple[Packet, tuple[tuple[str, bytes], ...]]]] = deque(maxlen=2)
        self._tells_lengths = detects_truncation(container.format.name)

    def run(self) -> PacketWalk:
        """Process every packet of the file."""
        seen = self._seen
        for packet in to_gap(self._container):
            if packet.size:
                self._count(packet)
                if packet.stream_index == self._stream.index:
                    self._film_packet(packet)
        if not seen.look.is_enough:
            seen.look.take(None, self._decoder)
        if all(len(group) <= _LONGEST_GROUP for group in self._groups):
            seen.tail = [
                _alone(packet, bytes(packet), side) for group in self._groups for packet, side in group
            ]
        # If recordings were joined, the counters of TS packets jump, and the packets before the next key
        # frame are flagged. They may be intact; if not, their frames are damaged.
        seen.damaged = sum(not any(seen.index.clean[n + 1 : n + 3]) for n in self._flagged)
        seen.epochs = tuple(self._epochs)
        streams = self._container.streams
        seconds = {n: end * Fraction(streams[n].time_base or 0) for n, end in self._ends.items()}
        seen.end = seconds.get(self._stream.index, Fraction(0))
        seen.last = max(seconds.values(), default=Fraction(0))
        return seen

    def _count(self, packet: Packet) -> None:
        """Record a packet of any stream."""
        number, seen = packet.stream_index, self._seen
        seen.counts[number] = seen.counts.get(number, 0) + (not is_filler(packet))
        self._clock.see(packet)
        if packet.pts is not None:
            self._ends[number] = max(self._ends.get(number, 0), packet.pts + (packet.duration or 0))
        is_film = number == self._stream.index
        seen.others.see(packet, self._clock.shift_ticks(packet.stream), is_film=is_film)

    def _film_packet(self, packet: Packet) -> None:
        seen, index, look = self._seen, self._seen.index, self._seen.look
        if packet.is_corrupt:
            self._flagged.append(len(index))
        offset = self._clock.shift_ticks(self._stream)
        if offset != (self._epochs[-1][1] if self._epochs else 0):
            self._epochs.append((len(index), offset))
        side = self._in_force.see(packet)
        if self._in_force.is_changed and self._in_force.extradata is not None:
            self._length_size = nal_length_size(self._codec, self._in_force.extradata)
        data = bytes(packet) if packet.is_keyframe or not look.is_enough else b""
        look.first = look.first or data
        if data:
            seen.dynamic_hdr.see(self._codec, data, self._length_size, side)
        seen.resizes = seen.resizes or self._sizes.sees_a_size(memoryview(packet))
        if packet.pos is not None:
            seen.repeats |= 0 <= packet.pos < self._place
            self._place = packet.pos
        clean = packet.is_keyframe and is_clean_point(self._codec, data, self._length_size)
        self._keep_tail(packet, side, clean=clean)
        if not look.is_enough:
            seen.start.append(_alone(packet, data, side))
        if packet.is_keyframe:
            self._key_frame(packet, data, side)
        index.pts.append(NO_PTS if packet.pts is None else packet.pts + offset)
        index.dts.append(NO_PTS if packet.dts is None else packet.dts + offset)
        index.duration.append(packet.duration or 0)
        index.size.append(packet.size)
        index.clean.append(clean)
        index.discard.append(packet.is_discard)
        if not look.is_enough:
            look.take(packet, self._decoder)

    def _keep_tail(self, packet: Packet, side: tuple[tuple[str, bytes], ...], *, clean: bool) -> None:
        """Keep the packets from the last but one clean point on, if they are not too many."""
        if clean and not self._tells_lengths:
            self._groups.append([])
        if self._groups and len(self._groups[-1]) <= _LONGEST_GROUP:
            self._groups[-1].append((packet, side))

    def _key_frame(self, packet: Packet, data: bytes, side: tuple[tuple[str, bytes], ...]) -> None:
        """Keep a key frame that changes headers of the whole film."""
        seen = self._seen
        said = film_header(self._codec, data, self._length_size) or self._header
        is_new = said != self._header or self._in_force.is_changed
        if is_new and len(seen.index) and len(seen.headers) < _MOST_HEADERS:
            seen.headers.append((len(seen.index), _alone(packet, data, side)))
        self._header = said


def _alone(packet: Packet, data: bytes, side: tuple[tuple[str, bytes], ...]) -> PacketData:
    return PacketData(
        data, packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, packet.is_discard, side
    )
