"""`VideoInfo` of a file: streams, size, colour, timing and the packet index.

One pass over the packets; only the first few are decoded, to examine the frames. If packets can't predict the
frames (raw streams, field pairs, packed B-frames), the whole file is decoded once and counted.
"""

from __future__ import annotations

import bisect
import hashlib
import os
from array import array
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypedDict, Unpack

import av

from models.errors import MediaError, UsageError
from pipelines.codec.cut_slice import ends_in_a_slice
from pipelines.codec.decoder import facts_of_packets
from pipelines.codec.mid_stream_changes import change_of
from pipelines.file_parsing.container_check import appended_film, flaw_of
from pipelines.frames.film_frames import FilmSamples
from pipelines.interlacing.scan_detection import find_scan
from pipelines.media.chroma_siting import chroma_siting, container_crop
from pipelines.media.cicp import HdrMetadata
from pipelines.media.demuxer import DECODERS, MAX_PIXELS, format_of, open_source, photo_of
from pipelines.media.image_sequence import pattern_of
from pipelines.media.packet_reader import PacketData
from pipelines.media.pixel_format import Orientation, PixelCrop, planar_format
from pipelines.media.video_info import DecoderSetup, ScanType, VideoInfo
from pipelines.probe.film_end import (
    CUT_SLICE,
    damaged_end,
    flaw_of_film,
    refuse_joined_fragments,
    refuse_second_film,
    refuse_unopened_second_film,
)
from pipelines.probe.first_frames import LAYOUT_3D, dynamic_names, read_exif, unread_layers, unread_parts
from pipelines.probe.frame_times import (
    WILD_TIMES,
    changes_of,
    confirmed,
    count,
    counted,
    expected_times,
    frame_durations,
    frame_rate,
    has_hidden_times,
)
from pipelines.probe.opaque_files import INKS, is_opaque
from pipelines.probe.packet_index import walk_packets
from pipelines.probe.refusals import refuse_encrypted, refuse_unseen
from pipelines.probe.stream_choice import choose_stream, encrypted_streams, other_streams, unread_languages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from pipelines.media.image_sequence import Pattern
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import FrameFacts
    from pipelines.probe.packet_index import PacketWalk

__all__ = ["fingerprint", "open_film", "probe"]


_PICTURES_A_SECOND = 24


class ProbeOptions(TypedDict, total=False):
    """Options of `open_film`."""

    video_stream: int | None
    exact: bool
    rate: Fraction | None
    until: Fraction | None


def probe(path: str | os.PathLike[str], **options: Unpack[ProbeOptions]) -> VideoInfo:
    """Read all facts about a video. options: those of `open_film`, which describes them."""
    with open_film(path, **options) as film:
        return film.info


def open_film(
    path: str | os.PathLike[str],
    *,
    video_stream: int | None = None,
    exact: bool = False,
    rate: Fraction | None = None,
    until: Fraction | None = None,
) -> FilmSamples:
    """Read all facts about a video, and leave it open for further looks at its frames; the caller closes it.

    video_stream: index of the film, from 0. exact: count frames by decoding all of them. rate: frames per
    second of an image sequence. until: seconds of an image sequence that are needed; there may be a gap
    after them. Raises MediaError if the file is not a video, or its frames have no valid
    timestamps.
    """
    pattern = pattern_of(path)
    if pattern is not None:
        pattern.refuse_gap(rate or Fraction(_PICTURES_A_SECOND), until)
    try:
        container = open_source(path)
    except MediaError:
        refuse_unopened_second_film(path)
        raise
    try:
        refuse_second_film(path, format_of(container))
        info, field_order, seen = _read(container, path, pattern, video_stream)
    except av.error.FFmpegError as error:
        flaw = flaw_of(path, format_of(container))
        raise MediaError(
            f"{path}: {flaw.text}; get it anew"
            if flaw
            else f"{path}: can't be read as video: {error.strerror}"
        ) from error
    except OverflowError as error:
        raise MediaError(f"{path}: {WILD_TIMES}") from error
    finally:
        container.close()
    if pattern is not None:
        info = _timed(info, pattern, rate)
    elif rate is not None:
        raise UsageError(
            f"{path}: --rate is for numbered pictures (frame_%05d.png); a video has its own times"
        )
    film = FilmSamples(_with_true_frames(info, seen, exact=exact))
    try:
        film.info = replace(film.info, scan=find_scan(film, field_order))
    except BaseException:
        film.close()
        raise
    return film


def _with_true_frames(info: VideoInfo, seen: PacketWalk, *, exact: bool) -> VideoInfo:
    """The info with frames that were decoded, if packets don't tell all of them. exact: in any case."""
    if exact or info.linear:
        info = count(info)
    # HEVC's decoder refuses repeated packets
    elif has_hidden_times(info) or (seen.repeats and info.codec == "hevc"):
        info = confirmed(info)
    elif seen.resizes:  # only the decoder can show the result
        info = replace(info, changes=changes_of(info, counted(info)))
    return info


