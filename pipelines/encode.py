"""Frames to an encoded chunk: the encoder a plan names, set up so that chunks can be joined, and so that bits repeat.

A chunk is muxed on its own into the target's container, which turns packets and headers into the form the result needs;
the times in there are only ordinal, the true ones travel beside it.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from models.errors import ResourceError, UsageError
from pipelines.bitstream import insert_captions
from pipelines.cicp import HDR_TRANSFERS, HdrMetadata, Siting, Transfer
from pipelines.hdr import encoder_options
from pipelines.linear import to_linear
from pipelines.planes import PixelFormat
from pipelines.sequence import pack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.video.stream import VideoStream

    from pipelines.cicp import ColorTags
    from pipelines.settings import EncodeSettings
    from pipelines.video import Frame

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its settings to standard error otherwise

__all__ = ["EncodedChunk", "Encoder", "choose_encoder", "encode_chunk", "lost_bits", "try_encoder"]

PICTURE_ENCODERS = {"png": "png", "jpg": "mjpeg", "jpeg": "mjpeg", "webp": "libwebp", "tif": "tiff", "tiff": "tiff", "dpx": "dpx", "exr": "exr"}
"""File suffix -> encoder, for pictures."""

_ENCODERS = {"hevc": "libx265", "h264": "libx264", "av1": "libsvtav1", "prores": "prores_ks", "ffv1": "ffv1"}

_PRESETS: dict[str, dict[str, dict[str, str]]] = {
    "libx264": {
        "draft": {"preset": "superfast", "crf": "21"},
        "balanced": {"preset": "veryfast", "crf": "18"},
        "archive": {"preset": "slow", "crf": "14"},
    },
    "libx265": {
        "draft": {"preset": "ultrafast", "crf": "22"},
        "balanced": {"preset": "fast", "crf": "19"},
        "archive": {"preset": "slow", "crf": "15"},
    },
    "libsvtav1": {
        "draft": {"preset": "10", "crf": "32"},
        "balanced": {"preset": "8", "crf": "26"},
        "archive": {"preset": "5", "crf": "20"},
    },
    "prores_ks": {"draft": {"profile": "lt"}, "balanced": {"profile": "hq"}, "archive": {"profile": "hq", "qscale": "4"}},
    "ffv1": {name: {"level": "3", "slices": "16", "slicecrc": "1", "coder": "1", "context": "0"} for name in ("draft", "balanced", "archive")},
}
_MOST_LUMA_SAMPLES = {"libx264": 139_264 * 256, "libx265": 142_606_336, "libsvtav1": 16384 * 8704}
"""H.264 table A-1 level 6.2; H.265 table A.8 level 7.2 (x265 goes that far); SVT-AV1's own limit."""
_LONGEST_SIDE = {"libx264": 16384, "libx265": 16384, "libsvtav1": 16384, "prores_ks": 16384, "ffv1": 32768, "libwebp": 16383}
_PRORES_BITS = 10
_NARROWEST = {"libx265": 64}
"""x265 4.1 writes beyond its memory in pictures of some smaller widths (probed: 34 to 46), which may end the process."""
_HDR_BITS = 10
"""The least that PQ and HLG may have (ITU-R BT.2100 table 9)."""
_SITED = frozenset({"libx264", "libx265", "libsvtav1", "ffv1"})
"""Encoders that write down where chroma lies, or leave it to Matroska."""
_SITING_NAMES = {
    Siting.LEFT: "left", Siting.CENTER: "center", Siting.TOP_LEFT: "topleft",
    Siting.TOP: "top", Siting.BOTTOM_LEFT: "bottomleft", Siting.BOTTOM: "bottom",
}  # fmt: skip


@dataclass(frozen=True)
class Encoder:
    """An encoder with all its settings, each of which shapes bits."""

    codec: str
    name: str
    """FFmpeg's, such as "libx265"."""
    width: int
    height: int
    pix_fmt: str
    options: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    """A constant by output size, never by the machine: x264's and x265's bits depend on it."""
    container: str = "matroska"
    """Muxer of the result, and of every chunk."""
    tag: str = ""
    """Codec tag the container wants."""

    @property
    def is_picture(self) -> bool:
        """Encodes pictures into files of their own."""
        return self.container in {"image2", "sequence"}

    @property
    def is_sequence(self) -> bool:
        """Encodes a film as numbered pictures."""
        return self.container == "sequence"


