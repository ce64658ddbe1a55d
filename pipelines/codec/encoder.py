"""Frames to an encoded chunk, with an encoder opened so that chunks can be joined and bits repeat.

Each chunk is muxed into the target's container, which converts packets and headers to the form that the
output needs. Times in this container are only ordinal; the true timestamps are stored separately.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack

import av
import numpy as np

from models.errors import ResourceError, UsageError
from pipelines.codec.decoder import convert_layout, picture_planes, to_linear
from pipelines.codec.encoder_builds import repeatable_options
from pipelines.codec.ffmpeg_log import captured_log
from pipelines.codec.grey_jpeg import grey_jpeg
from pipelines.codec.stream_tags import with_tags
from pipelines.media.bitstream import caption_message, insert_captions, insert_hdr
from pipelines.media.cicp import HdrMetadata, Siting
from pipelines.media.demuxer import open_memory
from pipelines.media.dynamic_hdr import insert_dynamic_hdr, insert_t35_obus
from pipelines.media.image_sequence import pack, unpack
from pipelines.settings.encoder_spec import LAMBDA_A_STEP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from av.video.stream import VideoStream

    from pipelines.media.cicp import ColorTags
    from pipelines.media.video_info import Frame
    from pipelines.plan.plan import Plan
    from pipelines.settings.encoder_spec import Encoder

__all__ = [
    "OPENING",
    "EncodedChunk",
    "StreamFacts",
    "encode_chunk",
    "frame_bytes",
    "stream_facts",
    "try_encoder",
]


os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its settings to standard error otherwise


_PASSED_OVER = re.compile(r"(?:Error parsing option|Unknown option:?|Invalid value for) '?(.*?)'?\.?\s*$")
"""FFmpeg's log message for a key or value in x264-params, x265-params and svtav1-params that the library
ignores."""
_SITED = frozenset({"libx264", "libx265", "libsvtav1", "ffv1"})
"""Encoders that signal chroma siting, or leave it to Matroska."""
_SITING_NAMES = {
    Siting.LEFT: "left", Siting.CENTER: "center", Siting.TOP_LEFT: "topleft",
    Siting.TOP: "top", Siting.BOTTOM_LEFT: "bottomleft", Siting.BOTTOM: "bottom",
}  # fmt: skip


def try_encoder(encoder: Encoder, color: ColorTags) -> None:
    """Open the encoder as a run would, and close it; an encoder that is listed may still fail to open.

    Raises UsageError if it can't be opened, and for options it doesn't know, which FFmpeg would ignore.
    """
    try:
        with (
            _Muxer(encoder, Fraction(1, 25), Fraction(25), Fraction(1), color) as muxer,
            captured_log(av.logging.WARNING) as logged,
        ):
            muxer.stream.codec_context.open(strict=False)
            left = muxer.stream.codec_context.options
    except (av.error.FFmpegError, ValueError, OSError, MemoryError) as error:
        raise UsageError(
            f"the encoder {encoder.name} refuses {encoder.width}x{encoder.height} {encoder.pix_fmt} with"
            f" {' '.join(f'{k}={v}' for k, v in encoder.options.items())}: {_reason(error)}; choose another"
            " --codec, --preset, --pixel-format or --encoder-option"
        ) from error
    unknown = [
        *(f"{key}={value}" for key, value in left.items()),
        *(found[1] for _, _, text in logged if (found := _PASSED_OVER.search(text))),
    ]
    if unknown:
        raise UsageError(
            f"the encoder {encoder.name} does not know {', '.join(unknown)}; leave"
            f" {'it' if len(unknown) == 1 else 'them'} out, or see `ffmpeg -h"
            f" encoder={encoder.name}` for its options"
        )


def _reason(error: Exception) -> str:
    """The message that the encoder logged, else FFmpeg's error."""
    logged = getattr(error, "log", None)
    return str((logged and logged[2].strip()) or getattr(error, "strerror", None) or error)


@dataclass(frozen=True, eq=False)
class EncodedChunk:
    """An encoded chunk, as returned by a worker and stored on disk."""

    index: int
    data: bytes
    """A small file in the target's container; its packets are those of the chunk, in decode order."""
    pts: tuple[int, ...]
    """True timestamps of its packets, in the same order, in the plan's time base."""
    header_sha256: str
    """Hash of the extradata and the rest of the stream's header; equal for all chunks of a job."""
    thumbnails: bytes
    """Luma of every source frame in display order, a `thumbnail.Thumbnail` each."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each step."""
    corrupt: int = 0
    """Frames that were damaged or missing in the source, and concealed."""
    dynamic_hdr: tuple[int, ...] = ()
    """`DynamicHdr.mark` of its frames in display order; empty if the plan keeps no such metadata."""

    @property
    def sha256(self) -> str:
        """SHA-256 of `data`."""
        return hashlib.sha256(self.data).hexdigest()


