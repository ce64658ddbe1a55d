"""Packets to `Frame`s in display order, without a container, and the proof that they are the frames that were
promised.
"""

from __future__ import annotations

import zlib
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.packet import PacketSideData, packet_sidedata_type_from_literal

from models.errors import CorruptError, MediaError
from pipelines.codec.linear_light import from_linear
from pipelines.codec.mid_stream_changes import change_of, facts_of
from pipelines.media.bitstream import captions_of
from pipelines.media.demuxer import LASTING_SIDE_DATA, open_decoder
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.slice_checksums import SliceChecksums
from pipelines.media.video_info import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from pipelines.media.demuxer import PacketData
    from pipelines.media.video_info import DecoderSetup, FrameFacts

__all__ = [
    "Converter",
    "IndexMismatchError",
    "Promise",
    "checksum",
    "decode",
    "deliver",
    "facts_alone",
    "float_planes",
    "picture_planes",
    "planar_format",
]


_THREADS = 4
"""Of the decoder; decoded pictures do not depend on it."""

_HIDES_DAMAGE = frozenset({"hevc"})
"""Decoders that hand on what they could make of a broken slice, and do not mark it."""

_PLANAR = {
    "nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "p010le": "yuv420p10le",
    "p012le": "yuv420p12le", "p016le": "yuv420p16le", "p210le": "yuv422p10le", "nv20le": "yuv422p10le",
    "yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "y210le": "yuv422p10le",
    "rgb24": "gbrp", "bgr24": "gbrp", "rgb0": "gbrp", "bgr0": "gbrp", "0rgb": "gbrp", "0bgr": "gbrp",
    "rgba": "gbrap", "bgra": "gbrap", "argb": "gbrap", "abgr": "gbrap", "pal8": "gbrap",
    "rgb48le": "gbrp16le", "rgb48be": "gbrp16le", "rgba64le": "gbrap16le", "rgba64be": "gbrap16le",
    "gray16be": "gray16le", "ya16be": "ya16le", "monow": "gray", "monob": "gray", "gbrpf16le": "gbrpf32le",
    "gbrapf16le": "gbrapf32le", "grayf16le": "grayf32le", "v30xle": "yuv444p10le", "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le", "xv48le": "yuv444p16le", "vyu444": "yuv444p", "vuyx": "yuv444p",
    "vuya": "yuva444p", "uyva": "yuva444p", "ayuv": "yuva444p", "ayuv64le": "yuva444p16le", "nv42": "yuv444p",
    "p410le": "yuv444p10le", "p212le": "yuv422p12le", "p216le": "yuv422p16le", "p412le": "yuv444p12le",
    "p416le": "yuv444p16le", "y212le": "yuv422p12le", "y216le": "yuv422p16le", "x2rgb10le": "gbrp10le",
    "x2bgr10le": "gbrp10le", "rgb555le": "gbrp", "rgb565le": "gbrp", "bgr555le": "gbrp", "rgb8": "gbrp",
    "bgr8": "gbrp",
}  # fmt: skip
"""Packed formats and the planar ones with the same samples."""


class IndexMismatchError(MediaError):
    """The frames that came are not those the packets promised, though nothing is damaged.

    They have to be counted.
    """


def planar_format(pix_fmt: str) -> PixelFormat:
    """The format in which frames of `pix_fmt` are handed on. Raises MediaError for one that can't be."""
    if pix_fmt.endswith("be"):
        return PixelFormat.parse(_PLANAR.get(pix_fmt, pix_fmt[:-2] + "le"))
    return PixelFormat.parse(_PLANAR.get(pix_fmt, pix_fmt))


def packet_decoder(setup: DecoderSetup, *, strict: bool = False) -> VideoCodecContext:
    """A decoder as the container would have set it up. strict: damage it would hide is an error instead."""
    context = (
        open_decoder(setup.codec, err_detect="explode")
        if strict and setup.codec in _HIDES_DAMAGE
        else open_decoder(setup.codec)
    )
    context.extradata = setup.extradata
    context.codec_tag = setup.codec_tag
    context.width, context.height = setup.width, setup.height
    if setup.pix_fmt:
        context.pix_fmt = setup.pix_fmt
    context.bits_per_coded_sample = setup.bits_per_coded_sample
    context.reorder_depth = setup.reorder_depth
    context.thread_count = _THREADS
    return context