def choose_encoder(
    settings: EncodeSettings,
    source: PixelFormat,
    *,
    width: int,
    height: int,
    container: str,
    suffix: str = "",
    transfer: int = Transfer.BT709,
    hdr: HdrMetadata | None = None,
) -> Encoder:
    """The encoder for a target. Raises UsageError for what the codec or container can't do.

    source: planar format of the decoded frames. container: FFmpeg's muxer name. suffix: of a picture file. transfer, hdr: of
    the source; PQ and HLG never leave in less than 10 bits.
    """
    if transfer in HDR_TRANSFERS and source.bits < _HDR_BITS:
        source = replace(source, name="", bits=_HDR_BITS)
    if suffix == "exr" and transfer != Transfer.SRGB:
        raise UsageError(
            f"OpenEXR holds linear light, and {Transfer(transfer).name} does not say how to get there; name an output that ends in .tiff"
        )
    if container in {"image2", "sequence"}:
        return _checked_depth(replace(_picture_encoder(suffix, source, width, height), container=container), transfer)
    name = _ENCODERS[settings.codec]
    if container == "mp4" and settings.codec == "ffv1":
        raise UsageError("ffv1 does not go into MP4; name an output that ends in .mkv")
    if container == "mp4" and settings.codec == "prores":
        raise UsageError("prores does not go into MP4; name an output that ends in .mov")
    _check_size(settings.codec, name, width, height)
    presets = _PRESETS[name]
    options = dict(presets.get(settings.preset, presets["balanced"]))
    if settings.preset not in presets:
        options[{"prores_ks": "profile"}.get(name, "preset")] = settings.preset
    if settings.crf is not None:
        if name in {"prores_ks", "ffv1"}:
            raise UsageError(f"--crf does not go with {settings.codec}; use --preset or --encoder-option")
        options["crf"] = f"{settings.crf:g}"
    pix_fmt = settings.pixel_format or _pixel_format(settings.codec, name, source)
    if name == "prores_ks" and PixelFormat.parse(pix_fmt).sub_x == 0:
        # The smaller profiles are 4:2:2; FFmpeg would take 4444 in their place and only say so in its log.
        options |= {"profile": "4444", **({"alpha_bits": "16"} if PixelFormat.parse(pix_fmt).alpha else {})}
    if name == "ffv1" and "slices" not in settings.options:
        options["slices"] = str(_ffv1_slices(width, height, pix_fmt))
    large = width * height > 1920 * 1088
    threads = {"libx264": 4, "ffv1": 4, "prores_ks": 4}.get(name, 1)
    if name == "libx265":
        options["x265-params"] = f"log-level=none:info=0:open-gop=0:repeat-headers=1:frame-threads={2 if large else 3}"
    elif name == "libx264":
        options["x264-params"] = "open-gop=0:sync-lookahead=0"  # looking ahead in a thread of its own holds ten more frames
    for key, value in (*encoder_options(hdr or HdrMetadata(), name).items(), *settings.options.items()):
        joined = key in {"x264-params", "x265-params", "svtav1-params"} and key in options
        options[key] = f"{options[key]}:{value}" if joined else value
    tag = "hvc1" if settings.codec == "hevc" and container in {"mp4", "mov"} else ""
    return _checked_depth(Encoder(settings.codec, name, width, height, pix_fmt, options, threads, container, tag), transfer)


def _checked_depth(encoder: Encoder, transfer: int) -> Encoder:
    if transfer in HDR_TRANSFERS and PixelFormat.parse(encoder.pix_fmt).bits < _HDR_BITS:
        remedy = "name an output that ends in .png or .tiff" if encoder.is_picture else "leave --pixel-format out, or name one of 10 bits"
        raise UsageError(f"{Transfer(transfer).name} in {encoder.pix_fmt} would show bands; HDR needs {_HDR_BITS} bits: {remedy}")
    return encoder


