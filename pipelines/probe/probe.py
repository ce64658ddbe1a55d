"""`VideoInfo` of a file: streams, size, colour, timing and the packet index.

One pass over the packets; only the first few are decoded, to see what the pictures are like. Where packets
can't tell which frames will come (raw streams, field pairs, packed B-frames), the whole file is decoded once
and counted.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import os
import re
from array import array
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
from av.stream import Disposition

from models.errors import CorruptError, MediaError, UsageError
from pipelines.codec.cut_slice import ends_in_a_slice
from pipelines.codec.decoder import decode, facts_alone, planar_format
from pipelines.codec.mid_stream_changes import change_of
from pipelines.media.chroma_siting import chroma_siting, container_crop
from pipelines.media.cicp import HdrMetadata
from pipelines.media.container_check import flaw_of
from pipelines.media.demuxer import DECODERS, MAX_PIXELS, PacketData, open_source
from pipelines.media.ebml import codec_ids
from pipelines.media.image_sequence import pattern_of
from pipelines.media.video_info import NO_PTS, DecoderSetup, Scan, Stream, VideoInfo
from pipelines.probe.first_frames import dynamic_names, exif_orientation
from pipelines.probe.frame_times import (
    WILD_TIMES,
    changes_of,
    count,
    counted,
    expected_times,
    frame_durations,
    frame_rate,
)
from pipelines.probe.interlacing import find_scan
from pipelines.probe.packet_index import walk_packets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from pipelines.media.image_sequence import Pattern
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import FrameFacts
    from pipelines.probe.packet_index import PacketWalk

__all__ = ["choose_stream", "fingerprint", "probe"]


_PICTURES_A_SECOND = 24


_MATROSKA_ROUNDING = Fraction(2, 1000)
_LAST_WORDS = Fraction(1, 20)
"""Seconds that the streams together may fall short of what is declared, by padding and rounding."""


def choose_stream(container: InputContainer, number: int | None = None) -> VideoStream:
    """The film: FFmpeg's best video stream that is no cover art, or the `number`-th video stream that is
    none.

    Raises MediaError where there is no such stream.
    """
    films = [
        s
        for s in container.streams.video
        if not s.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    tiles = [s for s in films if s.disposition & Disposition.dependent]
    films = [s for s in films if s not in tiles]
    # what is left is a thumbnail at best
    if tiles and not any(s.disposition & Disposition.default for s in films):
        width, height = tiles[0].codec_context.width, tiles[0].codec_context.height
        raise MediaError(
            f"{_name(container)}: is a photo of {len(tiles)} tiles of {width}x{height}, which have to be put"
            " together first (HEIC and AVIF grids); make a PNG or TIFF of it with the camera's or the"
            " system's own viewer and upscale that"
        )
    if not films:
        kinds = sorted({s.type for s in container.streams})
        raise MediaError(f"{_name(container)}: has no video stream (found: {', '.join(kinds) or 'nothing'})")
    if number is not None:
        if not 0 <= number < len(films):
            raise MediaError(
                f"{_name(container)}: has {len(films)} video stream(s); --video-stream {number} is not one of"
                " them"
            )
        return films[number]
    best = container.streams.best("video")
    return next((s for s in films if best is not None and s.index == best.index), films[0])


def _name(container: InputContainer) -> str:
    return container.name.removeprefix("file:")


def probe(
    path: str | os.PathLike[str],
    *,
    video_stream: int | None = None,
    exact: bool = False,
    rate: Fraction | None = None,
) -> VideoInfo:
    """Read what there is to know of a video.

    video_stream: which of several films, counted from 0. exact: count frames by decoding all of them. rate:
    of numbered pictures, frames a second.
    Raises MediaError where the file is no video, or its frames can't be timed.
    """
    container = open_source(path)
    try:
        info, field_order, resizes = _read(container, path, video_stream)
    except av.error.FFmpegError as error:
        raise MediaError(f"{path}: can't be read as video: {error.strerror}") from None
    except OverflowError:
        raise MediaError(f"{path}: {WILD_TIMES}") from None
    finally:
        container.close()
    pattern = pattern_of(path)
    if pattern is not None:
        info = _timed(info, pattern, rate)
    elif rate is not None:
        raise UsageError(
            f"{path}: --rate is for numbered pictures (frame_%05d.png); a video has its own times"
        )
    if exact or info.linear:
        info = count(info)
    elif _is_cut(info):
        info = _confirmed(info)
    elif resizes:  # what comes of that only the decoder knows
        info = replace(info, changes=changes_of(info, counted(info)))
    return replace(info, scan=find_scan(info, field_order))


def _timed(info: VideoInfo, pattern: Pattern, rate: Fraction | None) -> VideoInfo:
    """Numbered pictures as a film: one tick a picture."""
    numbers = pattern.numbers()
    if len(numbers) != len(info.pts):
        raise MediaError(
            f"{pattern}: {len(numbers)} pictures, but {len(info.pts)} frames in them; expected one each"
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
    """SHA-256 of the file's content, or of all pictures of a sequence."""
    pattern = pattern_of(path)
    if pattern is not None:
        return pattern.fingerprint()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(
    container: InputContainer, path: str | os.PathLike[str], video_stream: int | None
) -> tuple[VideoInfo, int, bool]:
    """What the packets and the first frames say, the stream's AVFieldOrder, and whether frames between key
    frames tell sizes of their own.
    """
    stream = choose_stream(container, video_stream)
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
    codec = context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name
    codec = {"libdav1d": "av1"}.get(codec, codec)
    shape, coded_shape = (
        Fraction(given or 0) for given in (stream.sample_aspect_ratio, context.sample_aspect_ratio)
    )
    seen = walk_packets(container, stream, codec)
    index, look, epochs = seen.index, seen.look, seen.epochs
    if not len(index):
        raise MediaError(
            f"{path}: its video stream holds no packets; it may be only the start of a segmented video"
        )
    if not look.pts and _is_animated_webp(path):
        raise MediaError(
            f"{path}: is an animated WebP, which FFmpeg can't read; make a .gif, an animated .png or numbered"
            " pictures of it first"
        )
    if not look.pts:
        raise MediaError(
            f"{path}: no frame of its video can be decoded{': ' + look.error if look.error else ''}"
        )
    pixels = planar_format(look.pix_fmt)
    notes = []
    if look.turned_oddly:
        notes.append("its display matrix is no multiple of 90 degrees and is left out")
    if look.dolby_vision_only:
        raise MediaError(
            f"{path}: is Dolby Vision without a base layer (profile 5, or 10.0), whose colours only its own"
            " player knows; expected HDR10, HLG, or Dolby Vision on top of one of them"
        )
    crop = container_crop(stream).rounded(pixels, *look.size)
    if crop:
        notes.append(
            f"cropped as its container says: top {crop.top}, bottom {crop.bottom}, left {crop.left}, right"
            f" {crop.right}; {'x'.join(map(str, crop.size(*look.size)))} of {'x'.join(map(str, look.size))}"
            " are shown"
        )
    dynamic = seen.dynamic_hdr.facts
    lost = look.lost - dynamic_names(dynamic)
    if lost:
        notes.append(f"the result will be without its {', '.join(sorted(lost))}")
    if epochs:
        notes.append(f"its clock jumps back {len(epochs)} time(s); the parts are joined end to end")
    if stream.metadata.get("alpha_mode") == "1":
        notes.append("alpha that its header speaks of, a second picture beside each one, is left out")
    notes.extend(
        f"{container.streams[n].type} stream {n}: its clock steps back {count} time(s), by up to"
        f" {float(most) * 1000:.0f} ms; what would lie in the past is put forward, as FFmpeg and mkvmerge do"
        for n, (count, most) in sorted(seen.others.steps_back.items())
    )
    expected, linear = expected_times(index, look, container.format.name, codec)
    if codec == "mjpeg":
        pattern = pattern_of(path)
        look.orientation = (
            exif_orientation(path if pattern is None else pattern.path(pattern.numbers()[0]))
            or look.orientation
        )
    width, height = look.size
    setup = DecoderSetup(
        codec=context.name,
        extradata=context.extradata,
        codec_tag=context.codec_tag,
        width=context.width,
        height=context.height,
        pix_fmt=context.pix_fmt,
        bits_per_coded_sample=context.bits_per_coded_sample,
        reorder_depth=context.reorder_depth,
        clock=(expected[0] if len(expected) else 0, Fraction(stream.time_base)),
    )
    facts = _first_facts(seen.start, setup)
    if facts is not None:
        # Metadata may come a few frames late, and from the container.
        facts = replace(
            facts, hdr=HdrMetadata(facts.hdr.display or look.hdr.display, facts.hdr.light or look.hdr.light)
        )
        setup = replace(setup, facts=facts, sar_of_container=bool(shape) and shape != coded_shape)
    # The container's word comes first, as with every player (av_guess_sample_aspect_ratio). Where it has
    # none, FFmpeg tells what the decoder said last while it was opened, which may be of a later part.
    sar = shape if setup.sar_of_container or facts is None else facts.sar
    is_cut = ends_in_a_slice(seen.tail, setup)
    # those frames are known by order
    seen.tail = [] if linear or any(packet.pts is None for packet in seen.tail) else seen.tail
    ending = _CUT_SLICE if is_cut else _damaged_end(seen.tail, setup, pixels)
    flaw, said_of_end = _flaw(container, path, stream, seen, ending)
    info = VideoInfo(
        path=str(path),
        fingerprint=fingerprint(path),
        format=container.format.name,
        stream_index=stream.index,
        codec=codec,
        width=width,
        height=height,
        pix_fmt=look.pix_fmt,
        sar=sar or Fraction(1),
        color=replace(look.color, siting=chroma_siting(stream, look.first)),
        time_base=Fraction(stream.time_base),
        rate=frame_rate(stream, expected),
        orientation=look.orientation,
        scan=Scan("top" if look.interlaced else "progressive"),
        decoder=setup,
        index=index,
        pts=expected,
        durations=frame_durations(expected, index, stream),
        linear=linear,
        epochs=epochs,
        start=seen.others.start or Fraction(0),
        streams=_others(container, stream, seen),
        samples=seen.others.kept(),
        chapters=len(container.chapters()),
        captions=look.captions,
        hdr=look.hdr,
        dynamic_hdr=dynamic,
        flaw=flaw,
        crop=crop,
        changes=tuple(_changes(seen, expected, setup, pixels)),
        notes=(*notes, *([f"it {flaw}"] if flaw else []), *said_of_end),
    )
    return info, context.field_order, seen.resizes


