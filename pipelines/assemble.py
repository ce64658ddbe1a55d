"""The output file: encoded chunks in order, and every other track of the source as it was, packet for packet."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import io
import math
import os
from array import array
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from models.errors import CorruptError, Interrupted, OutputError, UsageError, VerificationError
from pipelines.hdr import with_metadata
from pipelines.probe import EpochClock
from pipelines.sequence import unpack
from pipelines.source import file_url, open_memory, open_source, packets_of
from pipelines.timeline import timeline

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from av.container import InputContainer, OutputContainer

    Packet: TypeAlias = av.Packet[Any]
    from av.stream import Stream as AnyStream

    from pipelines.journal import ChunkRecord
    from pipelines.plan import Plan
    from pipelines.video import Stream, VideoInfo

__all__ = ["Passed", "assemble", "decode_times", "go_on", "incompatible_streams", "is_filler", "refuse_incompatible", "start_shift"]

_OWN_TAGS = frozenset({"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "number_of_frames", "number_of_bytes", "bps"})
"""Tags that describe the old file, not the film; the muxer writes its own."""


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


def container_options(container: str, time_bases: Iterable[Fraction]) -> dict[str, str]:
    """Muxer options of a result. time_bases: of all its tracks."""
    if container not in {"mp4", "mov"}:
        return {}
    # Edit lists, which say where a track begins, count in this clock; its default of 1 ms would move tracks against each other.
    common = math.lcm(*(b.denominator for b in time_bases))
    return {"movflags": "+faststart", **({"movie_timescale": str(common)} if common < 1 << 31 else {})}


def _time_bases(source: InputContainer) -> list[Fraction]:
    return [Fraction(s.time_base) for s in source.streams if s.time_base and s.type in {"video", "audio", "subtitle"}]


def incompatible_streams(info: VideoInfo, container: str) -> list[tuple[Stream, str]]:
    """Streams the container can't hold, and why; found by writing a header for each."""
    found = []
    source = open_source(info.path)
    try:
        for stream in info.streams:
            reason = _refusal(source, stream, container) if not _is_remade(source.streams[stream.index], stream, container) else ""
            if reason:
                found.append((stream, reason))
    finally:
        source.close()
    return found


def _is_remade(track: AnyStream, stream: Stream, container: str) -> bool:
    """Tracks that the muxer makes anew: chapter titles, and in MP4 and MOV the timecode, which it takes from the film's tag."""
    return stream.type == "data" and (not stream.packet_count or (container in {"mp4", "mov"} and "timecode" in track.metadata))