def _ffv1_slices(width: int, height: int, pix_fmt: str) -> int:
    """16 slices, or the nearest number with which the encoder opens: at odd sizes slices may not end between chroma samples."""
    for count in sorted(range(1, 65), key=lambda n: (abs(n - 16), n)):
        context: Any = av.CodecContext.create("ffv1", "w")
        context.width, context.height, context.time_base = width, height, Fraction(1, 25)
        context.pix_fmt = {"gbrp": "bgr0", "gbrap": "bgra"}.get(pix_fmt, pix_fmt)
        context.options = {"level": "3", "slices": str(count)}
        try:
            context.open()
        except av.error.FFmpegError:
            continue
        return count
    return 16


def _check_size(codec: str, name: str, width: int, height: int) -> None:
    if width < _NARROWEST.get(name, 1):
        raise UsageError(
            f"{codec} can't be trusted with pictures narrower than {_NARROWEST[name]}, this is {width}x{height}; use --codec h264 or ffv1"
        )
    if max(width, height) > _LONGEST_SIDE[name] or width * height > _MOST_LUMA_SAMPLES.get(name, width * height):
        raise UsageError(f"{codec} can't hold {width}x{height}; choose a smaller --to, or --codec hevc, prores or ffv1")


def _picture_encoder(suffix: str, source: PixelFormat, width: int, height: int) -> Encoder:
    name = PICTURE_ENCODERS[suffix]
    if max(width, height) > _LONGEST_SIDE.get(name, 65535):
        raise UsageError(f"a .{suffix} picture can't hold {width}x{height}; name an output that ends in .png or .tiff")
    if name == "mjpeg":
        pix_fmt = "yuv444p" if source.sub_x == 0 else "yuv422p" if source.sub_y == 0 else "yuv420p"
        return Encoder("mjpeg", name, width, height, pix_fmt, {"qscale": "2", "huffman": "optimal"}, 1, "image2")
    if name == "libwebp":
        return Encoder("webp", name, width, height, "yuva420p" if source.alpha else "yuv420p", {"quality": "92"}, 1, "image2")
    if name == "exr":
        pix_fmt = "grayf32le" if source.family == "gray" and not source.alpha else "gbrapf32le" if source.alpha else "gbrpf32le"
        return Encoder(suffix, name, width, height, pix_fmt, {"compression": "zip16", "format": "float"}, 1, "image2")
    deep = "16le" if source.bits > 8 else ""
    if name == "dpx" and source.family != "gray" and not source.alpha and 8 < source.bits <= 12:
        deep = "10le" if source.bits <= 10 else "12le"
    pix_fmt = f"gray{deep}" if source.family == "gray" else f"gbrap{deep}" if source.alpha else f"gbrp{deep}"
    return Encoder(suffix, name, width, height, pix_fmt, {}, 1, "image2")


def _pixel_format(codec: str, name: str, source: PixelFormat) -> str:
    """The source's own format, or the smallest the encoder has that loses nothing of it."""
    known = {f.name for f in av.codec.Codec(name, "w").video_formats or []}
    known = {n for n in known if "f16" not in n and "f32" not in n}
    if name == "libx265":
        known = {n for n in known if not n.startswith("yuva")}  # listed, and refused when it is opened
    if name == "prores_ks" and source.bits > _PRORES_BITS:
        source = replace(source, name="", bits=_PRORES_BITS)  # said by `lost_bits`
    if source.name in known and (source.family != "rgb" or codec in {"ffv1", "prores"}):
        return source.name
    candidates = []
    for other in sorted(known):
        try:
            fmt = PixelFormat.parse(other)
        except ValueError:
            continue
        except Exception:  # noqa: BLE001, S112 - packed formats and the like are no candidates
            continue
        holds = fmt.bits >= source.bits and fmt.sub_x <= source.sub_x and fmt.sub_y <= source.sub_y
        if holds and fmt.family == "yuv" and "yuvj" not in other and (not fmt.alpha or source.alpha):
            candidates.append(((source.alpha and not fmt.alpha, fmt.bits, -fmt.sub_x - fmt.sub_y), other))
    if not candidates:
        other = "--codec ffv1" if codec == "hevc" else "another --codec (ffv1 holds most)"
        raise UsageError(f"{codec} can't hold {source.name}; choose {other}, or give up precision by --pixel-format yuv420p10le")
    return min(candidates)[1]


