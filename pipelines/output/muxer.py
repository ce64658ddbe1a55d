"""Writes the output file: encoded chunks in order, and every other track of the source, packet for packet."""

from __future__ import annotations

import errno
import heapq
import io
import itertools
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

from models.errors import OutputError, VerificationError
from pipelines.containers.container_support import (
    container_options,
    dolby_vision_record,
    is_made_by_muxer,
    stream_time_bases,
)
from pipelines.containers.container_tags import OWN_TAGS, copy_film_tags, copy_tags, film_timecode
from pipelines.containers.copied_tracks import LATM, REWRAPPED, add_copied_stream, codec_of, description_box
from pipelines.containers.matroska_shape import reserve, write_reserved
from pipelines.containers.mov_boxes import add_to_sample_entry, describe_tracks, disable_tracks
from pipelines.containers.subtitle_text import add_text_track, converted, is_converted
from pipelines.media.demuxer import file_url, open_memory, open_source, packets_of
from pipelines.media.hdr_metadata import configuration_box, with_metadata
from pipelines.media.image_sequence import unpack
from pipelines.media.timestamps import convert_timecode, later_timecode
from pipelines.output.film_packets import film_packets
from pipelines.output.stream_copy import (
    CopiedStream,
    check_stop,
    copied_packets,
    is_annex_b,
    packet_seconds,
)
from pipelines.output.track_shift import codec_delay, copied_window, start_shift

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from av.container import InputContainer, OutputContainer
    from av.stream import Stream as AnyStream

    from pipelines.media.video_info import VideoInfo
    from pipelines.output.chunk_record import ChunkRecord, ResultParts
    from pipelines.plan.plan import Plan

    Packet: TypeAlias = av.Packet[Any]

__all__ = ["assemble", "write_result"]


_DISK_ERRORS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EROFS,
        errno.EFBIG,
        errno.EACCES,
        errno.ENOENT,
        errno.ENOTDIR,
    }
)
"""Errors that concern the file's location; all others of a muxer, many of which have system error numbers,
concern its input."""
_PICTURE_TYPES = {
    "png": ("image/png", "png"), "bmp": ("image/bmp", "bmp"), "gif": ("image/gif", "gif"),
    "tiff": ("image/tiff", "tif"), "webp": ("image/webp", "webp"), "jpeg2000": ("image/jp2", "jp2"),
    "mjpeg": ("image/jpeg", "jpg"),
}  # fmt: skip
"""MIME type and suffix of cover art, by codec."""


def assemble(
    parts: ResultParts, target: Path, *, dropped: frozenset[int], stop: threading.Event | None = None
) -> list[CopiedStream]:
    """Write the output to `target`, which has a temporary name; returns the copied streams.

    dropped: indexes of source streams to leave out. stop: ends it when set. Raises OutputError if the output
    can't be written, MediaError if the source can't be read any more, VerificationError if chunks do not fit
    together, Interrupted.
    """
    plan, info, records = parts.plan, parts.info, parts.records
    if [r.index for r in records] != [c.index for c in plan.chunks]:
        raise VerificationError("chunks are missing or doubled; give the same command again")
    headers = {r.header_sha256 for r in records}
    if len(headers) != 1:
        raise VerificationError(
            "chunks were encoded with different headers; give the same command with --fresh"
        )
    if plan.encoder.is_sequence:
        _write_pictures(plan, records, target)
        return []
    if plan.encoder.is_picture:
        target.write_bytes(records[0].read())
        return []
    source = open_source(info.path)
    try:
        packets = packets_of(source, info.path)
        return write_result(parts, target, source, packets, dropped=dropped, stop=stop)
    except (OSError, av.error.FFmpegError) as error:
        if isinstance(error, av.error.FFmpegError) and error.errno not in _DISK_ERRORS:
            raise VerificationError(
                f"{info.path}: the result can't be put together: {error.strerror}; --drop-incompatible may"
                " help"
            ) from error
        raise OutputError(
            f"{target.parent}: the result can't be written: {error.strerror}; what is done is kept, free some"
            " space and give the same command again"
        ) from error
    finally:
        source.close()


