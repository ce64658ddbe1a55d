"""`verify`: compares the output with the expected contents before it gets its final name.

Reads the file as a player would.
"""

from __future__ import annotations

import bisect
import hashlib
from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import av
from av.stream import Disposition

from models.errors import VerificationError
from pipelines.codec.decoder import planes_as
from pipelines.media.demuxer import open_source, packets_of
from pipelines.media.dynamic_hdr import dynamic_hdr_of
from pipelines.media.hdr_metadata import equal_within_units, static_metadata
from pipelines.media.packet_reader import is_filler
from pipelines.media.pixel_format import planar_format
from pipelines.output.picture_verification import (
    SEAM_FRAMES,
    check_frame_content,
    check_picture,
    read_picture,
    result_decoder,
    verify_pictures,
)
from pipelines.output.result_contents import (
    OutputContents,
    check_copied_packets,
    check_descriptions,
    check_times,
)
from pipelines.output.stream_copy import check_stop
from pipelines.output.track_shift import start_shift
from pipelines.plan.output_names import output_pattern

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from pipelines.output.chunk_record import ChunkRecord, ResultParts
    from pipelines.output.stream_copy import CopiedStream
    from pipelines.plan.plan import Plan

__all__ = ["VerificationReport", "result_hash", "verify", "verify_again"]


@dataclass(frozen=True)
class VerificationReport:
    """The checks, for `OUT.vsr.json`."""

    frames: int
    largest_pts_error_seconds: float
    seams_decoded: int
    frames_decoded: int
    streams_passed: int
    packets_passed: int
    chapters: int = 0
    shift_seconds: float = 0.0
    """By how much all tracks are shown later than in the source; negative: earlier."""


def verify(
    path: Path,
    parts: ResultParts,
    passed: Sequence[CopiedStream],
    *,
    full: bool,
    stop: threading.Event | None = None,
) -> VerificationReport:
    """Check frame count, timestamps, copied packets and tags, and decode frames around chunk boundaries.

    full: decode every frame instead of the first few of each chunk. stop: ends it when set. Raises
    VerificationError for the first error, Interrupted.
    """
    plan, info, records = parts.plan, parts.info, parts.records
    if plan.encoder.is_sequence:
        return VerificationReport(
            plan.frame_count, 0.0, len(records), verify_pictures(path, plan, records, full=full), 0, 0
        )
    if plan.encoder.is_picture:
        check_picture(path, plan, records[0].thumbnails, 0, "the picture")
        return VerificationReport(1, 0.0, 1, 1, 0, 0)
    container = open_source(path)
    try:
        chapters = len(container.chapters())
        covers = [s.index for s in container.streams.video if s.disposition & Disposition.attached_pic]
        passed = [replace(p, output_index=covers.pop(0)) if p.is_cover and covers else p for p in passed]
        chapters = len(container.chapters())
        found = OutputContents(container, plan, passed)
        _walk(container, found, parts, full=full, stop=stop)
    finally:
        container.close()
    error, shift = check_times(found, plan, info)
    check_copied_packets(found, passed, shift, plan)
    check_descriptions(path, passed)
    return VerificationReport(
        len(found.pts),
        float(error),
        len(records),
        found.decoded,
        len(passed),
        sum(p.packets for p in passed),
        chapters,
        float(shift - start_shift(plan, info)),
    )


