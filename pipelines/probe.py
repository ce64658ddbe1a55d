"""`VideoInfo` of a file: streams, size, colour, timing and the packet index.

One pass over the packets; only the first few are decoded, to see what the pictures are like. Where packets can't tell
which frames will come (raw streams, field pairs, packed B-frames), the whole file is decoded once and counted.
"""

from __future__ import annotations

import bisect
import hashlib
import operator
import os
import re
from array import array
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import av
import numpy as np
from av.stream import Disposition

from models.errors import MediaError, UsageError
from pipelines.bitstream import film_header, is_clean_point, nal_length_size
from pipelines.cicp import HdrMetadata
from pipelines.decode import Converter, checksum, facts_alone, planar_format
from pipelines.facts import change_of, facts_of
from pipelines.look import Look, exif_orientation
from pipelines.scan import find_scan
from pipelines.sequence import pattern_of
from pipelines.siting import chroma_siting, container_crop
from pipelines.source import DECODERS, MAX_PIXELS, PacketData, SideDataInForce, film_decoder, open_decoder, open_source, packets_of
from pipelines.structure import flaw_of
from pipelines.video import NO_PTS, DecoderSetup, PacketIndex, Scan, Stream, VideoInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, TypeAlias

    from av.container import InputContainer

    from pipelines.planes import PixelFormat
    from pipelines.sequence import Pattern
    from pipelines.video import FrameFacts

    Packet: TypeAlias = av.Packet[Any]
    from av.stream import Stream as AnyStream
    from av.video.stream import VideoStream

__all__ = ["EpochClock", "choose_stream", "count", "probe"]

_PICTURES_A_SECOND = 24
_MOST_HEADERS = 64
"""Places with other headers that are looked at; a film with more has changed at one of them, or never does."""
_CHECKED = 250
"""One frame of so many is compared with what a worker decodes, where frames are counted."""
_CLOCKED = ("mpegts", "mpeg")
"""Demuxers whose clock may jump back inside a file (concatenated recordings)."""
_WILD_TIMES = "its timestamps are farther apart than any film is long; it is damaged"
_MATROSKA_ROUNDING = Fraction(2, 1000)
_LAST_WORDS = Fraction(1, 20)
"""Seconds that the streams together may fall short of what is declared, by padding and rounding."""
_BACKSTEP_SECONDS = Fraction(1, 10)
"""How far decode times may go back before the clock is taken to have jumped."""
_UNRELIABLE_CODECS = frozenset({"mpeg4", "msmpeg4v2", "msmpeg4v3", "vp8", "h263", "flv1", "rv30", "rv40"})
"""Packets of these may hold no frame (alt-ref, N-VOP) or two (packed B)."""


def choose_stream(container: InputContainer, number: int | None = None) -> VideoStream:
    """The film: FFmpeg's best video stream that is no cover art, or the `number`-th video stream that is none.

    Raises MediaError where there is no such stream.
    """
    films = [s for s in container.streams.video if not s.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)]
    tiles = [s for s in films if s.disposition & Disposition.dependent]
    films = [s for s in films if s not in tiles]
    if tiles and not any(s.disposition & Disposition.default for s in films):  # what is left is a thumbnail at best
        width, height = tiles[0].codec_context.width, tiles[0].codec_context.height
        raise MediaError(
            f"{_name(container)}: is a photo of {len(tiles)} tiles of {width}x{height}, which have to be put together first (HEIC and AVIF grids); "
            "make a PNG or TIFF of it with the camera's or the system's own viewer and upscale that"
        )
    if not films:
        kinds = sorted({s.type for s in container.streams})
        raise MediaError(f"{_name(container)}: has no video stream (found: {', '.join(kinds) or 'nothing'})")
    if number is not None:
        if not 0 <= number < len(films):
            raise MediaError(f"{_name(container)}: has {len(films)} video stream(s); --video-stream {number} is not one of them")
        return films[number]
    best = container.streams.best("video")
    return next((s for s in films if best is not None and s.index == best.index), films[0])


def _name(container: InputContainer) -> str:
    return container.name.removeprefix("file:")