def lost_bits(encoder: Encoder, source: PixelFormat) -> str:
    """What of a source an encoder that was asked for by name can't hold, in words; empty for nothing."""
    target = PixelFormat.parse(encoder.pix_fmt)
    lost = []
    if encoder.name == "prores_ks" and source.bits > target.bits:
        lost.append(f"{source.bits} bits become {target.bits}: FFmpeg's ProRes encoder has no more")
    if source.is_float and not target.is_float:
        lost.append("light above white and below black is clipped, a .exr would keep it")
    if source.alpha and not target.alpha:
        keeping = "a .png or .tiff" if encoder.is_picture else "--codec prores or ffv1"
        lost.append(f"its alpha is left out: {encoder.codec} as {encoder.pix_fmt} can't hold it, {keeping} would")
    return "; ".join(lost)


def try_encoder(encoder: Encoder, color: ColorTags) -> None:
    """Open the encoder as the run will, and close it. Raises UsageError where it refuses: a listing proves nothing."""
    try:
        with _Muxer(encoder, Fraction(1, 25), Fraction(25), Fraction(1), color) as muxer:
            muxer.stream.codec_context.open(strict=False)
    except (av.error.FFmpegError, ValueError, OSError, MemoryError) as error:
        raise UsageError(
            f"the encoder {encoder.name} refuses {encoder.width}x{encoder.height} {encoder.pix_fmt} "
            f"with {' '.join(f'{k}={v}' for k, v in encoder.options.items())}: {error}; choose another --codec, --preset or --encoder-option"
        ) from None


@dataclass(frozen=True, eq=False)
class EncodedChunk:
    """A chunk as it comes from a worker and lies on disk."""

    index: int
    data: bytes
    """A small file in the target's container; its packets are the chunk's, in decode order."""
    pts: tuple[int, ...]
    """True timestamps of its packets, in the same order, in ticks of the plan's time base."""
    header_sha256: str
    """Hash of extradata and what else the stream's header holds; equal for all chunks of a job."""
    thumbnails: bytes
    """Luma of every source frame in display order, THUMB_W x THUMB_H bytes each."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What the steps took."""
    corrupt: int = 0
    """Frames that were damaged or missing in the source, and concealed."""

    @property
    def sha256(self) -> str:
        """Of `data`."""
        return hashlib.sha256(self.data).hexdigest()


class _Muxer:
    """An encoder and a container in memory, opened and closed together."""

    def __init__(self, encoder: Encoder, time_base: Fraction, rate: Fraction, sar: Fraction, color: ColorTags) -> None:
        self._buffer = io.BytesIO()
        self._pictures: list[bytes] | None = [] if encoder.is_sequence else None
        self._container = av.open(self._buffer, "w", format="image2pipe" if encoder.is_picture else encoder.container)
        self.stream: VideoStream = self._container.add_stream(encoder.name, rate=_sane(rate), options=dict(encoder.options))  # type: ignore[assignment]
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
        if encoder.name in _SITED and PixelFormat.parse(encoder.pix_fmt).sub_y:
            context.options = {**context.options, "chroma_sample_location": _SITING_NAMES[Siting(color.siting)]}

    def __enter__(self) -> _Muxer:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def mux(self, packet: av.Packet[Any]) -> None:
        if self._pictures is not None:
            self._pictures.append(bytes(packet))
        else:
            self._container.mux(packet)

    @property
    def data(self) -> bytes:
        """What was muxed, once this is closed."""
        return self._buffer.getvalue() if self._pictures is None else pack(self._pictures)


def _sane(rate: Fraction) -> Fraction:
    """A rate that every encoder takes."""
    return max(Fraction(1), min(rate, Fraction(240))).limit_denominator(65535)