class _Muxer:
    """An encoder and a container in memory, opened and closed together."""

    def __init__(
        self, encoder: Encoder, time_base: Fraction, rate: Fraction, sar: Fraction, color: ColorTags
    ) -> None:
        self._buffer = io.BytesIO()
        self._pictures: list[bytes] | None = [] if encoder.is_sequence else None
        self._grey = encoder if encoder.name == "mjpeg" and encoder.pixels.family == "gray" else None
        """Grey JPEG is written here from samples, as FFmpeg has no encoder for it."""
        name, options = encoder.name, repeatable_options(encoder.name, encoder.width, encoder.options)
        if self._grey is not None:
            name, options = "rawvideo", {k: v for k, v in options.items() if k not in _JPEG_OPTIONS}
        self._container = av.open(
            self._buffer, "w", format="image2pipe" if encoder.is_picture else encoder.container
        )
        self.stream: VideoStream = self._container.add_stream(name, rate=_sane(rate), options=options)  # type: ignore[assignment]
        context = self.stream.codec_context
        context.width, context.height = encoder.width, encoder.height
        context.pix_fmt = _encoded_format(encoder)
        context.time_base = time_base
        context.framerate = _sane(rate)
        context.sample_aspect_ratio = sar
        if encoder.tag:
            context.codec_tag = encoder.tag
        context.thread_count = encoder.threads
        context.thread_type = "SLICE" if encoder.name in {"ffv1", "prores_ks"} else "FRAME"
        context.color_range, context.colorspace = color.range, color.matrix
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        if encoder.name in _SITED and encoder.pixels.sub_y:
            context.options = {
                **context.options,
                "chroma_sample_location": _SITING_NAMES[Siting(color.siting)],
            }

    def __enter__(self) -> _Muxer:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def mux(self, packet: av.Packet[Any]) -> None:
        data = bytes(packet)
        if self._grey is not None:
            plane = np.frombuffer(data, np.uint8).reshape(self._grey.height, self._grey.width)
            data = grey_jpeg(plane, _jpeg_scale(self._grey))
        if self._pictures is not None:
            self._pictures.append(data)
        elif self._grey is not None:
            self._buffer.write(data)
        else:
            self._container.mux(packet)

    @property
    def data(self) -> bytes:
        """The muxed file, available after closing."""
        return self._buffer.getvalue() if self._pictures is None else pack(self._pictures)


_WAITING_SECONDS = 2.0
_MOST_WAITING_SECONDS = 900.0
_JPEG_OPTIONS = frozenset({"flags", "global_quality", "huffman"})


def _jpeg_scale(encoder: Encoder) -> int:
    """The quantiser of a JPEG, by FFmpeg's option. Raises ValueError."""
    return max(1, min(31, round(int(encoder.options["global_quality"]) / LAMBDA_A_STEP)))


def _sane(rate: Fraction) -> Fraction:
    """A frame rate that every encoder accepts."""
    return max(Fraction(1), min(rate, Fraction(240))).limit_denominator(65535)


def _encoded_format(encoder: Encoder) -> str:
    """The pixel format of the encoder's input; packed only if it has no planar one."""
    if encoder.name == "mjpeg":
        return encoder.pix_fmt.replace("yuv", "yuvj")
    return encoder.fed_format


class StreamFacts(TypedDict):
    """Properties common to all chunks of a film."""

    time_base: Fraction
    rate: Fraction
    sar: Fraction
    color: ColorTags
    hdr: NotRequired[HdrMetadata | None]
    """Metadata that the stream has to carry if the encoder's options don't write it."""


def stream_facts(plan: Plan) -> StreamFacts:
    """The facts about a plan's video stream."""
    return {
        "time_base": plan.time_base,
        "rate": plan.rate,
        "sar": plan.sar,
        "color": plan.out_color,
        "hdr": plan.hdr,
    }


def encode_chunk(
    frames: Iterable[Frame],
    index: int,
    encoder: Encoder,
    *,
    step: Callable[[], None] = lambda: None,
    patience_seconds: float = _MOST_WAITING_SECONDS,
    **facts: Unpack[StreamFacts],
) -> EncodedChunk:
    """Encode the frames of one chunk with a fresh encoder, so that it starts with a key frame.

    step: called for every packet, also while the encoder is drained (which can take long at 8K), and while
    waiting for a free session of a hardware encoder. patience_seconds: longest wait for a free session.
    Raises ResourceError if the encoder fails; a new attempt may succeed.
    """
    carried: dict[int, Frame] = {}
    pts: list[int] = []
    time_base, color = facts["time_base"], facts["color"]
    hdr = (facts.get("hdr") or None) if encoder.vendor else None
    with _opened(encoder, facts, step, patience_seconds) as muxer:
        try:
            for frame in frames:
                if frame.captions or frame.dynamic_hdr:
                    carried[frame.pts] = replace(frame, planes=[], origin=None)
                for packet in muxer.stream.encode(_to_av(frame, encoder, time_base, color)):
                    _keep(muxer, packet, pts, carried, encoder, hdr)
                    step()
            for packet in muxer.stream.codec_context.encode_lazy(None):
                packet.stream = muxer.stream
                _keep(muxer, packet, pts, carried, encoder, hdr)
                step()
        except av.error.FFmpegError as error:
            raise ResourceError(
                f"the encoder {encoder.name} failed in chunk {index} after {len(pts)} packets:"
                f" {error.strerror}"
            ) from error
        header = bytes(muxer.stream.codec_context.extradata or b"")
    data = muxer.data
    if encoder.vendor:
        try:
            data, header = with_tags(data, encoder, color)
        except av.error.FFmpegError as error:
            raise ResourceError(
                f"the encoder {encoder.name} made a damaged stream of chunk {index}: {error.strerror}"
            ) from error
    identity = header + repr((encoder.name, encoder.width, encoder.height, encoder.pix_fmt, color)).encode()
    return EncodedChunk(index, data, tuple(pts), hashlib.sha256(identity).hexdigest(), b"")