def probe(path: str | os.PathLike[str], *, video_stream: int | None = None, exact: bool = False, rate: Fraction | None = None) -> VideoInfo:
    """Read what there is to know of a video.

    video_stream: which of several films, counted from 0. exact: count frames by decoding all of them. rate: of numbered
    pictures, frames a second.
    Raises MediaError where the file is no video, or its frames can't be timed.
    """
    container = open_source(path)
    try:
        info, field_order = _read(container, path, video_stream)
    except av.error.FFmpegError as error:
        raise MediaError(f"{path}: can't be read as video: {error.strerror}") from None
    except OverflowError:
        raise MediaError(f"{path}: {_WILD_TIMES}") from None
    finally:
        container.close()
    pattern = pattern_of(path)
    if pattern is not None:
        info = _timed(info, pattern, rate)
    elif rate is not None:
        raise UsageError(f"{path}: --rate is for numbered pictures (frame_%05d.png); a video has its own times")
    if exact or info.linear:
        info = count(info)
    elif _is_cut(info):
        info = _confirmed(info)
    return replace(info, scan=find_scan(info, field_order))


def _timed(info: VideoInfo, pattern: Pattern, rate: Fraction | None) -> VideoInfo:
    """Numbered pictures as a film: one tick a picture."""
    numbers = pattern.numbers()
    if len(numbers) != len(info.pts):
        raise MediaError(f"{pattern}: {len(numbers)} pictures, but {len(info.pts)} frames in them; expected one each")
    notes = info.notes if rate is not None else (*info.notes, f"assumed {_PICTURES_A_SECOND} pictures a second; --rate would tell")
    rate = rate or Fraction(_PICTURES_A_SECOND)
    ticks = array("q", range(len(numbers)))
    return replace(
        info, pts=ticks, durations=array("q", [1] * len(numbers)), linear=False, time_base=1 / rate, rate=rate, first_number=numbers[0],
        format="numbered pictures", duration_seconds=float(len(numbers) / rate), notes=notes, decoder=replace(info.decoder, clock=(0, 1 / rate)),
    )  # fmt: skip


def fingerprint(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the file's content, or of all pictures of a sequence."""
    pattern = pattern_of(path)
    if pattern is not None:
        return pattern.fingerprint()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(container: InputContainer, path: str | os.PathLike[str], video_stream: int | None) -> tuple[VideoInfo, int]:
    """What the packets and the first frames say, and the stream's AVFieldOrder."""
    stream = choose_stream(container, video_stream)
    context = stream.codec_context
    if context is None or stream.time_base is None:
        raise MediaError(f"{path}: there is no decoder for its video stream")
    if context.name not in DECODERS:
        raise MediaError(
            f"{path}: its video is {context.name}, for which no decoder is opened, as rarely used ones are where attacks succeed; "
            "make FFV1 of it with a tool you trust with this file"
        )
    if context.width * context.height > MAX_PIXELS:
        raise MediaError(f"{path}: its pictures are {context.width}x{context.height}; expected at most {MAX_PIXELS >> 20} million pixels")
    codec = context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name
    codec = {"libdav1d": "av1"}.get(codec, codec)
    shape, coded_shape = (Fraction(given or 0) for given in (stream.sample_aspect_ratio, context.sample_aspect_ratio))
    seen = _walk(container, stream, codec)
    index, look, epochs = seen.index, seen.look, seen.epochs
    if not len(index):
        raise MediaError(f"{path}: its video stream holds no packets; it may be only the start of a segmented video")
    if not look.pts:
        raise MediaError(f"{path}: no frame of its video can be decoded{': ' + look.error if look.error else ''}")
    pixels = planar_format(look.pix_fmt)
    notes = []
    if look.turned_oddly:
        notes.append("its display matrix is no multiple of 90 degrees and is left out")
    if look.dolby_vision_only:
        raise MediaError(
            f"{path}: is Dolby Vision without a base layer (profile 5, or 10.0), whose colours only its own player knows; "
            "expected HDR10, HLG, or Dolby Vision on top of one of them"
        )
    crop = container_crop(stream).rounded(pixels, *look.size)
    if crop:
        notes.append(
            f"cropped as its container says: top {crop.top}, bottom {crop.bottom}, left {crop.left}, right {crop.right}; "
            f"{'x'.join(map(str, crop.size(*look.size)))} of {'x'.join(map(str, look.size))} are shown"
        )
    if look.lost:
        notes.append(f"the result will be without its {', '.join(sorted(look.lost))}")
    if epochs:
        notes.append(f"its clock jumps back {len(epochs)} time(s); the parts are joined end to end")
    if stream.metadata.get("alpha_mode") == "1":
        notes.append("alpha that its header speaks of, a second picture beside each one, is left out")
    expected, linear = _expected(index, look, container.format.name, codec)
    flaw = _flaw(container, path, stream, seen)
    if codec == "mjpeg":
        pattern = pattern_of(path)
        look.orientation = exif_orientation(path if pattern is None else pattern.path(pattern.numbers()[0])) or look.orientation
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
        facts = replace(facts, hdr=HdrMetadata(facts.hdr.display or look.hdr.display, facts.hdr.light or look.hdr.light))
        setup = replace(setup, facts=facts, sar_of_container=bool(shape) and shape != coded_shape)
    # The container's word comes first, as with every player (av_guess_sample_aspect_ratio). Where it has none, FFmpeg tells what the decoder
    # said last while it was opened, which may be of a later part.
    sar = shape if setup.sar_of_container or facts is None else facts.sar
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
        rate=_rate(stream, expected),
        orientation=look.orientation,
        scan=Scan("top" if look.interlaced else "progressive"),
        decoder=setup,
        index=index,
        pts=expected,
        durations=_durations(expected, index, stream),
        linear=linear,
        epochs=epochs,
        streams=_others(container, stream, seen.counts),
        chapters=len(container.chapters()),
        duration_seconds=float((container.duration or 0) / 1_000_000),
        captions=look.captions,
        hdr=look.hdr,
        flaw=flaw,
        crop=crop,
        changes=tuple(_changes(seen, expected, setup, pixels)),
        notes=(*notes, *([f"it {flaw}"] if flaw else [])),
    )
    return info, context.field_order


