"""`verify`: the result against what was promised, before it gets its name.

Reads the file as any player would.
"""

from __future__ import annotations

import bisect
import hashlib
import math
from array import array
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.stream import Disposition

from models.errors import VerificationError
from pipelines.codec.decoder import picture_planes, planar_format
from pipelines.media.bitstream import nal_length_size
from pipelines.media.chroma_siting import chroma_siting
from pipelines.media.cicp import Siting
from pipelines.media.demuxer import open_source, packets_of
from pipelines.media.dynamic_hdr import dynamic_hdr_of
from pipelines.media.hdr_metadata import agree, configuration_of, static_metadata
from pipelines.media.image_sequence import pattern_of
from pipelines.media.pixel_format import PixelFormat
from pipelines.output.container_support import (
    KEEPS_MILLISECONDS,
    codec_of,
    dolby_vision_record,
    is_divisible,
)
from pipelines.output.picture_verification import (
    SEAM_FRAMES,
    check_picture,
    check_shown,
    read_picture,
    result_decoder,
    verify_pictures,
)
from pipelines.output.stream_copy import check_stop, is_filler, joined_units, start_shift
from pipelines.plan.timeline import timeline

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from pipelines.media.video_info import VideoInfo
    from pipelines.output.journal import ChunkRecord
    from pipelines.output.stream_copy import Passed
    from pipelines.plan.plan import Plan

__all__ = ["UNHEARD_DRIFT", "Report", "result_hash", "verify", "verify_again"]


_BLOCK = 1 << 18
"""Times that are compared at once."""
_MATROSKA_TICK = Fraction(1, 1000)
_SAR_ERROR = Fraction(1, 200)
"""Matroska writes the display size in whole pixels, H.264 a ratio of 16-bit numbers."""
_SAME_CODEC = {"mp1": "mp3", "mp2": "mp3", "text": "subrip"}
"""Codecs that a container stores under the name of another; one decoder decodes both."""
UNHEARD_DRIFT = 0.04
"""Seconds by which PCM may end off: MP4 and MOV keep its samples end to end, whatever its packets' times were
(EBU R 37 allows as much)."""
_AUDIO_TICK = 1 / 8000
"""A shift of a part is rounded to ticks of the audio."""


@dataclass(frozen=True)
class Report:
    """What was checked, for `OUT.vsr.json`."""

    frames: int
    largest_pts_error_seconds: float
    seams_decoded: int
    frames_decoded: int
    streams_passed: int
    packets_passed: int
    chapters: int = 0


def verify(
    path: Path,
    plan: Plan,
    info: VideoInfo,
    records: Sequence[ChunkRecord],
    passed: Sequence[Passed],
    *,
    full: bool,
    stop: threading.Event | None = None,
) -> Report:
    """Check frame count, every timestamp, every passed-through packet, tags, and that seams decode to the
    right pictures.

    full: decode every frame instead of the first few of each chunk. stop: ends it when set. Raises
    VerificationError for the first thing wrong, Interrupted.
    """
    if plan.encoder.is_sequence:
        return Report(
            plan.frame_count, 0.0, len(records), verify_pictures(path, plan, records, full=full), 0, 0
        )
    if plan.encoder.is_picture:
        check_picture(path, plan, records[0].thumbnails, 0, "the picture")
        return Report(1, 0.0, 1, 1, 0, 0)
    container = open_source(path)
    try:
        chapters = len(container.chapters())
        covers = [s.index for s in container.streams.video if s.disposition & Disposition.attached_pic]
        passed = [replace(p, output_index=covers.pop(0)) if p.is_cover and covers else p for p in passed]
        seen = _Seen(container, plan, passed)
        _walk(container, seen, records, plan, full=full, stop=stop)
    finally:
        container.close()
    error, shift = _check_times(seen, plan, info)
    _check_passed(seen, passed, shift, plan)
    return Report(
        len(seen.pts),
        float(error),
        len(records),
        seen.decoded,
        len(passed),
        sum(p.packets for p in passed),
        chapters,
    )