def frame_bytes(chunk: EncodedChunk, encoder: Encoder) -> list[int]:
    """Bytes of each frame of a chunk, in the order of its packets."""
    if encoder.is_sequence:
        return [len(picture) for picture in unpack(chunk.data)]
    if encoder.is_picture:
        return [len(chunk.data)]
    with open_memory(chunk.data) as container:
        return [packet.size for packet in container.demux(video=0) if packet.size]


def _opened(
    encoder: Encoder, facts: StreamFacts, step: Callable[[], None], patience_seconds: float
) -> _Muxer:
    """Open the encoder with its container.

    A hardware encoder is opened here, waiting for a free session if necessary; software encoders open
    themselves.
    """
    stream = facts["time_base"], facts["rate"], facts["sar"], facts["color"]
    if not encoder.vendor:
        return _Muxer(encoder, *stream)
    waited = 0.0
    while True:
        with captured_log(av.logging.ERROR) as logged:
            try:
                muxer = _Muxer(encoder, *stream)
                muxer.stream.codec_context.open(strict=False)
            except (av.error.FFmpegError, ValueError, OSError) as error:
                failure = error
            else:
                return muxer
        said = [text.strip() for _, _, text in logged if text.strip()]
        if waited >= patience_seconds or not any(words in text for text in said for words in _NO_SESSION):
            raise ResourceError(f"the encoder {encoder.name} {OPENING}: {'; '.join(said[-2:]) or failure}")
        step()
        time.sleep(_WAITING_SECONDS)
        waited += _WAITING_SECONDS


OPENING = "can't be opened"
_NO_SESSION = (
    "OpenEncodeSessionEx failed: out of memory",
    "OpenEncodeSessionEx failed: incompatible client key",
)
"""FFmpeg's log message if a driver allows no more sessions (libavcodec/nvenc.c)."""


def _keep(
    muxer: _Muxer,
    packet: av.Packet[Any],
    pts: list[int],
    carried: dict[int, Frame],
    encoder: Encoder,
    hdr: HdrMetadata | None = None,
) -> None:
    """Record a packet's true time, and mux it at an ordinal time, which no container can round or refuse."""
    if packet.pts is None:
        raise ResourceError(f"the encoder {encoder.name} gave a packet without a timestamp")
    place = len(pts)
    pts.append(packet.pts)
    is_key, data = packet.is_keyframe, b""
    if hdr is not None and is_key:
        data = insert_hdr(encoder.codec, bytes(packet), hdr)
    frame = carried.pop(packet.pts, None)
    if frame is not None:
        data = _with_carried(encoder.codec, data or bytes(packet), frame)
    if data:
        replaced = av.Packet(len(data))
        replaced.update(data)
        replaced.stream, replaced.is_keyframe = muxer.stream, is_key
        packet = replaced
    packet.time_base = Fraction(1, 25)
    packet.pts = packet.dts = place
    packet.duration = 1
    muxer.mux(packet)


def _with_carried(codec: str, data: bytes, frame: Frame) -> bytes:
    """Add the captions and dynamic HDR metadata of a frame to its packet, if the codec supports them."""
    if frame.captions and codec in {"h264", "hevc"}:
        data = insert_captions(codec, data, frame.captions)
    elif frame.captions and codec == "av1":
        data = insert_t35_obus(data, [caption_message(frame.captions)])
    return insert_dynamic_hdr(codec, data, frame.dynamic_hdr) if frame.dynamic_hdr else data


def _to_av(frame: Frame, encoder: Encoder, time_base: Fraction, color: ColorTags) -> av.VideoFrame:
    fmt = encoder.pixels
    name = encoder.pix_fmt.replace("yuv", "yuvj") if encoder.name == "mjpeg" else encoder.pix_fmt
    out = av.VideoFrame(encoder.width, encoder.height, name)
    for place, (plane, values) in enumerate(zip(picture_planes(out, fmt), frame.planes, strict=True)):
        plane[: values.shape[0], : values.shape[1]] = (
            to_linear(values) if fmt.is_float and place < 3 else values
        )
    wanted = _encoded_format(encoder)
    if wanted != name:
        out = convert_layout(out, wanted)  # only the layout changes: R'G'B' stays R'G'B'
    out.pts, out.time_base = frame.pts, time_base
    out.pict_type = 0
    out.color_range, out.colorspace = color.range, color.matrix
    out.color_primaries, out.color_trc = color.primaries, color.transfer
    return out