def _flaw(container: InputContainer, path: str | os.PathLike[str], stream: VideoStream, seen: _Walk) -> str:
    """What of the file is damaged or missing, as its container says; empty where nothing is."""
    flaw = flaw_of(path, container.format.name)
    if flaw is not None and flaw.at_the_end and _is_whole(container, os.path.getsize(path), stream, seen):
        flaw = None  # an index or padding at the end is cut, no film
    if flaw is None:
        return f"is damaged: {seen.damaged} packets of its video did not arrive whole" if seen.damaged else ""
    missing = stream.frames - len(seen.index)
    return flaw.text + (f" ({len(seen.index)} of {stream.frames} frames)" if flaw.at_the_end and missing > 0 else "")


def _is_whole(container: InputContainer, size: int, stream: VideoStream, seen: _Walk) -> bool:
    """Whether all samples lie inside a file that is cut short; False where there is no telling."""
    if container.format.name.startswith("mov"):
        return not any(entry.pos + entry.size > size for s in container.streams for entry in s.index_entries)
    if container.format.name.startswith("matroska"):
        declared = _tagged_seconds(stream.metadata.get("DURATION", ""))
        if declared:
            return seen.end >= declared - _MATROSKA_ROUNDING
        return bool(container.duration) and seen.last >= Fraction(container.duration or 0, 1_000_000) - _LAST_WORDS
    return False


def _tagged_seconds(text: str) -> Fraction:
    """Of a Matroska tag "00:01:02.500000000"; 0 where it is none."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    return Fraction(match[1]) * 3600 + Fraction(match[2]) * 60 + Fraction(match[3]) if match else Fraction(0)


def _rate(stream: VideoStream, pts: array[int]) -> Fraction:
    """Frames per second as the container says, or, where that can't be, as counted."""
    rate = stream.average_rate or stream.guessed_rate
    if rate and 0 < rate <= 240:
        return Fraction(rate)
    if len(pts) > 1 and pts[-1] > pts[0] != NO_PTS:
        return ((len(pts) - 1) / ((pts[-1] - pts[0]) * Fraction(stream.time_base or 1))).limit_denominator(1001)
    return Fraction(25)


@dataclass
class _Walk:
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


def _walk(container: InputContainer, stream: VideoStream, codec: str) -> _Walk:
    """One pass over all packets."""
    seen, decoder = _Walk(), open_decoder(stream)
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


class EpochClock:
    """Notices where a broadcast clock jumps back, and what to add so that every stream goes on in step.

    Each stream notices its own jump; the n-th jump of any stream belongs to the n-th epoch of all. The offset of an epoch
    puts its earliest start behind the latest end of the one before, so no stream overlaps itself and none drifts.
    Show it all packets of a file, in order.
    """

    def __init__(self, format_name: str) -> None:
        self._enabled = format_name in _CLOCKED
        self._last: dict[int, Fraction] = {}
        self._epoch_of: dict[int, int] = {}
        self._offsets = [Fraction(0)]
        self._end = Fraction(0)

    def see(self, packet: Packet) -> None:
        """Take note of a packet; `shift_ticks` then holds for it."""
        if not self._enabled or packet.dts is None or packet.time_base is None:
            return
        index, base = packet.stream_index, Fraction(packet.time_base)
        if packet.stream.type not in {"video", "audio"}:
            self._epoch_of[index] = len(self._offsets) - 1  # a subtitle's own clock may stutter; it follows the others
            return
        now = packet.dts * base
        # A jump back of more than a minute reaches us as one ahead: the demuxer takes it for the wrap of a 33-bit clock.
        if index in self._last and not self._last[index] - _BACKSTEP_SECONDS <= now <= self._last[index] + 3600:
            self._epoch_of[index] = self._epoch_of.get(index, 0) + 1
            if self._epoch_of[index] == len(self._offsets):
                self._offsets.append(self._end - now)
        self._last[index] = now
        shown = max(packet.pts or packet.dts, packet.dts) + (packet.duration or 0)
        self._end = max(self._end, shown * base + self._offsets[self._epoch_of.get(index, 0)])

    def shift_ticks(self, stream: AnyStream) -> int:
        """What to add to the times of that stream's latest packet, in its own ticks."""
        offset = self._offsets[self._epoch_of.get(stream.index, 0)]
        return round(offset / Fraction(stream.time_base or 1)) if offset else 0