def _flaw(
    container: InputContainer,
    path: str | os.PathLike[str],
    stream: VideoStream,
    seen: PacketWalk,
    ending: str,
) -> tuple[str, list[str]]:
    """(what of the file is damaged or missing, empty where nothing is; what a person should know).

    ending: what is wrong with the last frames.
    """
    flaw = flaw_of(path, container.format.name)
    if (
        flaw is not None
        and seen.tail
        and not ending
        and not seen.damaged
        and (flaw.spared or flaw.cut_track not in {-1, stream.id})
    ):
        return "", [f"{flaw.text}; all frames that had begun are whole"]
    if flaw is not None and flaw.at_the_end and _is_whole(container, os.path.getsize(path), stream, seen):
        flaw = None  # an index or padding at the end is cut, no film
    if flaw is None:
        return (
            (
                f"is damaged: {seen.damaged} packets of its video did not arrive whole"
                if seen.damaged
                else ending
            ),
            [],
        )
    missing = stream.frames - len(seen.index)
    return (
        flaw.text
        + (f" ({len(seen.index)} of {stream.frames} frames)" if flaw.at_the_end and missing > 0 else ""),
        [],
    )


def _damaged_end(tail: Sequence[PacketData], setup: DecoderSetup, pixels: PixelFormat) -> str:
    """What is wrong with the frames behind the last point at which decoding may start, where recordings break
    off; empty where nothing is.
    """
    begins = tail[0].pts if tail else None
    with contextlib.suppress(CorruptError):
        # A frame that does not come is no damage: it may be a field of another.
        if not any(
            frame.corrupt and frame.pts >= begins
            for frame in decode(tail, setup, pixels)
            if begins is not None
        ):
            return ""
    return "ends early: its last frames are damaged, as where a recording breaks off"


