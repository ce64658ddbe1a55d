"""`recode`: encodes and decodes a short clip; `coding_of`: the encoding of a film, to repeat it.

Each encoder has one thread: x264's thread count affects its bits, and many clips are made in parallel anyway.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData

from models.errors import MediaError, UsageError
from pipelines.codec.encoder_builds import repeatable_options
from pipelines.frames.sample_values import SampleValues
from pipelines.media.demuxer import open_decoder
from pipelines.media.hdr_metadata import frame_side_data
from pipelines.media.packet_reader import PacketReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.packet import Packet as AnyPacket
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipelines.media.video_info import VideoInfo

    Packet = AnyPacket[VideoStream]

__all__ = ["CODECS", "Codec", "Coding", "coding_of", "recode"]


_RATE = 25
_LOOK_PACKETS = 48


@dataclass(frozen=True)
class Codec:
    """An encoder, its decoder, and how its quality is set."""

    encoder: str
    decoder: str
    highest: int
    """Largest quality number."""
    options: Callable[[int], dict[str, str]]
    quality_of_crf: Callable[[int], int]
    presets: tuple[dict[str, str], ...] = ({},)
    """Options of its presets, the fastest first; the first one is part of `options`."""
    encoder_crf: tuple[str, ...] = ()
    """Options that are left out if a bit rate is set."""
    ten_bit: bool = True
    least_px: int = 16
    """Smallest side; smaller clips are padded to it, and cropped afterwards."""


@dataclass(frozen=True)
class Coding:
    """A codec and its quality: CRF of H.264, HEVC, VP9 and AV1, quantiser scale of MPEG-2."""

    codec: str
    quality: int
    preset: int = 0
    """Index into the codec's `presets`."""
    bits_per_pixel: float = 0.0
    """Average bit rate instead of the quality; 0: none."""


def _x264(quality: int) -> dict[str, str]:
    return {"crf": str(quality), "preset": "veryfast"}


def _x265(quality: int) -> dict[str, str]:
    return {"crf": str(quality), "preset": "ultrafast", "x265-params": "log-level=none:pools=none"}


def _mpeg2(quality: int) -> dict[str, str]:
    return {"qmin": str(quality), "qmax": str(quality)}


def _vp9(quality: int) -> dict[str, str]:
    return {"crf": str(quality), "b": "0", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}


def _av1(quality: int) -> dict[str, str]:
    return {"crf": str(quality), "preset": "12", "svtav1-params": "lp=1"}


def _wide_quality(crf: int) -> int:
    """CRF of VP9 and AV1 (0 to 63) with about the same quality as one of H.264: 24 for 16, 52 for 32."""
    return min(63, max(4, round(24 + (crf - 16) * 1.75)))


def _quantiser_scale(crf: int) -> int:
    """Quantiser scales of 2 to 8 for CRF 16 to 32."""
    return min(31, max(2, round(2 + (crf - 16) * 0.375)))


CODECS = {
    "h264": Codec(
        "libx264",
        "h264",
        51,
        _x264,
        int,
        ({}, {"preset": "medium"}, {"preset": "slow"}, {"preset": "ultrafast"}),
        ("crf",),
    ),
    "hevc": Codec(
        "libx265",
        "hevc",
        51,
        _x265,
        int,
        ({}, {"preset": "veryfast"}, {"preset": "medium"}),
        ("crf",),
        least_px=64,
    ),
    "mpeg2": Codec(
        "mpeg2video", "mpeg2video", 31, _mpeg2, _quantiser_scale, encoder_crf=("qmin", "qmax"), ten_bit=False
    ),
    "vp9": Codec(
        "libvpx-vp9",
        "vp9",
        63,
        _vp9,
        _wide_quality,
        ({}, {"deadline": "good", "cpu-used": "5", "lag-in-frames": "8"}),
        ("crf", "b"),
        ten_bit=False,
    ),
    "av1": Codec(
        "libsvtav1", "libdav1d", 63, _av1, _wide_quality, ({}, {"preset": "8"}), ("crf",), least_px=64
    ),
}
"""Our name -> its encoder and options."""


def recode(codes: SampleValues, coding: Coding) -> SampleValues:
    """Encode and decode (T,H,W) samples; MPEG-2 and VP9 use 8 bits.

    Raises MediaError if encoder or decoder fail or lose a frame.
    """
    codec = CODECS[coding.codec]
    if codes.bits > 8 and not codec.ten_bit:
        eight = recode(SampleValues(_shifted(codes.luma), _shifted(codes.chroma), 8), coding)
        return SampleValues(
            eight.luma.astype(np.uint16) << 2, eight.chroma.astype(np.uint16) << 2, codes.bits
        )
    height, width = codes.luma.shape[1:]
    if min(height, width) < codec.least_px:
        return recode(_grown(codes, codec.least_px), coding).crop(0, 0, height, width)
    try:
        decoded = list(_decode(list(_encode(codes, codec, coding)), codec.decoder))
    except av.error.FFmpegError as error:
        size = f"{codes.luma.shape[2]}x{codes.luma.shape[1]}"
        raise MediaError(f"a clip of {size} can't be coded as {coding.codec}: {error.strerror}") from error
    if len(decoded) != len(codes.luma):
        raise MediaError(f"{coding.codec}: {len(codes.luma)} frames went in, {len(decoded)} came out")
    return SampleValues(np.stack([d[0] for d in decoded]), np.stack([d[1] for d in decoded]), codes.bits)