def _alone(packet: Packet, data: bytes, side: tuple[tuple[str, bytes], ...]) -> PacketData:
    return PacketData(data, packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, packet.is_discard, side)


def _first_facts(packets: Iterable[PacketData], setup: DecoderSetup) -> FrameFacts | None:
    """What the first frame says that comes of packets without their container; None where none comes."""
    return next(facts_alone(packets, setup), None)


def _changes(seen: _Walk, expected: array[int], setup: DecoderSetup, pixels: PixelFormat) -> Iterator[tuple[int, str]]:
    """(place in `expected`, what is other from there on), first to last, as far as key frames alone tell."""
    if setup.facts is None:
        return
    for row, packet in seen.headers:
        found = _first_facts([packet], setup)
        change = change_of(setup.facts, found, setup, pixels) if found is not None else ""
        place = bisect.bisect_left(expected, seen.index.pts[row])
        if change and place < len(expected):
            yield place, change


def _expected(index: PacketIndex, look: Look, format_name: str, codec: str) -> tuple[array[int], bool]:
    """(timestamps the packets promise, whether they can't be trusted and the frames must be counted by decoding)."""
    shown = np.frombuffer(index.pts, np.int64)[np.frombuffer(index.discard, np.uint8) == 0]
    shown.sort()
    promised = array("q")
    promised.frombytes(shown.data.cast("B"))
    unsure = (
        not promised
        or promised[0] == NO_PTS
        or any(map(operator.eq, promised, islice(promised, 1, None)))
        or codec in _UNRELIABLE_CODECS
        or format_name == "avi"
        or [p for p in look.pts if p is not None] != promised[: len(look.pts)].tolist()
    )
    return promised, unsure


def count(info: VideoInfo) -> VideoInfo:
    """The same info with its frames counted by decoding the whole film once, in order."""
    seen = _counted(info)
    try:
        pts = _timeline(seen.pts, info)
        durations = _durations(pts, info.index, None, info.rate, info.time_base)
    except OverflowError:
        raise MediaError(f"{info.path}: {_WILD_TIMES}") from None
    note = f"its packets do not tell which frames they hold; counted by decoding, {len(info.index)} packets gave {len(pts)} frames"
    return replace(
        info,
        pts=pts,
        durations=durations,
        linear=True,
        damage=seen.damage,
        decoder=replace(info.decoder, clock=(pts[0], info.time_base)),
        checks=tuple(seen.checks),
        changes=_changes_of(info, seen),
        notes=(*info.notes, note),
    )