def result_hash(path: Path, plan: Plan) -> str:
    """SHA-256 of a result; of numbered pictures, of their hashes in order.

    Raises OSError where it can't be read.
    """
    pattern = pattern_of(path) if plan.encoder.is_sequence else None
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
    """Look at every byte and every frame of a result that has its name already.

    What its pictures show was compared when it was made.

    frames: that it must have. sha256: `result_hash` when it was verified; empty: not known. Raises
    VerificationError, Interrupted.
    """
    try:
        if sha256 and result_hash(path, plan) != sha256:
            raise VerificationError("is no longer what was verified: its content has changed since")
    except OSError as error:
        raise VerificationError(f"can't be read: {error.strerror}") from None
    if plan.encoder.is_picture:
        pattern = pattern_of(path) if plan.encoder.is_sequence else None
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


class _Seen:
    """What is in the file."""

    def __init__(self, container: InputContainer, plan: Plan, passed: Sequence[Passed]) -> None:
        others = {p.output_index for p in passed}
        films = [
            s
            for s in container.streams.video
            if s.index not in others and not s.disposition & Disposition.attached_pic
        ]
        if len(films) != 1:
            raise VerificationError(f"the result has {len(films)} film tracks, expected 1")
        self.video = films[0]
        self.time_base = Fraction(self.video.time_base or 1)
        context = self.video.codec_context
        if (context.width, context.height) != (plan.out_width, plan.out_height):
            raise VerificationError(
                f"the result is {context.width}x{context.height}, expected {plan.out_width}x{plan.out_height}"
            )
        tagged = self.video.sample_aspect_ratio or context.sample_aspect_ratio
        sar = Fraction(tagged or 1)
        # RFC 9043 section 4.6.1: where only the decoder finds it
        in_slices = plan.encoder.name == "ffv1" and not tagged
        if abs(sar / plan.sar - 1) > _SAR_ERROR and not in_slices:
            raise VerificationError(
                f"a sample of the result is {sar} wide for its height, expected {plan.sar}"
            )
        siting = chroma_siting(self.video)
        if PixelFormat.parse(plan.out_pix_fmt).sub_y and siting not in {
            Siting.UNSPECIFIED,
            plan.out_color.siting,
        }:
            raise VerificationError(
                f"chroma of the result is said to lie {siting!r}, expected {Siting(plan.out_color.siting)!r}"
            )
        record = dolby_vision_record(plan)
        if record and configuration_of(self.video) != record:
            raise VerificationError("the result does not say that it is Dolby Vision, or of another level")
        self.length_size = nal_length_size(plan.encoder.codec, context.extradata)
        self.pts = array("q")
        """Of its packets, in decode order."""
        self.decoded = 0
        self.counts: dict[int, int] = {}
        self.digests: dict[int, Any] = {}
        self.firsts: dict[int, float] = {}
        self.ends: dict[int, float] = {}
        self.codecs = {s.index: codec_of(s) for s in container.streams}
        self.annex_b = {p.output_index for p in passed if p.is_annex_b}

    def take(self, packet: Packet[Any]) -> None:
        """Note a packet of another track."""
        index, data, base = packet.stream_index, bytes(packet), Fraction(packet.time_base or 1)
        self.counts[index] = self.counts.get(index, 0) + 1
        if index in self.annex_b:
            data = joined_units(data, self.codecs[index], packet.stream)
        self.digests.setdefault(index, hashlib.sha256()).update(data)
        shown = packet.pts if packet.pts is not None else packet.dts or 0
        self.firsts.setdefault(index, float(shown * base))
        self.ends[index] = max(
            self.ends.get(index, -math.inf), float((shown + (packet.duration or 0)) * base)
        )


def _walk(
    container: InputContainer,
    seen: _Seen,
    records: Sequence[ChunkRecord],
    plan: Plan,
    *,
    full: bool,
    stop: threading.Event | None,
) -> None:
    """Read all packets once; decode at the seams as they pass."""
    decoder = result_decoder(seen.video, plan)
    starts = _starts(records)
    number, chunk, chunk_start = 0, -1, 0
    pictures: _Pictures | None = None
    for packet in container.demux():
        check_stop(stop)
        if not packet.size:
            continue
        if packet.stream_index != seen.video.index:
            if is_filler(packet):
                continue
            seen.take(packet)
            continue
        if packet.pts is None:
            raise VerificationError(f"packet {number} of the result has no timestamp")
        seen.pts.append(packet.pts)
        if number in starts:
            if pictures is not None:
                pictures.end(_drain(decoder))
            chunk, chunk_start = starts[number], number
            pictures = _Pictures(records[chunk], plan, seen)
            if not packet.is_keyframe:
                raise VerificationError(f"chunk {chunk} does not begin with a key frame")
        if pictures is not None and plan.dynamic_hdr:
            pictures.see_packet(packet)
        if pictures is not None and (full or number < chunk_start + SEAM_FRAMES):
            pictures.check(_decoded(decoder, packet))
        number += 1
    if pictures is not None:
        pictures.end(_drain(decoder))


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
            f"the result can't be decoded at pts {packet.pts}: {error.strerror}"
        ) from None