def _grown(codes: SampleValues, least: int) -> SampleValues:
    """Pad to at least `least` samples a side, by repeating the last row and column.

    x265 writes out of bounds below 64.
    """
    down, across = (max(0, least - side) // 2 * 2 for side in codes.luma.shape[1:])
    luma = np.pad(codes.luma, ((0, 0), (0, down), (0, across)), mode="edge")
    return SampleValues(
        luma,
        np.pad(codes.chroma, ((0, 0), (0, 0), (0, down // 2), (0, across // 2)), mode="edge"),
        codes.bits,
    )


def _shifted(codes: np.ndarray) -> np.ndarray:
    """10-bit values as 8-bit ones, rounded."""
    return np.asarray(np.minimum((codes + 2) >> 2, 255), np.uint8)


def _encode(codes: SampleValues, codec: Codec, coding: Coding) -> Iterator[Packet]:
    height, width = codes.luma.shape[1:]
    context: VideoCodecContext = av.CodecContext.create(codec.encoder, "w")  # type: ignore[assignment]
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p" if codes.bits == 8 else "yuv420p10le"
    context.time_base, context.framerate = Fraction(1, _RATE), Fraction(_RATE)
    context.thread_count = 1
    options = {**codec.options(coding.quality), **codec.presets[coding.preset]}
    if coding.bits_per_pixel:
        context.bit_rate = round(coding.bits_per_pixel * height * width * _RATE)
        options = {k: v for k, v in options.items() if k not in codec.encoder_crf}
    context.options = repeatable_options(codec.encoder, width, options)
    for number, (luma, chroma) in enumerate(zip(codes.luma, codes.chroma, strict=True)):
        frame = av.VideoFrame(width, height, context.pix_fmt)
        for plane, content in zip(frame.planes, (luma, chroma[0], chroma[1]), strict=True):
            rows = np.zeros((plane.height, plane.line_size // content.itemsize), content.dtype)
            rows[:, : plane.width] = content
            plane.update(rows.tobytes())
        frame.pts, frame.time_base = number, Fraction(1, _RATE)
        yield from context.encode(frame)
    yield from context.encode(None)


def _decode(packets: list[Packet], name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    decoder = open_decoder(name)
    decoder.thread_count = 1
    frames: list[VideoFrame] = []
    for packet in packets:
        frames += decoder.decode(packet)
    frames += decoder.decode(None)
    for frame in frames:
        dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
        planes = []
        for plane in frame.planes:
            rows = np.frombuffer(memoryview(plane), dtype).reshape(-1, plane.line_size // dtype().itemsize)
            planes.append(rows[: plane.height, : plane.width].copy())
        yield planes[0], np.stack(planes[1:3])


_X26X = re.compile(rb"x26[45].{0,2000}?\b(?:crf|qp)=(\d+)", re.DOTALL)


def coding_of(info: VideoInfo) -> Coding:
    """Codec and quantiser of a film, from its own stream.

    x264 and x265 write their settings into the stream. If these are missing, the mean quantiser of the first
    frames is used; only the H.264 and MPEG-2 decoders export it. Raises UsageError if neither is available.
    """
    codec = {"h264": "h264", "hevc": "hevc", "mpeg2video": "mpeg2"}.get(info.codec)
    if codec is None:
        raise UsageError(
            f"{info.path}: like-source knows H.264, HEVC and MPEG-2; this is {info.codec}: give a CRF range"
            " instead"
        )
    reader = PacketReader(info.path, info.stream_index)
    packets = list(reader.rows(0, min(_LOOK_PACKETS, len(info.index)), keep_from=0))
    reader.close()
    said = _X26X.search(b"".join([info.decoder.extradata or b"", *(p.data for p in packets[:2])]))
    if said and codec != "mpeg2":
        return Coding(codec, min(int(said[1]), CODECS[codec].highest))
    steps = [q for q in _quantisers(info, [p.data for p in packets]) if q > 0]
    if not steps:
        raise UsageError(
            f"{info.path}: its {info.codec} stream does not tell its quantiser; give a CRF range instead of"
            " like-source"
        )
    # MPEG-2 exports the quantiser itself, which is twice the scale code that an encoder gets.
    mean = float(np.mean(steps)) / (2 if codec == "mpeg2" else 1)
    return Coding(codec, min(max(1, round(mean)), CODECS[codec].highest))


def _quantisers(info: VideoInfo, packets: list[bytes]) -> Iterator[float]:
    """Mean quantiser of each frame, as exported by the decoder (AVVideoEncParams)."""
    decoder = open_decoder(info.decoder.codec, export_side_data="venc_params")
    decoder.extradata = info.decoder.extradata
    decoder.thread_count = 1
    for data in packets:
        packet = av.Packet(len(data))
        packet.update(data)
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            continue
        for frame in frames:
            found = frame_side_data(frame, SideData.VIDEO_ENC_PARAMS)
            if found is not None:
                yield _mean_quantiser(found)


def _mean_quantiser(data: bytes) -> float:
    """Mean quantiser from libavutil/video_enc_params.h.

    The header has block count, offset and size of blocks, type and frame quantiser. Each block ends with
    the difference of its quantiser from the frame's.
    """
    count, offset, size, _, quantiser = struct.unpack_from("=IxxxxQQii", data)
    if not count:
        return float(quantiser)
    blocks = np.frombuffer(data, np.uint8, count * size, offset).reshape(count, size)
    deltas = blocks[:, 16:20].copy().view(np.int32)
    return float(quantiser + deltas.mean())