def result_hash(path: Path, plan: Plan) -> str:
    """SHA-256 of an output; for an image sequence, of the images' hashes in order.

    Raises OSError if it can't be read.
    """
    pattern = output_pattern(path, plan)
    if pattern is None:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    total = hashlib.sha256()
    for number in range(plan.first_number, plan.first_number + plan.frame_count):
        with open(pattern.path(number), "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def verify_again(
    path: Path, plan: Plan, *, frames: int, sha256: str, stop: threading.Event | None = None
) -> None:
    """Verify every byte and every frame of a finished output.

    Frames are not compared with the source: that was done when the output was made. frames: expected number.
    sha256: `result_hash` after the first verification; empty if unknown. Raises VerificationError,
    Interrupted.
    """
    try:
        if sha256 and result_hash(path, plan) != sha256:
            raise VerificationError("is no longer what was verified: its content has changed since")
    except OSError as error:
        raise VerificationError(f"can't be read: {error.strerror}") from error
    if plan.encoder.is_picture:
        pattern = output_pattern(path, plan)
        for number in range(plan.first_number, plan.first_number + frames):
            check_stop(stop)
            read_picture(
                path if pattern is None else pattern.path(number),
                plan,
                "the picture" if pattern is None else f"picture {number}",
            )
        return
    with open_source(path) as container:
        film = next(s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        decoder, shown = result_decoder(film, plan, err_detect="crccheck+explode"), 0
        for packet in packets_of(container, path, film):
            check_stop(stop)
            for frame in _decoded(decoder, packet):
                if frame.is_corrupt or (frame.width, frame.height) != (plan.out_width, plan.out_height):
                    raise VerificationError(f"its frame {shown} is damaged")
                _check_tags(frame, plan)
                shown += 1
    if shown != frames:
        raise VerificationError(f"{shown} of its frames can be decoded, expected {frames}")


def _walk(
    container: InputContainer,
    found: OutputContents,
    parts: ResultParts,
    *,
    full: bool,
    stop: threading.Event | None,
) -> None:
    """Read all packets once, and decode those around chunk boundaries."""
    plan, records = parts.plan, parts.records
    decoder = result_decoder(found.video, plan)
    starts = _starts(records)
    chunk_start = 0
    pictures: _Pictures | None = None
    for number, packet in enumerate(_film_packets(container, found, stop)):
        if number in starts:
            if pictures is not None:
                pictures.end(_drain(decoder))
            chunk, chunk_start = starts[number], number
            pictures = _Pictures(records[chunk], plan, found)
            if not packet.is_keyframe:
                raise VerificationError(f"chunk {chunk} does not begin with a key frame")
        if pictures is not None and plan.dynamic_hdr:
            pictures.see_packet(packet)
        if pictures is not None and (full or number < chunk_start + SEAM_FRAMES):
            pictures.check(_decoded(decoder, packet))
    if pictures is not None:
        pictures.end(_drain(decoder))


def _film_packets(
    container: InputContainer, found: OutputContents, stop: threading.Event | None
) -> Iterator[Packet[Any]]:
    """Yield packets of the film and record their times; packets of other tracks are recorded too."""
    for packet in container.demux():
        check_stop(stop)
        if not packet.size:
            continue
        if packet.stream_index == found.video.index:
            if packet.pts is None:
                raise VerificationError(f"packet {len(found.pts)} of the result has no timestamp")
            found.pts.append(packet.pts)
            yield packet
        elif not is_filler(packet):
            found.take(packet)


def _starts(records: Sequence[ChunkRecord]) -> dict[int, int]:
    """Packet number -> position of the chunk that begins there."""
    starts, number = {}, 0
    for position, record in enumerate(records):
        starts[number] = position
        number += len(record.pts)
    return starts


def _decoded(decoder: VideoCodecContext, packet: Packet[Any]) -> list[VideoFrame]:
    try:
        return decoder.decode(packet)
    except av.error.FFmpegError as error:
        raise VerificationError(
            f"the result can't be decoded at {float((packet.pts or 0) * (packet.time_base or 0)):.3f} s:"
            f" {error.strerror}"
        ) from error


def _drain(decoder: VideoCodecContext) -> list[VideoFrame]:
    frames = decoder.decode(None)
    decoder.flush_buffers()
    return frames


class _Pictures:
    """Checks the frames of one chunk while they are decoded.

    They must be complete, have the right format and show what the source shows. No frame is kept.
    """

    def __init__(self, record: ChunkRecord, plan: Plan, seen: OutputContents) -> None:
        self._record, self._plan, self._seen = record, plan, seen
        self._order = array("q", sorted(record.pts))
        self._thumbnails = record.thumbnails  # read once, from a file
        self._marks: list[tuple[int, int]] = []
        """(time, mark of its dynamic HDR metadata) of packets, if the plan keeps it."""
        self._shift: int | None = None
        """Offset of the output in ticks; known after the first frame."""

    def check(self, frames: Iterable[VideoFrame]) -> None:
        """Check frames in display order. Raises VerificationError for the first wrong one."""
        for frame in frames:
            if self._shift is None:
                self._shift = (frame.pts or 0) - self._scaled(self._order[0])
            self._seen.decoded += 1
            if frame.is_corrupt:
                raise VerificationError(f"a frame of chunk {self._record.index} is damaged in the result")
            _check_tags(frame, self._plan)
            self._compare(frame)

    def see_packet(self, packet: Packet[Any]) -> None:
        """Check a packet's dynamic HDR metadata."""
        found = dynamic_hdr_of(self._plan.encoder.codec, bytes(packet), self._seen.length_size)
        self._marks.append((packet.pts or 0, found.mark))

    def _check_marks(self) -> None:
        expected = self._record.dynamic_hdr or (0,) * len(self._marks)
        for place, ((_, found), wanted) in enumerate(zip(sorted(self._marks), expected, strict=False)):
            if found != wanted:
                what = f"the frame at pts {self._order[place]} of chunk {self._record.index}"
                raise VerificationError(f"{what} has not its own HDR10+ or Dolby Vision metadata")

    def end(self, frames: Iterable[VideoFrame]) -> None:
        """Check the last frames. Raises VerificationError also if there were none."""
        self.check(frames)
        self._check_marks()
        if self._shift is None:
            raise VerificationError(f"nothing of chunk {self._record.index} can be decoded")

    def _scaled(self, pts: int) -> int:
        """Convert ticks of the plan to ticks of the output."""
        return round(pts * self._plan.time_base / self._seen.time_base)

    def _place(self, pts: int) -> int | None:
        """Position in display order of the frame shown at that time."""
        wanted = pts - (self._shift or 0)
        place = bisect.bisect_left(self._order, wanted, key=self._scaled)
        return place if place < len(self._order) and self._scaled(self._order[place]) == wanted else None

    def _compare(self, frame: VideoFrame) -> None:
        place = self._place(frame.pts or 0)
        if place is None:
            return
        pixels = planar_format(frame.format.name)
        what = f"the frame at pts {self._order[place]} of chunk {self._record.index}"
        check_frame_content(planes_as(frame, pixels), pixels, self._plan, self._thumbnails, place, what)


def _check_tags(frame: VideoFrame, plan: Plan) -> None:
    color = plan.out_color
    result, promised = planar_format(frame.format.name), plan.out_pixels
    found = (int(frame.colorspace), int(frame.color_range), int(frame.color_primaries), int(frame.color_trc))
    # A matrix has no meaning for grey: x264 leaves it out, and any other value does no harm.
    expected = (
        found[0] if promised.family == "gray" else color.matrix,
        color.range,
        color.primaries,
        color.transfer,
    )
    if found != expected:
        raise VerificationError(
            f"colour tags of the result are matrix, range, primaries, transfer = {found}, expected {expected}"
        )
    if not equal_within_units(static_metadata(frame), plan.hdr):
        raise VerificationError(
            f"HDR metadata of the result is {static_metadata(frame)}, expected {plan.hdr}"
        )
    # FFmpeg decodes all of ProRes 4444 to 12 bits, whatever was encoded.
    if (
        result.bits != promised.bits and (plan.encoder.name, result.bits) != ("prores_ks", 12)
    ) or result.alpha != promised.alpha:
        raise VerificationError(f"the result is {frame.format.name}, expected {plan.out_pix_fmt}")