def _drain(decoder: VideoCodecContext) -> list[VideoFrame]:
    frames = decoder.decode(None)
    decoder.flush_buffers()
    return frames


class _Pictures:
    """The frames of one chunk as they are decoded.

    Whole, of the right kind, and pictures of the right moments. None is kept.
    """

    def __init__(self, record: ChunkRecord, plan: Plan, seen: _Seen) -> None:
        self._record, self._plan, self._seen = record, plan, seen
        self._order = array("q", sorted(record.pts))
        self._thumbnails = record.thumbnails  # read once: it lies in a file
        self._marks: list[tuple[int, int]] = []
        """(time, mark of its dynamic HDR metadata) of packets, where the plan keeps such."""
        self._shift: int | None = None
        """Ticks by which the result is shown later; known once the first frame has told."""

    def check(self, frames: Iterable[VideoFrame]) -> None:
        """Frames in display order. Raises VerificationError for the first that is wrong."""
        for frame in frames:
            if self._shift is None:
                self._shift = (frame.pts or 0) - self._scaled(self._order[0])
            self._seen.decoded += 1
            if frame.is_corrupt:
                raise VerificationError(f"a frame of chunk {self._record.index} is damaged in the result")
            _check_tags(frame, self._plan)
            self._compare(frame)

    def see_packet(self, packet: Packet[Any]) -> None:
        """A packet of the chunk, with the dynamic HDR metadata in it."""
        found = dynamic_hdr_of(self._plan.encoder.codec, bytes(packet), self._seen.length_size)
        self._marks.append((packet.pts or 0, found.mark))

    def _check_marks(self) -> None:
        expected = self._record.dynamic_hdr or (0,) * len(self._marks)
        for place, ((_, found), wanted) in enumerate(zip(sorted(self._marks), expected, strict=False)):
            if found != wanted:
                what = f"the frame at pts {self._order[place]} of chunk {self._record.index}"
                raise VerificationError(f"{what} has not its own HDR10+ or Dolby Vision metadata")

    def end(self, frames: Iterable[VideoFrame]) -> None:
        """The last ones. Raises VerificationError where there was none at all, too."""
        self.check(frames)
        self._check_marks()
        if self._shift is None:
            raise VerificationError(f"nothing of chunk {self._record.index} can be decoded")

    def _scaled(self, pts: int) -> int:
        """Ticks of the plan as ticks of the result."""
        return round(pts * self._plan.time_base / self._seen.time_base)

    def _place(self, pts: int) -> int | None:
        """Place in display order of the frame that the result shows at a time."""
        wanted = pts - (self._shift or 0)
        place = bisect.bisect_left(self._order, wanted, key=self._scaled)
        return place if place < len(self._order) and self._scaled(self._order[place]) == wanted else None

    def _compare(self, frame: VideoFrame) -> None:
        place = self._place(frame.pts or 0)
        if place is None:
            return
        pixels = planar_format(frame.format.name)
        packed = frame.format.name.replace("yuvj", "yuv") != pixels.name
        planar = frame.reformat(format=pixels.name) if packed else frame  # a change of layout only
        what = f"the frame at pts {self._order[place]} of chunk {self._record.index}"
        check_shown(picture_planes(planar, pixels), pixels, self._plan, self._thumbnails, place, what)


def _check_tags(frame: VideoFrame, plan: Plan) -> None:
    color = plan.out_color
    result, promised = planar_format(frame.format.name), PixelFormat.parse(plan.out_pix_fmt)
    found = (int(frame.colorspace), int(frame.color_range), int(frame.color_primaries), int(frame.color_trc))
    # A matrix says nothing of grey: x264 leaves it out, and whatever else stands there does no harm.
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
    if not agree(static_metadata(frame), plan.hdr):
        raise VerificationError(
            f"HDR metadata of the result is {static_metadata(frame)}, expected {plan.hdr}"
        )
    # FFmpeg decodes all of ProRes 4444 to 12 bits, whatever was encoded.
    if (
        result.bits != promised.bits and (plan.encoder.name, result.bits) != ("prores_ks", 12)
    ) or result.alpha != promised.alpha:
        raise VerificationError(f"the result is {frame.format.name}, expected {plan.out_pix_fmt}")