def decode(
    packets: Iterable[PacketData],
    setup: DecoderSetup,
    pixels: PixelFormat,
    *,
    conceal: bool = False,
    checks: Mapping[int, int] | None = None,
) -> Iterator[Frame]:
    """Decode all packets and drain the decoder.

    Frames come in display order with the decoder's own timestamps.

    A frame without a timestamp gets pts -1 (its place is known by order); hidden ones are left out. conceal:
    skip packets that can't be decoded. checks: `checksum` of some frames by their number from the first one
    decoded, where times identify none. A frame that is not like the film's first one says so
    (`Frame.change`), and so does one that the container's own decoder gives otherwise. Raises CorruptError
    where a packet behind the first frame can't be decoded.
    """
    decoder = packet_decoder(setup, strict=not conceal)
    converter = Converter(pixels, conceal=conceal)
    changes = _Changes(setup, pixels, decoder)
    asked = dict(checks or {})
    known: dict[str, bytes] = {}
    number = 0
    hidden: deque[bool] = deque(maxlen=_THREADS)
    checksums, damaged = SliceChecksums() if setup.codec == "ffv1" else None, deque[bool]()
    for data in _with_end(packets):
        if data is not None:
            hidden.append(data.hidden)
        if data is not None and checksums is not None:
            damaged.append(checksums.is_damaged(data.data))
        if data is not None and not conceal:
            asked.update(data.checks)
        try:
            frames = decoder.decode(rebuilt(data, known) if data is not None else None)
        except av.error.EOFError:
            break
        except av.error.MemoryError:
            raise  # nothing the video could help
        except av.error.FFmpegError as error:
            if damaged:
                damaged.pop()
            # At the start: a recording that begins between key frames, with nothing to show yet. Where an
            # edit list jumps, hidden pictures may refer to what is not there; threads tell of it late. A
            # picture to be shown that is lost by this is missed by whoever counts.
            if data is not None and (conceal or number == 0 or any(hidden)):
                continue
            if conceal:
                break  # nothing more can be had from it
            at = "at its end" if data is None else f"at pts {data.pts if data.pts is not None else data.dts}"
            raise CorruptError(
                f"the video can't be decoded {at}: {error.strerror}; --on-corrupt conceal would repair what"
                " it can"
            ) from None
        for raw in frames:
            is_corrupt = (
                bool(damaged) and damaged.popleft()
            ) or raw.is_corrupt  # FFV1 has a frame a packet, in order
            if raw.pts is not None and raw.pts > _HIDDEN >> 1:
                continue
            pts = -1 if raw.pts is None else raw.pts
            change = changes.of(raw)
            planes = [] if change else converter.planes(raw)
            expected = asked.pop(number if checks is not None else pts, None)
            if expected is not None and not change and not is_corrupt and expected != checksum(planes):
                changes.are_certain = change = _DIFFERS
            yield Frame(pts, planes, is_corrupt, b"" if pixels.is_float else captions_of(raw), change=change)
            number += 1


def facts_alone(packets: Iterable[PacketData], setup: DecoderSetup) -> Iterator[FrameFacts]:
    """What the frames say that come of a few packets, in display order.

    What can't be decoded is passed over.
    """
    decoder = packet_decoder(setup)
    known: dict[str, bytes] = {}
    for data in _with_end(packets):
        with suppress(av.error.FFmpegError):
            for raw in decoder.decode(rebuilt(data, known) if data is not None else None):
                yield facts_of(raw, decoder)


_HIDDEN = 1 << 62
"""Added to the time of a packet with a frame that is not to be shown: PyAV can't mark it; no real time is
half as late."""
_DIFFERS = (
    "its container's own decoder gives another picture; make FFV1 of it with FFmpeg and upscale that, for the"
    " picture differs"
)


def checksum(planes: Sequence[np.ndarray]) -> int:
    """CRC-32 of a frame's samples, plane by plane."""
    value = 0
    for plane in planes:
        value = zlib.crc32(np.ascontiguousarray(plane).data, value)
    return value


class Converter:
    """Frames as planes of one format."""

    def __init__(self, pixels: PixelFormat, *, conceal: bool = False) -> None:
        self._pixels, self._conceal = pixels, conceal
        self._reformatter: av.video.reformatter.VideoReformatter | None = None

    def planes(self, raw: VideoFrame) -> list[np.ndarray]:
        """One (height, width) array a plane. Raises CorruptError for float samples that are no numbers."""
        if self._pixels.is_float:
            return float_planes(raw, conceal=self._conceal)
        if raw.format.name.replace("yuvj", "yuv") != self._pixels.name:
            self._reformatter = self._reformatter or av.video.reformatter.VideoReformatter()
            raw = self._reformatter.reformat(raw, format=self._pixels.name)
        return picture_planes(raw, self._pixels)