def write_result(
    parts: ResultParts,
    target: Path,
    source: InputContainer,
    packets: Iterable[Packet],
    *,
    dropped: frozenset[int],
    stop: threading.Event | None = None,
) -> list[CopiedStream]:
    """Mux the chunks and the other tracks of `source`; returns the copied streams.

    packets: of the source, in order. Raises OSError, av.error.FFmpegError, CorruptError, VerificationError,
    Interrupted.
    """
    plan, info = parts.plan, parts.info
    # Not a `with`, which would write a trailer after an exception and so make an incomplete file playable.
    options = container_options(
        plan.encoder.container,
        [plan.time_base, *stream_time_bases(source)],
        source.metadata,
        covers=any(s.is_cover and s.index not in dropped for s in info.streams),
    )
    box = _dolby_vision_box(plan)
    if box:
        options["strict"] = "unofficial"  # otherwise FFmpeg would leave it out of MP4
    output = av.open(file_url(target), "w", format=plan.encoder.container, container_options=options)
    video, passed = _prepare(output, source, parts, dropped)
    has_shape = plan.sar != 1 and plan.encoder.container in {"matroska", "webm"}
    if has_shape:
        reserve(video)
    delayed = [entry for entry in passed.values() if entry.delay]
    for entry in delayed:
        reserve(output.streams[entry.output_index], entry.delay)
    output.start_encoding()
    others = copied_packets(source, packets, output, plan, info, passed)
    for packet in heapq.merge(film_packets(parts, video), others, key=packet_seconds):
        check_stop(stop)
        output.mux_one(packet)
    output.close()
    if box and plan.encoder.container == "mov":
        add_to_sample_entry(target, box, video.index)
    if has_shape or delayed:
        write_reserved(target, plan.out_width, plan.out_height, plan.sar)
    written = _as_written(list(passed.values()), plan.encoder.container)
    if plan.encoder.container in {"mp4", "mov"}:
        _keep_off(target, source, written)
        _describe(target, source, info.stream_index, written)
    return written


def _describe(target: Path, source: InputContainer, film: int, written: Sequence[CopiedStream]) -> None:
    """Describe the tracks of formats that FFmpeg does not know as the source does."""
    places = {source.streams[entry.source_index].id: entry.output_index for entry in written}
    taken = set(places.values())
    places[source.streams[film].id] = next(n for n in itertools.count() if n not in taken)
    describe_tracks(
        target, {entry.output_index: entry.description for entry in written if entry.description}, places
    )


def _keep_off(target: Path, source: InputContainer, written: Sequence[CopiedStream]) -> None:
    """Leave subtitles disabled that are so in the source."""
    disable_tracks(
        target,
        [
            entry.output_index
            for entry in written
            if entry.type == "subtitle"
            and not source.streams[entry.source_index].disposition & Disposition.default
        ],
    )