def _check_times(seen: _Seen, plan: Plan, info: VideoInfo) -> tuple[Fraction, Fraction]:
    """(largest error, the one constant shift a container that begins at 0 may add), both in seconds."""
    moved = start_shift(plan, info)
    promised = timeline(info, plan).pts
    if len(seen.pts) != len(promised):
        raise VerificationError(f"the result has {len(seen.pts)} frames, expected {len(promised)}")
    found = np.frombuffer(seen.pts, np.int64)
    found.sort()  # in place: a film may have millions
    if (found[1:] == found[:-1]).any():
        raise VerificationError("two frames of the result have the same timestamp")
    shift = int(found[0]) * seen.time_base - (promised[0] * plan.time_base - moved)
    shift = Fraction(0) if abs(shift) <= _MATROSKA_TICK / 2 else shift
    in_milliseconds = plan.encoder.container in KEEPS_MILLISECONDS
    allowed = _MATROSKA_TICK / 2 if in_milliseconds else Fraction(0)
    if shift and in_milliseconds:
        allowed = _MATROSKA_TICK  # the shift itself was rounded
    # In whole units that all of these times are multiples of: two fractions a frame would take a kilobyte,
    # and a minute for a day of film.
    unit = Fraction(
        1, math.lcm(*(f.denominator for f in (seen.time_base, plan.time_base, moved, shift, allowed)))
    )
    a_tick, b_tick, offset, most = (
        int(f / unit) for f in (seen.time_base, plan.time_base, shift - moved, allowed)
    )
    farthest = max(
        abs(int(t)) * tick
        for times, tick in ((found, a_tick), (promised, b_tick))
        for t in (times[0], times[-1])
    )
    whole = np.int64 if farthest + abs(offset) < 1 << 62 else object
    largest = 0
    for start in range(0, len(found), _BLOCK):
        a = found[start : start + _BLOCK].astype(whole)
        b = np.frombuffer(promised[start : start + _BLOCK], np.int64).astype(whole)
        errors = abs(a * a_tick - b * b_tick - offset)
        wrong = errors > most
        if wrong.any():
            place = int(wrong.argmax())
            shown, wanted = int(a[place]) * seen.time_base, int(b[place]) * plan.time_base - moved + shift
            raise VerificationError(
                f"frame {start + place} of the result is shown at {float(shown):.6f} s, expected"
                f" {float(wanted):.6f} s"
            )
        largest = max(largest, int(errors.max()))
    return largest * unit, shift


def _check_passed(seen: _Seen, passed: Sequence[Passed], shift: Fraction, plan: Plan) -> None:
    """Every passed-through packet, bit for bit, of the codec it was, and moved by no more than the
    film was.
    """
    for entry in passed:
        found, digest = seen.counts.get(entry.output_index, 0), seen.digests.get(entry.output_index)
        divisible, name = is_divisible(entry.codec), f"{entry.type} stream {entry.source_index}"
        if found != entry.packets and not (divisible and found):
            raise VerificationError(f"{name}: {found} packets in the result, expected {entry.packets}")
        if digest is not None and digest.digest() != entry.digest.digest():
            raise VerificationError(
                f"{name}: its {'samples' if divisible else 'packets'} are not those of the source"
            )
        codec = seen.codecs.get(entry.output_index, "")
        if (
            entry.packets
            and entry.codec
            and _SAME_CODEC.get(codec, codec) != _SAME_CODEC.get(entry.codec, entry.codec)
        ):
            raise VerificationError(
                f"{name}: is {codec or 'of no known codec'} in the result, expected {entry.codec}"
            )
        first = seen.firsts.get(entry.output_index)
        if first is not None and entry.first_seconds is not None and entry.type == "audio":
            drift = abs(first - entry.first_seconds - float(shift))
            end = abs(seen.ends[entry.output_index] - (entry.end_seconds or 0) - float(shift))
            if entry.codec.startswith("pcm_") and end > UNHEARD_DRIFT:
                raise VerificationError(f"{name} ends {end * 1000:.3f} ms off")
            if drift > _AUDIO_TICK + (
                float(_MATROSKA_TICK) if plan.encoder.container in KEEPS_MILLISECONDS else 0.0
            ):
                raise VerificationError(f"audio stream {entry.source_index} begins {drift * 1000:.3f} ms off")
