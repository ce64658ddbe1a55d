"""Packets of audio, subtitles and other streams, copied unchanged."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from models.errors import CorruptError, Interrupted
from pipelines.containers.copied_tracks import LATM, REWRAPPED, codec_of, is_bare_aac, is_plain_pcm
from pipelines.containers.latm import LatmReader
from pipelines.containers.range_cut import RangeCut
from pipelines.containers.subtitle_text import ConsecutiveEvents, OverlappingEvents, coded_text, plain_text
from pipelines.containers.track_times import (
    EndToEndClock,
    MonotonicClock,
    clip_start,
    decode_ticks,
    shown_ticks,
    with_decode_times,
)
from pipelines.media.bitstream import nal_length_size, nal_units
from pipelines.media.demuxer import open_decoder
from pipelines.media.packet_reader import is_filler
from pipelines.media.timestamps import EpochClock
from pipelines.output.track_shift import copied_window, start_shift
from pipelines.probe.packet_index import pcm_samples

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from av.container import InputContainer, OutputContainer
    from av.stream import Stream as AnyStream

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

    Packet: TypeAlias = av.Packet[Any]

__all__ = [
    "CopiedStream",
    "check_stop",
    "copied_packets",
    "is_annex_b",
    "joined_units",
    "packet_seconds",
]


@dataclass
class CopiedStream:
    """The copied packets of one stream, for verification."""

    source_index: int
    output_index: int
    type: str
    packets: int = 0
    first_seconds: float | None = None
    last_seconds: float = -math.inf
    """At which its latest packet begins, in the output."""
    end_seconds: float = -math.inf
    """At which its packets end, in the output."""
    longest_seconds: float = 0.0
    """The longest packet."""
    tells_lengths: bool = True
    """Every packet has a duration."""
    is_cover: bool = False
    codec: str = ""
    """Codec in the output; empty if FFmpeg knows none."""
    text_of: str = ""
    """Source codec of subtitles that are converted to plain text."""
    delay: Fraction = Fraction(0)
    """Seconds that are added to its times in the file, and subtracted again by who reads its header."""
    is_annex_b: bool = False
    """NAL units of the source have start codes; the output may have lengths instead."""
    description: bytes = b""
    """The `trak` box of the source, if the packets can't be read without it."""
    digest: Any = field(default_factory=hashlib.sha256)

    def note_times(self, packet: Packet) -> None:
        """Record the times of a packet as the muxer gets it."""
        base = Fraction(packet.time_base)
        begins, lasts = float(shown_ticks(packet) * base), float((packet.duration or 0) * base)
        self.last_seconds = max(self.last_seconds, begins)
        self.end_seconds = max(self.end_seconds, begins + lasts)
        self.longest_seconds = max(self.longest_seconds, lasts)
        self.tells_lengths = self.tells_lengths and lasts > 0


def check_stop(stop: threading.Event | None) -> None:
    """Raise Interrupted if a stop was requested after the last chunk."""
    if stop is not None and stop.is_set():
        raise Interrupted("stopped; all chunks are kept, the same command puts them together")


def copied_packets(
    source: InputContainer,
    packets: Iterable[Packet],
    output: OutputContainer,
    plan: Plan,
    info: VideoInfo,
    passed: dict[int, CopiedStream],
) -> Iterator[Packet]:
    """Yield packets of the streams in `passed`, cut to the plan's range and shifted.

    The packets that are yielded belong to the output's streams and have its times. packets: the source's
    packets, in order.
    """
    return _StreamCopy(source, output, plan, info, passed).packets(packets)