def _write_pictures(plan: Plan, records: Sequence[ChunkRecord], folder: Path) -> None:
    """Write the images of all chunks, in order of time, with their numbers."""
    folder.mkdir()
    number = plan.first_number
    for record in records:
        count = 0
        for data in unpack(record.read()):
            with open(folder / f"{number}", "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            number, count = number + 1, count + 1
        if count != len(record.pts) or list(record.pts) != sorted(record.pts):
            raise VerificationError(
                f"chunk {record.index} holds {count} pictures, its manifest says {len(record.pts)}"
            )


def _as_written(passed: list[CopiedStream], container: str) -> list[CopiedStream]:
    """The streams as they appear in the file.

    In MP4 and MOV, covers are not tracks, empty tracks are omitted, and the rest is renumbered.
    """
    if container not in {"mp4", "mov"}:
        return passed
    gone = [p.output_index for p in passed if not p.packets or p.is_cover]
    return [
        replace(p, output_index=p.output_index - sum(g < p.output_index for g in gone))
        for p in passed
        if p.packets
    ]


def _prepare(
    output: OutputContainer, source: InputContainer, parts: ResultParts, dropped: frozenset[int]
) -> tuple[AnyStream, dict[int, CopiedStream]]:
    """Add tracks in the source's order, with tags, chapters and attachments."""
    plan, info = parts.plan, parts.info
    video: AnyStream | None = None
    passed: dict[int, CopiedStream] = {}
    covers = {s.index for s in info.streams if s.is_cover}
    codecs = {s.index: s.codec for s in info.streams}
    remade = {s.index for s in info.streams if is_made_by_muxer(source, info, s)}
    for stream in source.streams:
        if stream.index == info.stream_index:
            video = _add_video(output, plan, parts.records[0])
            copy_film_tags(stream, video)
        elif stream.index in dropped or stream.index in remade:
            continue
        elif stream.index in covers and plan.encoder.container == "matroska":
            _attach_cover(output, info, stream)
        elif stream.type == "subtitle" and is_converted(codecs[stream.index], plan.encoder.container):
            codec = converted(plan.encoder.container)
            added = add_text_track(output, codec)
            copy_tags(stream, added)
            passed[stream.index] = CopiedStream(
                stream.index, added.index, stream.type, codec=codec, text_of=codecs[stream.index]
            )
        else:
            added = add_copied_stream(output, stream)
            is_cover, codec = (
                stream.index in covers,
                codec_of(added if codec_of(stream) in {*REWRAPPED, LATM} else stream),
            )
            passed[stream.index] = CopiedStream(
                stream.index,
                added.index,
                stream.type,
                is_cover=is_cover,
                codec=codec,
                delay=codec_delay(plan, info, stream.index),
                is_annex_b=not is_cover and is_annex_b(stream),
                description=description_box(source, stream)
                if plan.encoder.container in {"mp4", "mov"}
                else b"",
            )
    if video is None:
        raise VerificationError("the source no longer has the stream that was upscaled")
    output.metadata.update({k: v for k, v in source.metadata.items() if k.lower() not in OWN_TAGS})
    _tag_timecode(output, video, source, plan, info)
    chapters = _chapters(source, plan, info)
    if chapters:
        output.set_chapters(chapters)  # type: ignore[arg-type]
    return video, passed


def _tag_timecode(
    output: OutputContainer, video: AnyStream, source: InputContainer, plan: Plan, info: VideoInfo
) -> None:
    """Tag the film with the timecode of its first frame, in the form that muxers expect.

    A `--range` starts at a later timecode.
    """
    said = film_timecode(source, info)
    if not said:
        return
    at_start = later_timecode(said, plan.start_frame, info.rate)
    if plan.rate != info.rate:
        at_start = convert_timecode(at_start, info.rate, plan.rate)
    if not at_start and plan.encoder.container not in {"mp4", "mov"}:
        return  # any other text, which does no harm
    kept = [
        tags for tags in (output.metadata, video.metadata) if any(key.lower() == "timecode" for key in tags)
    ] or [video.metadata]
    for tags in kept:
        for key in [key for key in tags if key.lower() == "timecode"]:
            del tags[key]
        if at_start:
            tags["timecode"] = at_start


def _add_video(output: OutputContainer, plan: Plan, first: ChunkRecord) -> AnyStream:
    """Add the film's track, with all parameters from the first chunk's header."""
    chunk = open_memory(first.path.read_bytes())
    try:
        source = chunk.streams.video[0]
        video = output.add_mux_stream(
            plan.encoder.codec, rate=plan.rate, width=plan.out_width, height=plan.out_height
        )
        video.time_base = plan.time_base
        box = _dolby_vision_box(plan)
        if plan.hdr or box:
            matroska = plan.encoder.container not in {"mp4", "mov"}
            with with_metadata(
                source, plan.hdr, plan.out_color, matroska=matroska, dolby_vision=box
            ) as template:
                _copy_parameters(template.streams.video[0], video, plan)
        else:
            _copy_parameters(source, video, plan)
    finally:
        chunk.close()
    return video  # type: ignore[no-any-return]


def _dolby_vision_box(plan: Plan) -> bytes:
    """The box that announces RPUs to players; empty if there are none."""
    record = dolby_vision_record(plan)
    return configuration_box(record) if record else b""


def _copy_parameters(source: AnyStream, video: AnyStream, plan: Plan) -> None:
    """Copy codec parameters, with the SAR, for codecs without it in the bitstream.

    MP4 and MOV write it as `pasp`.
    """
    if plan.sar == 1 or plan.encoder.container not in {"mp4", "mov"}:
        BitStreamFilterContext("null", in_stream=source, out_stream=video)
        return
    # It can be set only in a codec context, from which the parameters are made when a header is written.
    carrier = av.open(
        io.BytesIO(), "w", format=plan.encoder.container, container_options={"movflags": "empty_moov"}
    )
    try:
        shaped: Any = carrier.add_stream_from_template(source, opaque=True)  # type: ignore[type-var]
        shaped.codec_context.sample_aspect_ratio = plan.sar
        shaped.codec_context.codec_tag = source.codec_context.codec_tag
        carrier.start_encoding()
        BitStreamFilterContext("null", in_stream=shaped, out_stream=video)
    finally:
        carrier.close()


def _attach_cover(output: OutputContainer, info: VideoInfo, stream: AnyStream) -> None:
    """Add cover art: an attachment in Matroska."""
    container = open_source(info.path)
    try:
        packet = next(
            (p for p in packets_of(container, info.path, container.streams[stream.index]) if p.size), None
        )
        if packet is not None:
            mime, suffix = _PICTURE_TYPES.get(codec_of(stream), ("application/octet-stream", "bin"))
            name = stream.metadata.get("filename") or f"cover.{suffix}"
            output.add_attachment(Path(name).name, mime, bytes(packet))
    finally:
        container.close()


def _chapters(source: InputContainer, plan: Plan, info: VideoInfo) -> list[dict[str, Any]]:
    """The chapters of the source that the output has, moved with its tracks and cut to its range."""
    window, shift = copied_window(plan, info), start_shift(plan, info)
    chapters: list[dict[str, Any]] = [dict(c) for c in source.chapters()]
    if window is None and not shift:
        return chapters
    kept = []
    for chapter in chapters:
        base = Fraction(chapter["time_base"])
        start, end = chapter["start"] * base, chapter["end"] * base
        if window is not None:
            start, end = max(window[0], start), min(window[1], end)
        if start < end or window is None:
            kept.append(
                {**chapter, "start": round((start - shift) / base), "end": round((end - shift) / base)}
            )
    return kept