def _refusal(source: InputContainer, stream: Stream, container: str) -> str:
    if stream.is_cover and container == "matroska":
        return ""
    if _is_bare_aac(source.streams[stream.index]) and container == "matroska" and source.format.name != "mpegts":
        return "its AAC has no header (AudioSpecificConfig)"
    trial = av.open(io.BytesIO(), "w", format=container)
    try:
        video = trial.add_mux_stream("vp8" if container == "webm" else "mpeg4", rate=25, width=16, height=16)
        video.time_base = Fraction(1, 25)
        _add_stream(trial, source.streams[stream.index])
        trial.start_encoding()
    except (av.error.FFmpegError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        return str(getattr(error, "strerror", "") or error or type(error).__name__)
    finally:
        with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
            trial.close()
    return ""


def _add_stream(output: OutputContainer, source: AnyStream) -> AnyStream:
    """A track with the codec parameters of the source's; its packets will be copied."""
    try:
        stream = output.add_stream_from_template(source, opaque=True)  # type: ignore[type-var]
    except (av.error.FFmpegError, ValueError, AttributeError):
        # No decoder for it here: copy the parameters alone, its codec among them; the name only has to be of the same kind.
        stream = output.add_mux_stream({"audio": "aac", "video": "h264"}.get(source.type, "subrip"))
        BitStreamFilterContext("null", in_stream=source, out_stream=stream)
    _copy_tags(source, stream)
    return stream  # type: ignore[no-any-return]


def _copy_tags(source: AnyStream, target: AnyStream) -> None:
    for key, value in source.metadata.items():
        if key.lower() not in _OWN_TAGS and not key.upper().startswith(("_STATISTICS", "BPS", "NUMBER_OF_", "DURATION", "ROTATE")):
            target.metadata[key] = value
    target.disposition = source.disposition


def assemble(
    plan: Plan, info: VideoInfo, records: Sequence[ChunkRecord], target: Path, *, dropped: frozenset[int], stop: threading.Event | None = None
) -> list[Passed]:
    """Write the result to `target`, which has a temporary name; what was passed on comes back.

    records: every chunk of the plan, in order. dropped: indexes of source streams to leave out. stop: ends it when set.
    Raises OutputError where the result can't be written, MediaError where the source can't be read any more, VerificationError where
    chunks do not fit together, Interrupted.
    """
    if [r.index for r in records] != [c.index for c in plan.chunks]:
        raise VerificationError("chunks are missing or doubled; give the same command again")
    headers = {r.header_sha256 for r in records}
    if len(headers) != 1:
        raise VerificationError("chunks were encoded with different headers; give the same command with --fresh")
    if plan.encoder.is_sequence:
        _write_pictures(plan, records, target)
        return []
    if plan.encoder.is_picture:
        target.write_bytes(_chunk_data(records[0]))
        return []
    source = open_source(info.path)
    try:
        # Not a `with`: on an exception that would write a trailer and make a half file playable.
        options = container_options(plan.encoder.container, [plan.time_base, *_time_bases(source)])
        output = av.open(file_url(target), "w", format=plan.encoder.container, container_options=options)
        video, passed = _prepare(output, source, plan, info, records, dropped)
        output.start_encoding()
        packets = heapq.merge(_video_packets(plan, info, records, video), _passed_packets(source, output, plan, info, passed), key=_seconds)
        for packet in packets:
            go_on(stop)
            output.mux_one(packet)
        output.close()
    except OSError as error:
        raise OutputError(
            f"{target.parent}: the result can't be written: {error.strerror}; what is done is kept, free some space and give the same command again"
        ) from None
    except av.error.FFmpegError as error:
        raise VerificationError(
            f"{info.path}: the result can't be put together: {error.strerror}; name an output of another kind, .mp4 or .mkv"
        ) from None
    finally:
        source.close()
    return _as_written(list(passed.values()), plan.encoder.container)


def go_on(stop: threading.Event | None) -> None:
    """Raises Interrupted where a stop was asked for after the last chunk."""
    if stop is not None and stop.is_set():
        raise Interrupted("stopped; all chunks are kept, the same command puts them together")


def _write_pictures(plan: Plan, records: Sequence[ChunkRecord], folder: Path) -> None:
    """The pictures of all chunks, in order of time, under their numbers."""
    folder.mkdir()
    number = plan.first_number
    for record in records:
        count = 0
        for data in unpack(_chunk_data(record)):
            with open(folder / f"{number}", "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            number, count = number + 1, count + 1
        if count != len(record.pts) or list(record.pts) != sorted(record.pts):
            raise VerificationError(f"chunk {record.index} holds {count} pictures, its manifest says {len(record.pts)}")


def _as_written(passed: list[Passed], container: str) -> list[Passed]:
    """What can be found in the file: in MP4 and MOV covers are no tracks, empty tracks are left out, and the rest is numbered anew."""
    if container not in {"mp4", "mov"}:
        return passed
    gone = [p.output_index for p in passed if not p.packets or p.is_cover]
    return [replace(p, output_index=p.output_index - sum(g < p.output_index for g in gone)) for p in passed if p.packets]


def _prepare(
    output: OutputContainer, source: InputContainer, plan: Plan, info: VideoInfo, records: Sequence[ChunkRecord], dropped: frozenset[int]
) -> tuple[AnyStream, dict[int, Passed]]:
    """Tracks in the source's order, with tags, chapters and attachments."""
    video: AnyStream | None = None
    passed: dict[int, Passed] = {}
    covers = {s.index for s in info.streams if s.is_cover}
    remade = {s.index for s in info.streams if _is_remade(source.streams[s.index], s, plan.encoder.container)}
    for stream in source.streams:
        if stream.index == info.stream_index:
            video = _add_video(output, plan, records[0])
            _copy_tags(stream, video)
        elif stream.index in dropped or stream.index in remade:
            continue
        elif stream.index in covers and plan.encoder.container == "matroska":
            _attach_cover(output, info, stream)
        else:
            added = _add_stream(output, stream)
            passed[stream.index] = Passed(stream.index, added.index, stream.type, is_cover=stream.index in covers)
    if video is None:
        raise VerificationError("the source no longer has the stream that was upscaled")
    output.metadata.update({k: v for k, v in source.metadata.items() if k.lower() not in _OWN_TAGS})
    chapters = _chapters(source, plan, info)
    if chapters:
        output.set_chapters(chapters)  # type: ignore[arg-type]
    return video, passed


def _add_video(output: OutputContainer, plan: Plan, first: ChunkRecord) -> AnyStream:
    """The film's track, with everything the first chunk's header says."""
    chunk = open_memory(first.path.read_bytes())
    try:
        source = chunk.streams.video[0]
        video = output.add_mux_stream(plan.encoder.codec, rate=plan.rate, width=plan.out_width, height=plan.out_height)
        video.time_base = plan.time_base
        if plan.hdr:
            with with_metadata(source, plan.hdr, plan.out_color, matroska=plan.encoder.container not in {"mp4", "mov"}) as template:
                BitStreamFilterContext("null", in_stream=template.streams.video[0], out_stream=video)
        else:
            BitStreamFilterContext("null", in_stream=source, out_stream=video)
    finally:
        chunk.close()
    return video  # type: ignore[no-any-return]


def _attach_cover(output: OutputContainer, info: VideoInfo, stream: AnyStream) -> None:
    """Cover art is an attachment in Matroska, and a video track in nothing."""
    container = open_source(info.path)
    try:
        packet = next((p for p in packets_of(container, info.path, container.streams[stream.index]) if p.size), None)
        if packet is not None:
            kind = {"png": "png", "bmp": "bmp", "gif": "gif"}.get(stream.codec_context.name, "jpeg")
            name = stream.metadata.get("filename") or f"cover.{'jpg' if kind == 'jpeg' else kind}"
            output.add_attachment(Path(name).name, f"image/{kind}", bytes(packet))
    finally:
        container.close()


def start_shift(plan: Plan, info: VideoInfo) -> Fraction:
    """Seconds by which a part of a film (`--range`) is moved to begin at 0.

    Whole films stay where they are, except those that begin before 0 in MP4 and MOV, which would hide those frames.
    """
    first = info.pts[plan.start_frame] * info.time_base
    whole = plan.start_frame == 0 and plan.stop_frame == info.frame_count
    return first if not whole or (first < 0 and plan.encoder.container in {"mp4", "mov"}) else Fraction(0)


def _window(plan: Plan, info: VideoInfo) -> tuple[Fraction, Fraction] | None:
    """Seconds [from, to) of a part; None for a whole film."""
    if plan.start_frame == 0 and plan.stop_frame == info.frame_count:
        return None
    last = plan.stop_frame - 1
    return info.pts[plan.start_frame] * info.time_base, (info.pts[last] + info.durations[last]) * info.time_base


def _chapters(source: InputContainer, plan: Plan, info: VideoInfo) -> list[dict[str, Any]]:
    window = _window(plan, info)
    chapters: list[dict[str, Any]] = [dict(c) for c in source.chapters()]
    if window is None:
        return chapters
    kept = []
    for chapter in chapters:
        base = Fraction(chapter["time_base"])
        start, end = max(window[0], chapter["start"] * base), min(window[1], chapter["end"] * base)
        if start < end:
            kept.append({**chapter, "start": round((start - window[0]) / base), "end": round((end - window[0]) / base)})
    return kept


def _chunk_data(record: ChunkRecord) -> bytes:
    data = record.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise VerificationError(f"{record.path}: changed on the disk since it was written; give the same command again")
    return data


def _chunk_packets(record: ChunkRecord) -> Iterator[Packet]:
    container = open_memory(_chunk_data(record))
    try:
        for packet in container.demux(video=0):
            if packet.size:
                yield packet
    finally:
        container.close()


def decode_times(chunks: Iterable[Sequence[int]]) -> tuple[array[int], int]:
    """Presentation times of all frames in order, and by how many frames decoding must run ahead of showing them.

    chunks: for each chunk its packets' timestamps in decode order. With D that lead and S the sorted times, packet j is
    decoded at S[j - D]: strictly ascending, never after it is shown, whatever the spacing on either side of a seam.
    """
    shown = array("q")
    lead = 0
    for pts in chunks:
        order = sorted(pts)
        rank = {p: i for i, p in enumerate(order)}
        lead = max(lead, *(j - rank[p] for j, p in enumerate(pts)))
        shown.extend(order)
    return shown, lead


def _video_packets(plan: Plan, info: VideoInfo, records: Sequence[ChunkRecord], video: AnyStream) -> Iterator[Packet]:
    shown, lead = decode_times(r.pts for r in records)
    step = max(1, (shown[-1] - shown[0]) // max(1, len(shown) - 1)) if len(shown) > 1 else 1
    shift = round(start_shift(plan, info) / plan.time_base)
    promised = timeline(info, plan)
    number = 0
    for record in records:
        count = 0
        chunk = plan.chunks[record.index]
        own = slice(*((frame - plan.start_frame) * plan.per_frame for frame in (chunk.start_frame, chunk.stop_frame)))
        durations = dict(zip(promised.pts[own], promised.durations[own], strict=True))
        for packet, pts in zip(_chunk_packets(record), record.pts, strict=False):
            packet.stream = video
            packet.time_base = plan.time_base
            packet.pts = pts - shift
            packet.dts = (shown[number - lead] if number >= lead else shown[0] - (lead - number) * step) - shift
            packet.duration = durations[pts]
            number, count = number + 1, count + 1
            yield packet
        if count != len(record.pts):
            raise VerificationError(f"chunk {record.index} holds {count} packets, its manifest says {len(record.pts)}")


def _passed_packets(source: InputContainer, output: OutputContainer, plan: Plan, info: VideoInfo, passed: dict[int, Passed]) -> Iterator[Packet]:
    window, shift = _window(plan, info), start_shift(plan, info)
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
        if adts and _is_bare_aac(packet.stream) and _payload(packet) == bytes(packet):
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
    if not _is_bare_aac(packet.stream) or len(data) < 9 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return data
    return data[7 if data[1] & 1 else 9 :]


def _is_bare_aac(stream: AnyStream) -> bool:
    """AAC without its AudioSpecificConfig: in broadcasts every packet brings its own, as an ADTS header."""
    context = getattr(stream, "codec_context", None)
    return context is not None and context.codec.canonical_name == "aac" and not context.extradata


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


def _seconds(packet: Packet) -> float:
    """For putting packets in order; never for timestamps."""
    return float(_ticks(packet) * Fraction(packet.time_base or 1))


def _ticks(packet: Packet) -> int:
    """When it is decoded; every packet here has been given that."""
    return packet.dts if packet.dts is not None else 0


def refuse_incompatible(found: Sequence[tuple[Stream, str]], output: Path, container: str) -> None:
    """Raise UsageError naming the streams the container can't hold and what to do."""
    if found:
        listed = ", ".join(f"{s.type} stream {s.index} ({s.codec})" for s, _ in found)
        remedy = "leave it out with --drop-incompatible"
        if container != "matroska":
            remedy = f"name an output that ends in .mkv, or {remedy}"
        raise UsageError(f"{output.name}: {container} can't hold {listed}: {found[0][1]}; {remedy}")