class _StreamCopy:
    """Converts packets of the other tracks to packets of the output."""

    def __init__(
        self,
        source: InputContainer,
        output: OutputContainer,
        plan: Plan,
        info: VideoInfo,
        passed: dict[int, CopiedStream],
    ) -> None:
        self._source, self._output, self._plan, self._info = source, output, plan, info
        self._passed = passed
        window, self._shift = copied_window(plan, info), start_shift(plan, info)
        self._cut = RangeCut(window) if window is not None else None
        self._clock = EpochClock(source)
        self._latm: dict[int, LatmReader] = {}
        self._told: dict[int, int] = {}
        """Stream -> decode time of its last packet in the source."""
        self._last: dict[int, int] = {}
        """Stream -> decode time of its last packet in the output."""
        self._order = MonotonicClock(output, plan.encoder.container)
        self._end_to_end = EndToEndClock()
        self._films = {index for index, entry in passed.items() if entry.type == "video"}
        earliest = info.pts[plan.start_frame] * info.time_base - self._shift
        self._start = Fraction(0) if window is not None else min(Fraction(0), earliest)
        """Seconds in the output before which nothing is seen."""
        self._texts = {
            index: (ConsecutiveEvents if entry.codec == "mov_text" else OverlappingEvents)(self._base(index))
            for index, entry in passed.items()
            if entry.text_of
        }

    def _base(self, index: int) -> Fraction:
        return Fraction(self._source.streams[index].time_base or 1)

    def packets(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Yield the packets of the output for all packets of the source."""
        for packet in with_decode_times(packets, self._films):
            if not packet.size:
                continue
            self._clock.see(packet)
            if packet.stream_index in self._passed:
                self._complete_times(packet)
                for kept in self._cut.take(packet) if self._cut is not None else self._shifted(packet):
                    yield from self._finished(kept)
        for kept in self._cut.rest() if self._cut is not None else ():
            yield from self._finished(kept)
        for index, rest in self._texts.items():
            for event in rest.rest():
                entry = self._passed[index]
                yield self._noted(_as_text(event, self._base(index), entry.codec), entry)

    def _finished(self, packet: Packet) -> Iterator[Packet]:
        """The packets of the output for one with the times of the output."""
        entry = self._passed[packet.stream_index]
        if self._is_wanted(packet):
            for made in self._converted(packet, entry):
                yield self._noted(made, entry)

    def _complete_times(self, packet: Packet) -> None:
        """Give a packet the times it lacks, by the clock of its part of the recording."""
        offset = self._clock.shift_ticks(packet.stream)
        if packet.pts is not None:
            packet.pts += offset
        packet.dts = packet.dts + offset if packet.dts is not None else packet.pts
        if packet.dts is None:
            packet.pts = packet.dts = self._told.get(packet.stream_index, 0)
        self._told[packet.stream_index] = decode_ticks(packet)

    def _shifted(self, packet: Packet) -> Iterator[Packet]:
        """A packet of a whole film, with its times in the output."""
        ticks = round(self._shift / Fraction(packet.time_base))
        packet.pts = None if packet.pts is None else packet.pts - ticks
        packet.dts = decode_ticks(packet) - ticks
        yield packet

    def _is_wanted(self, packet: Packet) -> bool:
        """Whether a packet with the times of the output is seen or heard there."""
        base = Fraction(packet.time_base)
        if packet.stream.type == "subtitle" and not clip_start(packet, math.ceil(self._start / base)):
            return False
        now = decode_ticks(packet)
        if packet.is_discard and now < self._last.get(packet.stream_index, now):
            # audio that an edit list skips in the middle; its times are before those of the last audible
            # packet
            return False
        self._last[packet.stream_index] = now
        return not is_filler(packet)

    def _converted(self, packet: Packet, entry: CopiedStream) -> Iterator[Packet]:
        """A packet as the output accepts it: none for a damaged one, several for timed text."""
        base = Fraction(packet.time_base)
        adts = self._source.format.name == "mpegts"
        if entry.text_of:
            text = plain_text(entry.text_of, bytes(packet))
            found = self._texts[packet.stream_index].add(shown_ticks(packet), packet.duration or 0, text)
            yield from (_as_text(event, base, entry.codec) for event in found)
        elif adts and is_bare_aac(packet.stream) and _payload(packet) == bytes(packet):
            self._refuse_damage(packet, entry)
        elif codec_of(packet.stream) == LATM:
            try:
                yield from _unwrapped(packet, self._latm.setdefault(packet.stream_index, LatmReader()))
            except ValueError:
                self._refuse_damage(packet, entry)
        elif codec_of(packet.stream) in REWRAPPED:
            try:
                yield _as_pcm(packet, self._output.streams[entry.output_index])
            except av.error.FFmpegError:
                self._refuse_damage(packet, entry)
        else:
            yield packet

    def _refuse_damage(self, packet: Packet, entry: CopiedStream) -> None:
        """Raise CorruptError, unless damaged packets are left out."""
        if self._plan.on_corrupt != "conceal":
            raise _damaged(self._info, entry, float(decode_ticks(packet) * Fraction(packet.time_base)))

    def _follow(self, packet: Packet, entry: CopiedStream) -> None:
        """Make it a packet of the output, with times that its muxer accepts."""
        context = getattr(packet.stream, "codec_context", None)
        in_mp4 = self._plan.encoder.container in {"mp4", "mov"}
        is_plain = in_mp4 and entry.codec.startswith("pcm_") and is_plain_pcm(packet.stream)
        samples = pcm_samples(context, packet) if is_plain else Fraction(0)
        packet.stream = self._output.streams[entry.output_index]
        if samples and context is not None:
            self._end_to_end.follow(packet, samples, context.rate)
        self._order.follow(packet)

    def _noted(self, packet: Packet, entry: CopiedStream) -> Packet:
        """Convert the packet to one of the output, and record it."""
        base, shown = Fraction(packet.time_base), shown_ticks(packet)
        entry.packets += 1
        entry.digest.update(
            joined_units(bytes(packet), codec_of(packet.stream), packet.stream)
            if entry.is_annex_b
            else _payload(packet)
        )
        if entry.first_seconds is None:
            entry.first_seconds = float(shown * base)
        self._follow(packet, entry)
        entry.note_times(packet)
        if entry.delay:
            ticks = round(entry.delay / Fraction(packet.time_base))
            packet.pts, packet.dts = shown_ticks(packet) + ticks, decode_ticks(packet) + ticks
        return packet


def _as_text(event: tuple[int, int, str], base: Fraction, codec: str) -> Packet:
    data = coded_text(event[2], codec)
    packet: Packet = av.Packet(len(data))
    packet.update(data)
    packet.time_base, packet.is_keyframe = base, True
    packet.pts = packet.dts = event[0]
    packet.duration = event[1]
    return packet


def _damaged(info: VideoInfo, entry: CopiedStream, seconds: float) -> CorruptError:
    return CorruptError(
        f"{info.path}: audio stream {entry.source_index} is damaged at {seconds:.3f} s; --on-corrupt conceal"
        " would leave out what is damaged"
    )


def _unwrapped(packet: Packet, reader: LatmReader) -> Iterator[Packet]:
    """The access units of a packet of LATM, one after the other. Raises ValueError if it is damaged."""
    units = reader.units(bytes(packet))
    for number, data in enumerate(units):
        unit: Packet = av.Packet(len(data))
        unit.update(data)
        unit.stream, unit.time_base, unit.is_keyframe = packet.stream, packet.time_base, True
        length = (packet.duration or 0) // len(units)
        unit.pts = unit.dts = shown_ticks(packet) + number * length
        unit.duration = length
        yield unit


def _as_pcm(packet: Packet, target: AnyStream) -> Packet:
    """The samples of an LPCM packet, as a packet of plain PCM at the same time.

    Raises av.error.FFmpegError if it is damaged.
    """
    encoder: Any = target.codec_context
    decoder: Any = open_decoder(packet.stream)
    frames = decoder.decode(packet)
    data = b"".join(bytes(coded) for frame in frames for coded in encoder.encode(frame))
    plain: Packet = av.Packet(len(data))
    plain.update(data)
    plain.stream, plain.time_base = packet.stream, packet.time_base
    plain.pts, plain.dts, plain.is_keyframe = packet.pts, packet.dts, True
    plain.duration = round(
        sum(frame.samples for frame in frames) / (encoder.sample_rate * Fraction(packet.time_base))
    )
    return plain


def is_annex_b(stream: AnyStream) -> bool:
    """Whether video has NAL units with start codes; muxers of MP4 and Matroska replace them with lengths."""
    codec = codec_of(stream)
    return codec in {"h264", "hevc"} and not nal_length_size(codec, stream.codec_context.extradata)


def joined_units(data: bytes, codec: str, stream: AnyStream) -> bytes:
    """The NAL units of a packet, each after its length, however the stream separates them.

    Zeros between them belong to none.
    """
    units = (
        unit.rstrip(b"\0") for unit in nal_units(data, nal_length_size(codec, stream.codec_context.extradata))
    )
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def _payload(packet: Packet) -> bytes:
    """The part of a packet that is written to the file.

    For AAC of a broadcast, this is the packet without its ADTS header (ISO/IEC 13818-7, clause 6.2).
    """
    data = bytes(packet)
    if (
        packet.stream is None
        or not is_bare_aac(packet.stream)
        or len(data) < 9
        or data[0] != 0xFF
        or data[1] & 0xF6 != 0xF0
    ):
        return data
    return data[7 if data[1] & 1 else 9 :]


def packet_seconds(packet: Packet) -> float:
    """Time in seconds, for sorting packets; never for timestamps."""
    return float(decode_ticks(packet) * Fraction(packet.time_base or 1))