class _Changes:
    """Notices frames that are unlike the film's first one in what holds for all of them."""

    def __init__(self, setup: DecoderSetup, pixels: PixelFormat, context: VideoCodecContext) -> None:
        self._setup, self._pixels, self._context = setup, pixels, context
        self._first = setup.facts
        self._last: tuple[FrameFacts, str] | None = None
        self.are_certain = ""
        """Set from outside, where every further frame is in doubt."""

    def of(self, raw: VideoFrame) -> str:
        """What is other than it was, fit for "… at frame 12"; empty where nothing is."""
        found = facts_of(raw, self._context, self._first)
        self._first = self._first or found
        if self._last is None or found != self._last[0]:
            self._last = found, change_of(self._first, found, self._setup, self._pixels)
        return self._last[1] or self.are_certain


def float_planes(frame: VideoFrame, *, conceal: bool = False) -> list[np.ndarray]:
    """Planes of linear light as float32 values; alpha has no curve.

    Raises CorruptError for non-finite values; conceal makes them black.
    """
    step = 2 if "f16" in frame.format.name else 4
    planes = []
    for place, plane in enumerate(frame.planes):
        rows = np.frombuffer(memoryview(plane), f"f{step}").reshape(-1, plane.line_size // step)[
            : frame.height, : frame.width
        ]
        if not np.isfinite(rows).all():
            if not conceal:
                raise CorruptError(
                    f"the frame at pts {frame.pts} holds non-finite values (NaN or infinity); --on-corrupt"
                    " conceal would blacken them"
                )
            rows = np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)
        planes.append(rows.astype(np.float32) if place == 3 else from_linear(rows))
    return planes


def _with_end(packets: Iterable[PacketData]) -> Iterator[PacketData | None]:
    yield from packets
    yield None  # once, or B-frames at the end are lost; twice, and the decoder refuses


def rebuilt(data: PacketData, known: dict[str, bytes]) -> av.Packet[Any]:
    """known: side data that the decoder was given and that holds until the next of its kind.

    Kept up to date.
    """
    # Not Packet(bytes): that lends Python's memory, which has no padding behind it; releasing it in a decoder
    # thread waits for the GIL while the thread that closes the decoder holds it.
    packet: av.Packet[Any] = av.Packet(len(data.data))
    packet.update(data.data)
    packet.pts, packet.dts, packet.duration = data.pts, data.dts, data.duration
    if data.hidden and data.pts is not None:
        packet.pts = data.pts + _HIDDEN
    packet.is_keyframe = data.key
    for kind, content in data.side:
        if known.get(kind) == content:
            continue
        if kind in LASTING_SIDE_DATA:
            known[kind] = content
        side = PacketSideData(packet_sidedata_type_from_literal(kind), len(content))  # type: ignore[call-arg, arg-type]
        side.update(content)
        packet.set_sidedata(side, move=True)
    return packet


def picture_planes(frame: VideoFrame, pixels: PixelFormat) -> list[np.ndarray]:
    """Views of the frame's planes, without padding; they keep the frame alive.

    Those of a new frame can be written to.
    """
    views = []
    step = pixels.plane_count if pixels.is_interleaved else 1
    for number in range(pixels.plane_count):
        height, width = pixels.plane_size(number, frame.width, frame.height)
        plane = frame.planes[0 if pixels.is_interleaved else number]
        rows = np.frombuffer(memoryview(plane), pixels.dtype).reshape(
            -1, plane.line_size // pixels.bytes_per_sample
        )
        views.append(rows[:height, (number if step > 1 else 0) : width * step : step])
    return views


_MOST_NAMED = 10
"""Damaged frames that are named by number."""