def _encoded_format(encoder: Encoder) -> str:
    """What the encoder is fed; packed only where it knows nothing planar."""
    packed = {
        ("png", "gbrp"): "rgb24", ("png", "gbrap"): "rgba", ("png", "gbrp16le"): "rgb48be", ("png", "gbrap16le"): "rgba64be",
        ("png", "gray16le"): "gray16be", ("tiff", "gbrp"): "rgb24", ("tiff", "gbrap"): "rgba", ("tiff", "gbrp16le"): "rgb48le",
        ("tiff", "gbrap16le"): "rgba64le", ("dpx", "gbrp"): "rgb24", ("dpx", "gbrap"): "rgba", ("dpx", "gbrp16le"): "rgb48le",
        ("dpx", "gbrap16le"): "rgba64le", ("ffv1", "gbrp"): "bgr0", ("ffv1", "gbrap"): "bgra",
    }  # fmt: skip
    if encoder.name == "mjpeg":
        return encoder.pix_fmt.replace("yuv", "yuvj")
    return packed.get((encoder.name, encoder.pix_fmt), encoder.pix_fmt)


def encode_chunk(
    frames: Iterable[Frame], index: int, encoder: Encoder, *, time_base: Fraction, rate: Fraction, sar: Fraction, color: ColorTags
) -> EncodedChunk:
    """Encode the frames of one chunk from a fresh encoder, so that it starts with a key frame and depends on nothing else.

    Raises ResourceError where the encoder fails, which a new attempt may cure.
    """
    captions: dict[int, bytes] = {}
    pts: list[int] = []
    with _Muxer(encoder, time_base, rate, sar, color) as muxer:
        try:
            for frame in frames:
                if frame.captions:
                    captions[frame.pts] = frame.captions
                for packet in muxer.stream.encode(_to_av(frame, encoder, time_base, color)):
                    _keep(muxer, packet, pts, captions, encoder)
            for packet in muxer.stream.encode(None):
                _keep(muxer, packet, pts, captions, encoder)
        except av.error.FFmpegError as error:
            raise ResourceError(f"the encoder {encoder.name} failed in chunk {index} after {len(pts)} packets: {error.strerror}") from None
        header = bytes(muxer.stream.codec_context.extradata or b"")
    identity = header + repr((encoder.name, encoder.width, encoder.height, encoder.pix_fmt, color)).encode()
    return EncodedChunk(index, muxer.data, tuple(pts), hashlib.sha256(identity).hexdigest(), b"")


def _keep(muxer: _Muxer, packet: av.Packet[Any], pts: list[int], captions: dict[int, bytes], encoder: Encoder) -> None:
    """Note a packet's true time and mux it at an ordinal one, which no container can round or refuse."""
    if packet.pts is None:
        raise ResourceError(f"the encoder {encoder.name} gave a packet without a timestamp")
    place = len(pts)
    pts.append(packet.pts)
    if packet.pts in captions and encoder.codec in {"h264", "hevc"}:
        is_key = packet.is_keyframe
        data = insert_captions(encoder.codec, bytes(packet), captions.pop(packet.pts))
        replaced = av.Packet(len(data))
        replaced.update(data)
        replaced.stream, replaced.is_keyframe = muxer.stream, is_key
        packet = replaced
    packet.time_base = Fraction(1, 25)
    packet.pts = packet.dts = place
    packet.duration = 1
    muxer.mux(packet)


def _to_av(frame: Frame, encoder: Encoder, time_base: Fraction, color: ColorTags) -> av.VideoFrame:
    fmt = PixelFormat.parse(encoder.pix_fmt)
    name = encoder.pix_fmt.replace("yuv", "yuvj") if encoder.name == "mjpeg" else encoder.pix_fmt
    out = av.VideoFrame(encoder.width, encoder.height, name)
    for place, (plane, values) in enumerate(zip(out.planes, frame.planes, strict=True)):
        samples = to_linear(values) if fmt.is_float and place < 3 else values
        rows = np.frombuffer(plane, fmt.dtype)  # type: ignore[call-overload]
        rows = rows.reshape(-1, plane.line_size // fmt.bytes_per_sample)
        rows[: values.shape[0], : values.shape[1]] = samples
    wanted = _encoded_format(encoder)
    if wanted != name:
        out = out.reformat(format=wanted)  # a change of layout only: R'G'B' stays what it is
    out.pts, out.time_base = frame.pts, time_base
    out.pict_type = 0
    out.color_range, out.colorspace = color.range, color.matrix
    out.color_primaries, out.color_trc = color.primaries, color.transfer
    return out