@dataclass
class _Counted:
    """What decoding a whole film once, in its container, shows."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    damage: int = 0
    """Frames and packets found damaged."""
    checks: list[tuple[int, int]] = field(default_factory=list)
    """(place, `decode.checksum`) of a frame now and then, and of those where a header or a palette changes."""
    changes: list[tuple[int, str]] = field(default_factory=list)
    """(place, what is other than in the first frame), the first one."""


def _counted(info: VideoInfo) -> _Counted:
    container = open_source(info.path)
    seen = _Counted()
    pixels = planar_format(info.pix_fmt)
    converter = None if pixels.is_float else Converter(pixels)
    first: FrameFacts | None = None
    in_force = SideDataInForce()
    wanted = 0
    try:
        stream, context = film_decoder(container, info.stream_index)
        for packet in packets_of(container, info.path, stream):
            in_force.see(packet)
            wanted = max(wanted, in_force.is_changed)
            try:
                frames = context.decode(packet)
            except av.error.EOFError:
                break
            except av.error.FFmpegError:
                seen.damage += len(seen.pts) > 0  # before the first frame: a recording that begins between key frames
                continue
            for frame in frames:
                place = len(seen.pts)
                seen.pts.append(NO_PTS if frame.pts is None else frame.pts)
                seen.damage += frame.is_corrupt
                found = facts_of(frame, context, first)
                first = first or found
                change = change_of(first, found, info.decoder, pixels) if found != first and not seen.changes else ""
                if change:
                    seen.changes.append((place, change))
                if (wanted or place % _CHECKED == 0) and not frame.is_corrupt and converter is not None and not seen.changes:
                    seen.checks.append((place, checksum(converter.planes(frame))))
                    wanted = 0
    finally:
        container.close()
    if not len(seen.pts):
        raise MediaError(f"{info.path}: no frame of its video can be decoded")
    return seen


def _changes_of(info: VideoInfo, seen: _Counted) -> tuple[tuple[int, str], ...]:
    """What frames said, and else what headers did, which a decoder may not have followed; those are found by their times."""
    if seen.changes:
        return tuple(seen.changes)
    places = {pts: place for place, pts in enumerate(seen.pts)}
    return tuple((places[pts], change) for pts, change in ((info.pts[place], change) for place, change in info.changes) if pts in places)


def _is_cut(info: VideoInfo) -> bool:
    """Whether hidden frames have times at which others are shown: several edits, of which packets don't tell what a decoder makes."""
    first, last = info.pts[0], info.pts[-1]
    return any(discard and first < pts < last for pts, discard in zip(info.index.pts, info.index.discard, strict=True))


def _confirmed(info: VideoInfo) -> VideoInfo:
    """The same, if its container's own decoder shows the very frames that packets promise; else known by order."""
    seen = _counted(info)
    if seen.pts == info.pts:
        return replace(info, changes=_changes_of(info, seen))
    if seen.pts[0] != NO_PTS and all(a < b for a, b in pairwise(seen.pts)):
        return count(info)
    place = next(n for n, (a, b) in enumerate(pairwise((seen.pts[0] - 1, *seen.pts))) if a >= b)
    raise MediaError(
        f"{info.path}: its edit list shows frame {place} ({float((seen.pts[place] - seen.pts[0]) * info.time_base):.3f} s) behind one that is shown "
        "later; expected frames in order of time: make FFV1 of it with FFmpeg and upscale that"
    )


def _timeline(seen: array[int], info: VideoInfo) -> array[int]:
    """Strictly ascending timestamps for frames known by order: their own, else the packets', else the frame rate's."""
    ascending = all(map(operator.lt, seen, islice(seen, 1, None)))
    if seen[0] != NO_PTS and ascending:
        return seen
    times = sorted({p for p in (info.index.pts if NO_PTS not in info.index.pts else info.index.dts) if p != NO_PTS})
    if len(times) == len(seen):
        return array("q", times)
    step = 1 / (info.rate * info.time_base)
    start = next((p for p in seen if p != NO_PTS), 0)
    return array("q", (start + round(i * step) for i in range(len(seen))))


def _durations(
    pts: array[int], index: PacketIndex, stream: VideoStream | None, rate: Fraction = Fraction(25), time_base: Fraction = Fraction(1, 25)
) -> array[int]:
    """From each frame to the next; the last one as its packet says, else as long as the one before."""
    if stream is not None:
        rate, time_base = _rate(stream, pts), Fraction(stream.time_base or time_base)
    steps = array("q", map(operator.sub, islice(pts, 1, None), pts))
    if len(pts):
        last = next((d for p, d in zip(reversed(index.pts), reversed(index.duration), strict=True) if p == pts[-1]), 0)
        if stream is None and len(index) != len(pts):
            last = 0  # a packet is no frame here, but a field or two pictures
        typical = steps[-1] if steps else max(1, round(1 / (rate * time_base)))
        # Matroska and FLV without durations report one tick, or what their average rate would give.
        steps.append(last if last * 3 > typical or (stream is not None and stream.container.format.name.startswith("mov")) else typical)
    return steps


def _others(container: InputContainer, film: VideoStream, counts: dict[int, int]) -> tuple[Stream, ...]:
    return tuple(
        Stream(
            index=s.index,
            type=s.type,
            codec=_codec_name(s),
            language=s.metadata.get("language", ""),
            title=s.metadata.get("title", ""),
            disposition=int(s.disposition),
            packet_count=counts.get(s.index, 0),
            is_cover=bool(s.disposition & Disposition.attached_pic),
        )
        for s in container.streams
        if s.index != film.index
    )


def _codec_name(stream: object) -> str:
    context = getattr(stream, "codec_context", None)
    return str(getattr(context, "name", "") or getattr(stream, "name", "") or "unknown")
