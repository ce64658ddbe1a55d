"""Packets to `Frame`s in display order, without a container."""

from __future__ import annotations

import re
import zlib
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.packet import PacketSideData, packet_sidedata_type_from_literal

from models.errors import CorruptError
from pipelines.codec.mid_stream_changes import change_of, facts_of
from pipelines.codec.packet_damage import damage_check
from pipelines.media.bitstream import captions_of
from pipelines.media.demuxer import open_decoder
from pipelines.media.packet_reader import LASTING_SIDE_DATA
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import DecoderSetup, FrameFacts

__all__ = [
    "Converter",
    "checksum",
    "convert_layout",
    "decode",
    "facts_of_packets",
    "float_planes",
    "from_linear",
    "picture_planes",
    "planes_as",
    "rebuild_packet",
    "to_linear",
]


_THREADS = 4
"""Threads of the decoder; decoded frames do not depend on it."""

_REPEATED = 256
"""Number of packets among which one that an edit list shows twice is recognised."""

_HIDES_DAMAGE = frozenset({"hevc"})
"""Decoders that output broken slices without marking the frame as corrupt."""


def packet_decoder(setup: DecoderSetup, *, strict: bool = False) -> VideoCodecContext:
    """Create a decoder, set up as the container would. strict: report damage that it would hide."""
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

    Frames come in display order with the decoder's own timestamps. A frame without a timestamp gets pts -1
    (its place is known by order); hidden frames are dropped. conceal: skip packets that can't be decoded.
    checks: `checksum` of some frames, by their number from the first decoded one, for films without reliable
    timestamps. A frame that differs from the film's first one in `FrameFacts`, or from the reference of the
    container's own decoder, has `Frame.change` set. Raises CorruptError if a packet after the first frame
    can't be decoded.
    """
    return _Decoding(setup, pixels, conceal=conceal, checks=checks).frames(packets)


class _Decoding:
    """A running decoder, and facts about the packets it was given."""

    def __init__(
        self, setup: DecoderSetup, pixels: PixelFormat, *, conceal: bool, checks: Mapping[int, int] | None
    ) -> None:
        self._decoder = packet_decoder(setup, strict=not conceal)
        self._converter = Converter(pixels, conceal=conceal)
        self._changes = _Changes(setup, pixels, self._decoder)
        self._setup, self._pixels, self._conceal = setup, pixels, conceal
        self._by_number = checks is not None
        self._asked = dict(checks or {})
        self._known: dict[str, bytes] = {}
        self._number = 0
        self._excused: deque[bool] = deque(maxlen=_THREADS)
        """For the packets that threads may still be decoding: whether an edit list allows them to fail."""
        self._recent: deque[int] = deque(maxlen=_REPEATED)
        self._latest: int | None = None
        self._packet_check = damage_check(setup.codec)
        self._damaged: deque[bool] = deque()

    def frames(self, packets: Iterable[PacketData]) -> Iterator[Frame]:
        """Yield all frames to be shown."""
        for data in _with_end(packets):
            if data is not None:
                self._note(data)
            pictures = self._pictures(data)
            if pictures is None:
                break
            for raw in pictures:
                # if packets are checked, each has one frame, in order
                is_corrupt = (bool(self._damaged) and self._damaged.popleft()) or raw.is_corrupt
                if raw.pts is not None and raw.pts > _HIDDEN >> 1:
                    continue
                yield self._frame(raw, is_corrupt=is_corrupt)
                self._number += 1

    def _note(self, data: PacketData) -> None:
        content = hash(data.data)
        self._excused.append(data.hidden or content in self._recent)
        self._recent.append(content)
        self._latest = data.dts if data.pts is None else data.pts
        if self._packet_check is not None:
            self._damaged.append(self._packet_check.is_damaged(data.data))
        if not self._conceal:
            self._asked.update(data.checks)

    def _pictures(self, data: PacketData | None) -> list[VideoFrame] | None:
        """The decoder's output for a packet, or at the end; None if no more output will come."""
        try:
            return self._decoder.decode(rebuild_packet(data, self._known) if data is not None else None)
        except av.error.EOFError:
            return None
        except av.error.MemoryError:
            raise  # not the fault of the video
        except av.error.FFmpegError as error:
            if self._damaged:
                self._damaged.pop()
            # At the start: a recording that begins between key frames has nothing to show yet. If an edit
            # list jumps, hidden frames may refer to missing ones, and HEVC's decoder refuses a frame that it
            # has seen before; threads report this late. If a frame to be shown is lost in this way, the check
            # of expected frames finds it.
            if any(self._excused) or (data is not None and (self._conceal or self._number == 0)):
                return [] if data is not None else self._pictures(None)
            if self._conceal:
                return None  # it returns nothing more
            at = f"{'after' if data is None else 'at'} {self._setup.time_text(self._latest)}"
            raise CorruptError(
                f"the video can't be decoded {at}: {error.strerror}; --on-corrupt conceal would repair what"
                " it can"
            ) from error

    def _frame(self, raw: VideoFrame, *, is_corrupt: bool) -> Frame:
        pts = -1 if raw.pts is None else raw.pts
        change = self._changes.of(raw)
        planes = [] if change else self._converter.planes(raw)
        expected = self._asked.pop(self._number if self._by_number else pts, None)
        if expected is not None and not change and not is_corrupt and expected != checksum(planes):
            self._changes.are_certain = change = _DIFFERS
        captions = b"" if self._pixels.is_float else captions_of(raw)
        return Frame(pts, planes, is_corrupt, captions, change=change)