_CUT_SLICE = "ends early: its last frame is cut off, as where a recording breaks off"


def _is_animated_webp(path: str | os.PathLike[str]) -> bool:
    """By the flag in its header: WebP container specification, "Extended File Format"."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        head = file.read(21)
        return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
    return False


def _is_whole(container: InputContainer, size: int, stream: VideoStream, seen: PacketWalk) -> bool:
    """Whether all samples lie inside a file that is cut short; False where there is no telling."""
    if container.format.name.startswith("mov"):
        return not any(entry.pos + entry.size > size for s in container.streams for entry in s.index_entries)
    if container.format.name.startswith("matroska"):
        declared = _tagged_seconds(stream.metadata.get("DURATION", ""))
        if declared:
            return seen.end >= declared - _MATROSKA_ROUNDING
        return (
            bool(container.duration)
            and seen.last >= Fraction(container.duration or 0, 1_000_000) - _LAST_WORDS
        )
    return False


def _tagged_seconds(text: str) -> Fraction:
    """Of a Matroska tag "00:01:02.500000000"; 0 where it is none."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    return Fraction(match[1]) * 3600 + Fraction(match[2]) * 60 + Fraction(match[3]) if match else Fraction(0)


def _first_facts(packets: Iterable[PacketData], setup: DecoderSetup) -> FrameFacts | None:
    """What the first frame says that comes of packets without their container; None where none comes."""
    return next(facts_alone(packets, setup), None)