def _timed(info: VideoInfo, pattern: Pattern, rate: Fraction | None) -> VideoInfo:
    """An image sequence as a film: one tick per image."""
    numbers = pattern.readable()
    if len(numbers) != len(info.pts):
        raise MediaError(
            f"{pattern}: {len(numbers)} image files contain {len(info.pts)} frames; expected one frame"
            " per file"
        )
    notes = (
        info.notes
        if rate is not None
        else (*info.notes, f"assuming {_PICTURES_A_SECOND} frames a second, set it with --rate")
    )
    rate = rate or Fraction(_PICTURES_A_SECOND)
    ticks = array("q", range(len(numbers)))
    return replace(
        info, pts=ticks, durations=array("q", [1] * len(numbers)), linear=False, time_base=1 / rate,
        rate=rate, first_number=numbers[0], format="numbered pictures", notes=notes,
        decoder=replace(info.decoder, clock=(0, 1 / rate)),
    )  # fmt: skip


def fingerprint(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the file's content, or of all images of a sequence."""
    pattern = pattern_of(path)
    if pattern is not None:
        return pattern.fingerprint()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(
    container: InputContainer, path: str | os.PathLike[str], pattern: Pattern | None, video_stream: int | None
) -> tuple[VideoInfo, int, PacketWalk]:
    """Read (facts about the file, the stream's AVFieldOrder, all that its packets told)."""
    stream = choose_stream(container, video_stream)
    encrypted = encrypted_streams(container)
    if stream.index in encrypted:
        refuse_encrypted(path, format_of(container))
    context = _checked_context(stream, path)
    codec = context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name
    codec = {"libdav1d": "av1"}.get(codec, codec)
    shape, coded_shape = (
        Fraction(given or 0) for given in (stream.sample_aspect_ratio, context.sample_aspect_ratio)
    )
    seen = walk_packets(container, stream, codec)
    look, photo = seen.look, photo_of(container)
    refuse_joined_fragments(path, format_of(container), seen.index)
    files = [path] if pattern is None else [pattern.path(number) for number in pattern.readable()]
    first = files[0]
    look.lost |= unread_layers(codec, context.extradata, look.first).union(
        *(unread_parts(file, codec) for file in files)
    )
    refuse_unseen(seen, path, is_tiff=codec == "tiff")
    pixels, opaque = planar_format(look.pix_fmt), is_opaque(codec, look.pix_fmt, files)
    look.lost |= {INKS} if opaque and codec == "mjpeg" else set()
    if photo:
        look.orientation, look.lost = Orientation(*photo.turn), look.lost | set(photo.lost)
    crop = (PixelCrop(*photo.crop) if photo else container_crop(stream)).rounded(pixels, *look.size)
    expected, linear = expected_times(seen.index, look, container.format.name, codec)
    if codec in {"mjpeg", "png", "tiff", "webp"}:
        exif = read_exif(first)
        look.orientation = exif.orientation or look.orientation
        look.lost |= {"Exif data (camera, date, author, place)"} if exif.describes else set()
    setup = _decoder_setup(context, expected[0] if len(expected) else 0, Fraction(stream.time_base or 1))
    facts = _first_facts(seen.start, setup)
    if facts is not None:
        # Metadata may come a few frames late, and from the container.
        hdr = HdrMetadata(facts.hdr.display or look.hdr.display, facts.hdr.light or look.hdr.light)
        facts = replace(facts, hdr=hdr)
        setup = replace(setup, facts=facts, sar_of_container=bool(shape) and shape != coded_shape)
    # The container's value takes precedence, as in players (av_guess_sample_aspect_ratio). If it has none,
    # FFmpeg returns the decoder's last value while the file was opened, which may be from a later part.
    sar = shape if setup.sar_of_container or facts is None else facts.sar
    row = len(seen.index) - len(seen.tail)
    ending = _ending(seen, setup, pixels, linear=linear)
    flaw, said_of_end = flaw_of_film(container, path, stream, seen, ending)
    info = VideoInfo(
        path=str(path),
        fingerprint=fingerprint(path),
        format=format_of(container),
        stream_index=stream.index,
        codec=codec,
        width=look.size[0],
        height=look.size[1],
        pix_fmt=look.pix_fmt,
        sar=sar or Fraction(1),
        color=replace(look.color, siting=chroma_siting(stream, look.first)),
        time_base=Fraction(stream.time_base or 1),
        rate=frame_rate(stream, expected),
        orientation=look.orientation,
        scan=ScanType("top" if look.interlaced else "progressive"),
        decoder=setup,
        index=seen.index,
        pts=expected,
        durations=frame_durations(expected, seen.index, stream),
        linear=linear,
        epochs=seen.epochs,
        start=seen.others.start or Fraction(0),
        streams=other_streams(container, stream, seen, encrypted),
        samples=seen.others.kept(),
        chapters=len(container.chapters()),
        captions=look.captions or seen.dynamic_hdr.captions,
        hdr=look.hdr,
        dynamic_hdr=seen.dynamic_hdr.facts,
        timecode=look.timecodes.get(expected[0], look.timecodes.get(None, "")) if expected else "",
        flaw=flaw,
        flaw_from=_first_shown_after(row, seen, expected, linear=linear) if flaw and flaw == ending else 0,
        crop=crop,
        opaque=opaque,
        changes=tuple(_changes(seen, expected, setup, pixels)),
        notes=(*_notes(container, stream, seen, crop), *([f"it {flaw}"] if flaw else []), *said_of_end),
    )
    return info, context.field_order, seen


def _checked_context(stream: VideoStream, path: str | os.PathLike[str]) -> VideoCodecContext:
    """The codec context of the film. Raises MediaError for a decoder that is not allowed."""
    context = stream.codec_context
    if context is None or stream.time_base is None:
        raise MediaError(f"{path}: there is no decoder for its video stream")
    if context.name not in DECODERS:
        raise MediaError(
            f"{path}: its video is {context.name}, for which no decoder is opened, as rarely used ones are"
            " where attacks succeed; make FFV1 of it with a tool you trust with this file"
        )
    if context.width * context.height > MAX_PIXELS:
        raise MediaError(
            f"{path}: its pictures are {context.width}x{context.height}; expected at most {MAX_PIXELS >> 20}"
            " million pixels"
        )
    return context


def _notes(
    container: InputContainer, stream: VideoStream, seen: PacketWalk, crop: PixelCrop
) -> Iterator[str]:
    """Messages about the file for the user."""
    look = seen.look
    if photo := photo_of(container):
        yield f"its {len(photo.tiles)} tiles are put together"
    if look.turned_oddly:
        yield "its display matrix is not a multiple of 90 degrees and is ignored"
    if crop:
        shown, stored = ("x".join(map(str, size)) for size in (crop.size(*look.size), look.size))
        yield (
            f"cropped as its container says: top {crop.top}, bottom {crop.bottom}, left {crop.left}, right"
            f" {crop.right}; {shown} of {stored} are shown"
        )
    lost = look.lost - dynamic_names(seen.dynamic_hdr.facts)
    if "stereo_mode" in stream.metadata:  # a tag of Matroska, which is kept like others
        lost -= {LAYOUT_3D}
    if lost:
        yield f"the result will be without its {', '.join(sorted(lost))}"
    if seen.epochs:
        times = len(seen.epochs)
        yield f"its clock jumps back {times} time{'s' * (times > 1)}; the parts are joined end to end"
    if container.format.name.startswith("mov") and (
        place := appended_film(container.name.removeprefix("file:"))
    ):
        yield (
            f"a second film stands behind the first, from byte {place} on, and is left out: MP4 files can't"
            " be joined byte by byte"
        )
    yield from unread_languages(container)
    if "1" in (stream.metadata.get(name) for name in ("alpha_mode", "ALPHA_MODE")):
        yield "alpha that its header speaks of, a second picture beside each one, is left out"
    for number, (times, most) in sorted(seen.others.steps_back.items()):
        yield (
            f"{container.streams[number].type} stream {number}: its clock steps back {times}"
            f" time{'s' * (times > 1)}, by up"
            f" to {float(most) * 1000:.0f} ms; what would lie in the past is put forward, as FFmpeg and"
            " mkvmerge do"
        )


def _decoder_setup(context: VideoCodecContext, first_pts: int, time_base: Fraction) -> DecoderSetup:
    return DecoderSetup(
        codec=context.name,
        extradata=context.extradata,
        codec_tag=context.codec_tag,
        width=context.width,
        height=context.height,
        pix_fmt=context.pix_fmt,
        bits_per_coded_sample=context.bits_per_coded_sample,
        reorder_depth=context.reorder_depth,
        clock=(first_pts, time_base),
    )


def _ending(seen: PacketWalk, setup: DecoderSetup, pixels: PixelFormat, *, linear: bool) -> str:
    """What is wrong with the last frames; empty if nothing is."""
    is_cut = ends_in_a_slice(seen.tail, setup)
    # those frames are known by order
    seen.tail = [] if linear or any(packet.pts is None for packet in seen.tail) else seen.tail
    return CUT_SLICE if is_cut else damaged_end(seen.tail, setup, pixels)


def _first_shown_after(row: int, seen: PacketWalk, expected: array[int], *, linear: bool) -> int:
    """The first frame that the packets from a clean point on may contain."""
    if linear:
        return row // 2  # a frame may come as two fields
    return bisect.bisect_left(expected, seen.index.pts[row])


def _first_facts(packets: Iterable[PacketData], setup: DecoderSetup) -> FrameFacts | None:
    """Facts of the first frame decoded from packets without their container; None if none is decoded."""
    return next(facts_of_packets(packets, setup), None)


def _changes(
    seen: PacketWalk, expected: array[int], setup: DecoderSetup, pixels: PixelFormat
) -> Iterator[tuple[int, str]]:
    """(position in `expected`, difference from there on), in order, as far as key frames show it."""
    if setup.facts is None:
        return
    for row, packet in seen.headers:
        found = _first_facts([packet], setup)
        change = change_of(setup.facts, found, setup, pixels) if found is not None else ""
        place = bisect.bisect_left(expected, seen.index.pts[row])
        if change and place < len(expected):
            yield place, change