def facts_of_packets(packets: Iterable[PacketData], setup: DecoderSetup) -> Iterator[FrameFacts]:
    """Facts about the frames decoded from a few packets, in display order.

    Packets that can't be decoded are skipped.
    """
    decoder = packet_decoder(setup)
    known: dict[str, bytes] = {}
    for data in _with_end(packets):
        with suppress(av.error.FFmpegError):
            for raw in decoder.decode(rebuild_packet(data, known) if data is not None else None):
                yield facts_of(raw, decoder)


_HIDDEN = 1 << 62
"""Added to the time of a packet with a hidden frame, as PyAV can't mark it; no real time is half
as large."""
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
    """Converts frames to planes of one format."""

    def __init__(self, pixels: PixelFormat, *, conceal: bool = False) -> None:
        self._pixels, self._conceal = pixels, conceal

    def planes(self, raw: VideoFrame) -> list[np.ndarray]:
        """One (height, width) array per plane. Raises CorruptError for non-finite float samples."""
        if self._pixels.is_float:
            return float_planes(raw, conceal=self._conceal)
        return planes_as(raw, self._pixels)


class _Changes:
    """Notices frames that differ from the film's first one in properties common to all frames."""

    def __init__(self, setup: DecoderSetup, pixels: PixelFormat, context: VideoCodecContext) -> None:
        self._setup, self._pixels, self._context = setup, pixels, context
        self._first = setup.facts
        self._last: tuple[FrameFacts, str] | None = None
        self.are_certain = ""
        """Set by the caller if every further frame is doubtful."""

    def of(self, raw: VideoFrame) -> str:
        """The difference, in words that fit "… at frame 12"; empty if there is none."""
        found = facts_of(raw, self._context, self._first)
        self._first = self._first or found
        if self._last is None or found != self._last[0]:
            self._last = found, change_of(self._first, found, self._setup, self._pixels)
        return self._last[1] or self.are_certain


def float_planes(frame: VideoFrame, *, conceal: bool = False) -> list[np.ndarray]:
    """Planes of linear light as float32 values; alpha has no curve.

    Raises CorruptError for non-finite values; conceal makes them black.
    """
    planes = []
    stored = _float_rows(frame)
    alpha = {2: 1, 4: 3}.get(len(stored))
    for place, samples in enumerate(stored):
        rows = samples
        if not np.isfinite(rows).all():
            if not conceal:
                raise CorruptError(
                    f"the frame at pts {frame.pts} holds non-finite values (NaN or infinity); --on-corrupt"
                    " conceal would blacken them"
                )
            rows = np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)
        planes.append(rows.astype(np.float32) if place == alpha else from_linear(rows))
    return planes


_WORD = re.compile(r"(rgb|bgr)(4|4_byte|8|(?:444|555|565)(?:le|be))")
"""Three samples in 4, 8 or 16 bits, the first one highest. FFmpeg shifts them to eight bits, so that white
becomes grey, or can't convert them."""
_BITS_OF_WORD = {"rgb4": (1, 2, 1), "bgr4": (1, 2, 1), "rgb8": (3, 3, 2), "bgr8": (2, 3, 3)}