def _changes(
    seen: PacketWalk, expected: array[int], setup: DecoderSetup, pixels: PixelFormat
) -> Iterator[tuple[int, str]]:
    """(place in `expected`, what is other from there on), first to last, as far as key frames alone tell."""
    if setup.facts is None:
        return
    for row, packet in seen.headers:
        found = _first_facts([packet], setup)
        change = change_of(setup.facts, found, setup, pixels) if found is not None else ""
        place = bisect.bisect_left(expected, seen.index.pts[row])
        if change and place < len(expected):
            yield place, change


def _is_cut(info: VideoInfo) -> bool:
    """Whether hidden frames have times at which others are shown.

    Several edits, of which packets don't tell what a decoder makes.
    """
    first, last = info.pts[0], info.pts[-1]
    return any(
        discard and first < pts < last
        for pts, discard in zip(info.index.pts, info.index.discard, strict=True)
    )


def _confirmed(info: VideoInfo) -> VideoInfo:
    """The same, if its container's own decoder shows the very frames that packets promise.

    Else known by order.
    """
    seen = counted(info)
    if seen.pts == info.pts:
        return replace(info, changes=changes_of(info, seen))
    if seen.pts[0] != NO_PTS and all(a < b for a, b in pairwise(seen.pts)):
        return count(info)
    place = next(n for n, (a, b) in enumerate(pairwise((seen.pts[0] - 1, *seen.pts))) if a >= b)
    raise MediaError(
        f"{info.path}: its edit list shows frame {place}"
        f" ({float((seen.pts[place] - seen.pts[0]) * info.time_base):.3f} s) behind one that is shown later;"
        " expected frames in order of time: make FFV1 of it with FFmpeg and upscale that"
    )


def _others(container: InputContainer, film: VideoStream, seen: PacketWalk) -> tuple[Stream, ...]:
    own_names = _matroska_names(container)
    return tuple(
        Stream(
            index=s.index,
            type=s.type,
            codec=_codec_name(s, own_names.get(s.index, "")),
            language=s.metadata.get("language", ""),
            title=s.metadata.get("title", ""),
            disposition=int(s.disposition),
            packet_count=seen.counts.get(s.index, 0),
            is_cover=bool(s.disposition & Disposition.attached_pic),
            drift=float(seen.others.drift.get(s.index, 0)),
        )
        for s in container.streams
        if s.index != film.index
    )


def _matroska_names(container: InputContainer) -> dict[int, str]:
    """Matroska's names of codecs by index of stream; none where FFmpeg found other tracks."""
    tracks = [
        s.index
        for s in container.streams
        if s.type in {"video", "audio", "subtitle"} and not s.disposition & Disposition.attached_pic
    ]
    if not container.format.name.startswith("matroska") or all(
        container.streams[n].codec_context for n in tracks
    ):
        return {}
    names = codec_ids(_name(container))
    return dict(zip(tracks, names, strict=True)) if len(names) == len(tracks) else {}


def _codec_name(stream: object, own_name: str) -> str:
    """own_name: what the container calls it; for codecs that FFmpeg does not know."""
    context = getattr(stream, "codec_context", None)
    return str(getattr(context, "name", "") or getattr(stream, "name", "") or own_name or "unknown")