@dataclass(frozen=True)
class Promise:
    """What a stretch of video must give: these timestamps, in this order, once each."""

    pts: Sequence[int]
    """Ascending ticks; where frames are known by order only, the times to give them."""
    linear: bool = False
    """Frames are known by order, counted from the first one decoded."""
    first: int = 0
    """With `linear`: frames to skip before the first promised one."""
    number: int = 0
    """Of the first promised frame in the whole film, to name frames by."""
    clock: tuple[int, Fraction] = (0, Fraction(1))
    """(pts of the film's first frame, seconds a tick), to name moments by."""

    def refuse(self, place: int, change: str) -> MediaError:
        """The error for a frame, by its place among the promised ones, that is not like the film's
        first one.
        """
        what, _, remedy = change.partition("; ")
        pts, (first, tick) = self.pts[place], self.clock
        at = f"at frame {self.number + place} ({float((pts - first) * tick):.3f} s, pts {pts})"
        return MediaError(f"{what} {at}; {remedy or 'cut the file there and upscale the parts'}")

    def damage(self, pts: Iterable[int]) -> CorruptError:
        """The error that names damaged frames, all of which were promised."""
        place = {p: self.number + n for n, p in enumerate(self.pts)}
        numbers = [place[p] for p in pts if p in place]
        first = self.pts[numbers[0] - self.number]
        more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
        named = ", ".join(map(str, numbers[:_MOST_NAMED])) + more
        what = (
            f"frame {named} is damaged (pts {first})"
            if len(numbers) == 1
            else f"frames {named} are damaged (from pts {first})"
        )
        return CorruptError(f"{what}; --on-corrupt conceal would keep what the decoder made of it")


def deliver(frames: Iterable[Frame], promise: Promise, *, conceal: bool = False) -> Iterator[Frame]:
    """The promised frames out of what the decoder gave.

    Pre-roll and post-roll dropped, everything else accounted for.

    conceal: damaged frames pass, a missing one is replaced by the last good one; otherwise CorruptError for
    damage and IndexMismatchError for a difference without damage.
    """
    if promise.linear:
        yield from _deliver_by_order(frames, promise, conceal=conceal)
        return
    waiting = deque(promise.pts)
    last: Frame | None = None
    for frame in frames:
        if not waiting:
            continue  # post-roll; the decoder must be drained all the same
        if frame.pts < waiting[0]:
            if frame.pts > promise.pts[0] and not conceal:
                raise IndexMismatchError(f"a frame came at pts {frame.pts}, where none was promised")
            last = frame if not frame.change else last
            continue
        while waiting and frame.pts > waiting[0]:
            yield from _missing(waiting.popleft(), last or frame, conceal=conceal)
        if not waiting:
            continue
        if frame.pts != waiting[0]:
            raise IndexMismatchError(f"a frame came at pts {frame.pts}, where none was promised")
        if frame.change:
            raise promise.refuse(len(promise.pts) - len(waiting), frame.change)
        if frame.corrupt and not conceal:
            raise promise.damage([frame.pts, *(f.pts for _, f in _corrupt(enumerate(frames)))])
        waiting.popleft()
        last = frame
        yield frame
    while waiting:
        yield from _missing(waiting.popleft(), last, conceal=conceal)


def _missing(pts: int, last: Frame | None, *, conceal: bool) -> Iterator[Frame]:
    if not conceal or last is None or last.change:
        raise IndexMismatchError(f"no frame came for pts {pts}, though its packet is there")
    yield Frame(pts=pts, planes=last.planes, corrupt=True, dynamic_hdr=last.dynamic_hdr)


def _corrupt(frames: Iterable[tuple[int, Frame]]) -> Iterator[tuple[int, Frame]]:
    """The damaged ones of the frames that are still to come, as far as they can be decoded."""
    with suppress(MediaError):
        yield from ((number, frame) for number, frame in frames if frame.corrupt)


def _deliver_by_order(frames: Iterable[Frame], promise: Promise, *, conceal: bool) -> Iterator[Frame]:
    number, last = -1, None
    stop = promise.first + len(promise.pts)
    # the packets reach to the end of the film; what else they hold need not be decoded
    counted = enumerate(islice(frames, stop))
    for number, frame in counted:
        if number < promise.first:
            continue
        if frame.change:
            raise promise.refuse(number - promise.first, frame.change)
        if frame.corrupt and not conceal:
            raise promise.damage(
                [promise.pts[n - promise.first] for n in (number, *(n for n, _ in _corrupt(counted)))]
            )
        last = frame
        yield replace(frame, pts=promise.pts[number - promise.first])
    for place in range(max(number + 1, promise.first), stop):
        yield from _missing(promise.pts[place - promise.first], last, conceal=conceal)