def _planes_of_words(frame: VideoFrame) -> list[np.ndarray]:
    """Planes G, B, R of eight bits, to the nearest value of the same share of white."""
    name, (plane,) = frame.format.name, frame.planes
    order, kind = _WORD.fullmatch(name).groups()  # type: ignore[union-attr]
    bits = _BITS_OF_WORD.get(name.removesuffix("_byte")) or tuple(map(int, kind[:3]))
    sample = ">u2" if kind.endswith("be") else "<u2" if kind.endswith("le") else "u1"
    words = np.frombuffer(memoryview(plane), sample).reshape(-1, plane.line_size // np.dtype(sample).itemsize)
    if kind == "4":  # two pixels in a byte, the first one higher
        words = np.stack([words >> 4, words & 15], -1).reshape(len(words), -1)
    words = words[: frame.height, : frame.width].astype(np.uint32)
    planes, shift = {}, sum(bits)
    for color, count in zip(order, bits, strict=True):
        shift, most = shift - count, (1 << count) - 1
        planes[color] = (((words >> shift & most) * 510 + most) // (2 * most)).astype(np.uint8)
    return [planes[color] for color in "gbr"]


def _planes_of_high_bits(frame: VideoFrame, bits: int) -> list[np.ndarray]:
    """Planes of words with the samples in their highest bits, which FFmpeg converts with an error."""
    word = ">u2" if frame.format.name.endswith("be") else "<u2"
    stored = [np.frombuffer(memoryview(p), word).reshape(-1, p.line_size // 2) for p in frame.planes]
    return [(rows[: frame.height, : frame.width] >> 16 - bits).astype(np.uint16) for rows in stored]


_SIDE_BY_SIDE = {"yaf": (0, 1), "rgbf": (1, 2, 0), "rgbaf": (1, 2, 0, 3)}
"""Float formats with all samples of a pixel in one plane, and which of them each of our planes is."""


def _float_rows(frame: VideoFrame) -> list[np.ndarray]:
    """Views of the planes of floats as they are stored."""
    name = frame.format.name
    sample = np.dtype((">" if name.endswith("be") else "<") + ("f2" if "f16" in name else "f4"))
    places = _SIDE_BY_SIDE.get(name.partition("f")[0] + "f", ())
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), sample).reshape(-1, plane.line_size // sample.itemsize)
        rows, step = rows[: frame.height], len(places) or 1
        views += [rows[:, place : frame.width * step : step] for place in places or (0,)]
    return views


def _with_end(packets: Iterable[PacketData]) -> Iterator[PacketData | None]:
    yield from packets
    yield None  # exactly once: otherwise B-frames at the end are lost, or the decoder raises an error


def rebuild_packet(data: PacketData, known: dict[str, bytes]) -> av.Packet[Any]:
    """Rebuild a packet.

    known: side data that the decoder already has; it is valid until the next of its kind. This call updates
    it.
    """
    # Not Packet(bytes): that uses Python's memory, which has no padding at its end, and releasing it in a
    # decoder thread waits for the GIL while the thread that closes the decoder holds it.
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

    They are writable if the frame was newly allocated rather than decoded.
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


_WITH_ALPHA = frozenset({"gbrap", "yuva444p"})
"""Formats of frames that are opaque, their fourth plane aside."""


def planes_as(frame: VideoFrame, pixels: PixelFormat) -> list[np.ndarray]:
    """`picture_planes` of a frame in its planar format; packed samples are first converted to planes."""
    name = frame.format.name
    if _WORD.fullmatch(name):
        return _planes_of_words(frame)
    if "msb" in name:
        return _planes_of_high_bits(frame, pixels.bits)
    plain = name.replace("yuvj", "yuv")
    is_planar = plain == pixels.name or (plain in _WITH_ALPHA and plain.replace("a", "", 1) == pixels.name)
    return picture_planes(frame if is_planar else convert_layout(frame, pixels.name), pixels)


def convert_layout(frame: VideoFrame, pix_fmt: str) -> VideoFrame:
    """Convert a frame to another layout of the same samples, with FFmpeg.

    One thread only: with two, each would write past the end of its rows and overwrite the first samples of
    the other's part (packed formats of 10 bits, widths that are not a multiple of 32).
    """
    return frame.reformat(format=pix_fmt, threads=1)


_KNEE, _SLOPE, _GAMMA, _OFFSET = 0.0031308, 12.92, 2.4, 0.055
"""IEC 61966-2-1: the sRGB curve, extended above white and below black, between the linear light of OpenEXR
and the sample values of networks."""


def from_linear(light: np.ndarray) -> np.ndarray:
    """Linear light, 1 = white, any float -> float32 values of the same shape.

    Above 1 the curve is extended, below 0 it is linear.
    """
    light = light.astype(np.float64)
    curved = (1 + _OFFSET) * np.maximum(light, _KNEE) ** (1 / _GAMMA) - _OFFSET
    return np.where(light <= _KNEE, _SLOPE * light, curved).astype(np.float32)


def to_linear(values: np.ndarray) -> np.ndarray:
    """Encoded values -> linear light, 1 = white: the reverse of `from_linear`."""
    values = values.astype(np.float64)
    curved = ((np.maximum(values, _SLOPE * _KNEE) + _OFFSET) / (1 + _OFFSET)) ** _GAMMA
    return np.where(values <= _SLOPE * _KNEE, values / _SLOPE, curved).astype(np.float32)
