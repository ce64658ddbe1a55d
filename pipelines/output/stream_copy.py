"""Packets of audio, subtitles and other streams, passed through unchanged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from models.errors import CorruptError, Interrupted
from pipelines.media.demuxer import packets_of
from pipelines.media.timestamps import EpochClock
from pipelines.output.container_support import is_bare_aac

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from typing import TypeAlias

    from av.container import InputContainer, OutputContainer

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["Passed", "go_on", "is_filler", "packet_seconds", "passed_packets", "passed_window", "start_shift"]


@dataclass
class Passed:
    """What was passed on of one stream, to be found again in the result."""

    source_index: int
    output_index: int
    type: str
    packets: int = 0
    first_seconds: float | None = None
    is_cover: bool = False
    digest: Any = field(default_factory=hashlib.sha256)


def go_on(stop: threading.Event | None) -> None:
    """Raises Interrupted where a stop was asked for after the last chunk."""
    if stop is not None and stop.is_set():
        raise Interrupted("stopped; all chunks are kept, the same command puts them together")


def start_shift(plan: Plan, info: VideoInfo) -> Fraction:
    """Seconds by which a part of a film (`--range`) is moved to begin at 0.

    Whole films stay where they are, except those that begin before 0 in MP4 and MOV, which would hide those frames.
    """
    first = info.pts[plan.start_frame] * info.time_base
    whole = plan.start_frame == 0 and plan.stop_frame == info.frame_count
    return first if not whole or (first < 0 and plan.encoder.container in {"mp4", "mov"}) else Fraction(0)


def passed_window(plan: Plan, info: VideoInfo) -> tuple[Fraction, Fraction] | None:
    """Seconds [from, to) of a part; None for a whole film."""
    if plan.start_frame == 0 and plan.stop_frame == info.frame_count:
        return None
    last = plan.stop_frame - 1
    return info.pts[plan.start_frame] * info.time_base, (info.pts[last] + info.durations[last]) * info.time_base


def passed_packets(source: InputContainer, output: OutputContainer, plan: Plan, info: VideoInfo, passed: dict[int, Passed]) -> Iterator[Packet]:
    """Packets of the streams in `passed`, cut to the plan's range and shifted, with the stream and times of the output."""
    window, shift = passed_window(plan, info), start_shift(plan, info)
    clock = EpochClock(source.format.name)
    adts = source.format.name == "mpegts"
    last: dict[int, int] = {}
    for packet in packets_of(source, info.path):
        if not packet.size:
            continue
        clock.see(packet)
        if packet.stream_index not in passed:
            continue
        entry = passed[packet.stream_index]
        if packet.is_discard and packet.stream_index in last:
            continue  # what an edit list skips in the middle: its times lie before those of what was heard last
        offset = clock.shift_ticks(packet.stream)
        base = Fraction(packet.time_base)
        if packet.pts is not None:
            packet.pts += offset
        packet.dts = packet.dts + offset if packet.dts is not None else packet.pts
        if packet.dts is None:
            packet.pts = packet.dts = last.get(packet.stream_index, 0)
        if window is not None and not _cut(packet, window, base):
            continue
        if window is None and shift:
            ticks = round(shift / base)
            packet.pts, packet.dts = (None if packet.pts is None else packet.pts - ticks), _ticks(packet) - ticks
        last[packet.stream_index] = _ticks(packet)
        if is_filler(packet):
            continue
        if adts and is_bare_aac(packet.stream) and _payload(packet) == bytes(packet):
            if plan.on_corrupt == "conceal":
                continue
            raise CorruptError(
                f"{info.path}: audio stream {entry.source_index} is damaged at {float(_ticks(packet) * base):.3f} s; "
                "--on-corrupt conceal would leave out what is damaged"
            )
        entry.packets += 1
        entry.digest.update(_payload(packet))
        if entry.first_seconds is None:
            entry.first_seconds = float((packet.pts if packet.pts is not None else _ticks(packet)) * base)
        packet.stream = output.streams[entry.output_index]
        yield packet


def is_filler(packet: Packet) -> bool:
    """An empty sample between the subtitles of an MP4 (3GPP TS 26.245); the muxer puts in its own."""
    context = getattr(packet.stream, "codec_context", None)
    return context is not None and context.name == "mov_text" and bytes(packet) == b"\x00\x00"


def _payload(packet: Packet) -> bytes:
    """What of a packet reaches the file: AAC of a broadcast loses its ADTS header there (ISO/IEC 13818-7, clause 6.2)."""
    data = bytes(packet)
    if not is_bare_aac(packet.stream) or len(data) < 9 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return data
    return data[7 if data[1] & 1 else 9 :]


def _cut(packet: Packet, window: tuple[Fraction, Fraction], base: Fraction) -> bool:
    """Move a packet into the window's time; False where it lies outside."""
    pts = packet.pts if packet.pts is not None else _ticks(packet)
    start, end = pts * base, (pts + (packet.duration or 0)) * base
    kind = packet.stream.type
    if start >= window[1] or (start < window[0] and (kind != "subtitle" or end <= window[0])):
        return False
    shift = round(window[0] / base)
    moved = pts - shift
    packet.pts, packet.dts = moved, _ticks(packet) - shift
    if moved < 0:  # a subtitle that was already up
        packet.duration, packet.pts, packet.dts, moved = (packet.duration or 0) + moved, 0, 0, 0
    if kind == "subtitle" and end > window[1]:
        packet.duration = round((window[1] - window[0]) / base) - moved
    return True


def packet_seconds(packet: Packet) -> float:
    """For putting packets in order; never for timestamps."""
    return float(_ticks(packet) * Fraction(packet.time_base or 1))


def _ticks(packet: Packet) -> int:
    """When it is decoded; every packet here has been given that."""
    return packet.dts if packet.dts is not None else 0
