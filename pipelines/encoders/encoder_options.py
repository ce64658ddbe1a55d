"""The encoder for a target, with all its settings: codec, preset, pixel format, threads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av

from models.errors import UsageError
from pipelines.encoders.hardware_options import (
    hardware_formats,
    hardware_options,
    largest_side,
)
from pipelines.encoders.pixel_format_choice import lossless_format
from pipelines.media.cicp import HDR_TRANSFERS, HdrMetadata, Transfer
from pipelines.media.hdr_metadata import encoder_options
from pipelines.media.pixel_format import PixelFormat
from pipelines.settings.encoder_spec import (
    LAMBDA_A_STEP,
    PACKED,
    PICTURE_ENCODERS,
    PRESETS,
    SOFTWARE_ENCODERS,
    VENDORS,
    Encoder,
    encoder_name,
    refuse_pair,
)
from pipelines.settings.run_settings import EncodeSettings

__all__ = ["EncoderTarget", "choose_encoder", "preset_crf", "without_b_frames"]


def _quantiser(scale: int) -> dict[str, str]:
    """Options for a constant quantiser; `qscale` is an option of the ffmpeg program, not of encoders."""
    return {"flags": "+qscale", "global_quality": str(scale * LAMBDA_A_STEP)}


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
    "prores_ks": {
        "draft": {"profile": "lt"},
        "balanced": {"profile": "hq"},
        "archive": {"profile": "hq", **_quantiser(2)},
    },
    "ffv1": {
        name: {"level": "3", "slices": "16", "slicecrc": "1", "coder": "1", "context": "0"}
        for name in PRESETS
    },
}
_MOST_LUMA_SAMPLES = {"libx264": 139_264 * 256, "libx265": 142_606_336, "libsvtav1": 16384 * 8704}
"""H.264 table A-1 level 6.2; H.265 table A.8 level 7.2 (x265 goes that far); SVT-AV1's own limit."""
_LONGEST_SIDE = {
    "libx264": 16384,
    "libx265": 16384,
    "libsvtav1": 16384,
    "prores_ks": 16384,
    "ffv1": 32768,
    "libwebp": 16383,
}
_NARROWEST = {"libx265": 64}
"""x265 4.1 writes out of bounds for some smaller widths (tested: 34 to 46), which may crash the process."""
_HDR_BITS = 10
"""Minimum for PQ and HLG (ITU-R BT.2100 table 9)."""


@dataclass(frozen=True)
class EncoderTarget:
    """The output for which an encoder is chosen: size, file, and transfer of the source."""

    width: int
    height: int
    container: str
    """FFmpeg's name of the muxer."""
    suffix: str = ""
    """Suffix of an image file, without the dot."""
    transfer: int = Transfer.BT709
    """Transfer characteristics of the source; PQ and HLG always have at least 10 bits."""
    hdr: HdrMetadata = field(default_factory=HdrMetadata)
    lossless_webp: bool = False
    """Whether the source is a WebP without loss; so is a WebP that is made of it."""


def choose_encoder(settings: EncodeSettings, source: PixelFormat, target: EncoderTarget) -> Encoder:
    """Choose the encoder for a target. Raises UsageError for what the codec or container doesn't support.

    source: planar format of the decoded frames.
    """
    if target.transfer in HDR_TRANSFERS and source.bits < _HDR_BITS:
        source = replace(source, name="", bits=_HDR_BITS)
    if target.suffix == "exr" and target.transfer != Transfer.SRGB:
        raise UsageError(
            f"OpenEXR holds linear light, and {Transfer(target.transfer).name} does not say how to get there;"
            " name an output that ends in .tiff"
        )
    if target.container in {"image2", "sequence"}:
        encoder = _picture_encoder(target, source)
        encoder = replace(
            encoder, container=target.container, options={**encoder.options, **settings.options}
        )
    else:
        refuse_pair(settings.codec, target.container)
        hardware = settings.encoder in VENDORS
        encoder = (_hardware_encoder if hardware else _software_encoder)(settings, source, target)
    return _checked_depth(encoder, target.transfer)


def _software_encoder(settings: EncodeSettings, source: PixelFormat, target: EncoderTarget) -> Encoder:
    codec, name = settings.codec, SOFTWARE_ENCODERS[settings.codec]
    _check_size(settings, source, target.width, target.height)
    options = _quality_options(settings, name)
    pix_fmt = settings.pixel_format or lossless_format(settings, source)
    options |= _own_options(settings, options, target, pix_fmt)
    for key, value in (*encoder_options(target.hdr, name).items(), *settings.options.items()):
        joined = key in {"x264-params", "x265-params", "svtav1-params"} and key in options
        options[key] = f"{options[key]}:{value}" if joined else value
    size, tag = (target.width, target.height), _tag(codec, target.container)
    return Encoder(codec, name, *size, pix_fmt, options, _THREADS.get(name, 1), target.container, tag)


_THREADS = {"libx264": 4, "ffv1": 4, "prores_ks": 4}
"""Encoders that use several threads; x264's number affects the bits, so it is constant."""


def _quality_options(settings: EncodeSettings, name: str) -> dict[str, str]:
    """The options of `--preset` and `--crf`."""
    presets = _PRESETS[name]
    options = dict(presets.get(settings.preset, presets["balanced"]))
    if settings.preset not in presets:
        options[{"prores_ks": "profile"}.get(name, "preset")] = settings.preset
    if settings.crf is not None:
        options["crf"] = f"{settings.crf:g}"
    return options


def _own_options(
    settings: EncodeSettings, options: dict[str, str], target: EncoderTarget, pix_fmt: str
) -> dict[str, str]:
    """Options that an encoder needs for this size and format, whatever its preset."""
    name, pixels = SOFTWARE_ENCODERS[settings.codec], PixelFormat.parse(pix_fmt)
    if name == "prores_ks" and pixels.sub_x == 0:
        # The smaller profiles are 4:2:2; FFmpeg would take 4444 in their place and only say so in its log.
        return {"profile": "4444", **({"alpha_bits": "16"} if pixels.alpha else {})}
    if name == "ffv1" and "slices" not in settings.options:
        return {"slices": str(_ffv1_slices(target.width, target.height, pix_fmt))}
    if name == "libx265":
        frames = _x265_frames(target.width, target.height, options["preset"])
        return {"x265-params": f"log-level=none:info=0:open-gop=0:repeat-headers=1:{frames}"}
    if name == "libx264":
        # lookahead in a separate thread holds ten more frames
        return {"x264-params": "open-gop=0:sync-lookahead=0"}
    return {}


def _hardware_encoder(settings: EncodeSettings, source: PixelFormat, target: EncoderTarget) -> Encoder:
    """A hardware encoder, with options that make its bits repeat. Its availability is not checked."""
    codec, (width, height) = settings.codec, (target.width, target.height)
    name = encoder_name(codec, settings.encoder)
    longest = largest_side(codec)
    if max(width, height) > longest:
        others = "--codec hevc or " if codec == "h264" and max(width, height) <= largest_side("hevc") else ""
        raise UsageError(
            f"{name} can't hold {width}x{height}, {longest} a side at most; choose a smaller --to,"
            f" {others}--encoder software"
        )
    level = preset_crf(codec, settings.preset) if settings.crf is None else settings.crf
    pix_fmt = settings.pixel_format or lossless_format(settings, source)
    if pix_fmt not in hardware_formats(codec, settings.encoder):
        raise UsageError(f"{name} can't hold {pix_fmt}; leave --pixel-format out, or give --encoder software")
    options = hardware_options(codec, settings.encoder, preset=settings.preset, crf=level, pix_fmt=pix_fmt)
    tag = _tag(codec, target.container)
    return Encoder(codec, name, width, height, pix_fmt, options | settings.options, 1, target.container, tag)


def preset_crf(codec: str, preset: str) -> float:
    """The CRF of a preset; for a preset of the encoder itself, that of balanced."""
    presets = _PRESETS[SOFTWARE_ENCODERS[codec]]
    return float(presets.get(preset, presets["balanced"])["crf"])


def without_b_frames(encoder: Encoder) -> Encoder | None:
    """The same hardware encoder without B frames; None if it uses none."""
    return (
        replace(encoder, options={**encoder.options, "bf": "0"})
        if encoder.vendor and encoder.options.get("bf", "0") != "0"
        else None
    )


def _tag(codec: str, container: str) -> str:
    return "hvc1" if codec == "hevc" and container in {"mp4", "mov"} else ""


def _x265_frames(width: int, height: int, preset: str) -> str:
    """Number of frames that x265 processes at once, and its lookahead.

    It keeps several frames for each, 50 MB per frame at 8K.
    """
    area = width * height
    if area <= 1920 * 1088:
        return "frame-threads=3"
    if area <= 4096 * 2304:
        return "frame-threads=2"
    return f"frame-threads=1:rc-lookahead={5 if preset == 'ultrafast' else 10}"


def _checked_depth(encoder: Encoder, transfer: int) -> Encoder:
    if transfer in HDR_TRANSFERS and encoder.pixels.bits < _HDR_BITS:
        remedy = (
            "name an output that ends in .png or .tiff"
            if encoder.is_picture
            else "leave --pixel-format out, or name one of 10 bits"
        )
        raise UsageError(
            f"{Transfer(transfer).name} in {encoder.pix_fmt} would show bands; HDR needs {_HDR_BITS} bits:"
            f" {remedy}"
        )
    return encoder


def _ffv1_slices(width: int, height: int, pix_fmt: str) -> int:
    """16 slices, or the nearest number with which the encoder opens.

    At odd sizes slices may not end between chroma samples.
    """
    for count in sorted(range(1, 65), key=lambda n: (abs(n - 16), n)):
        context: Any = av.CodecContext.create("ffv1", "w")
        context.width, context.height, context.time_base = width, height, Fraction(1, 25)
        context.pix_fmt = PACKED.get(("ffv1", pix_fmt), pix_fmt)
        context.options = {"level": "3", "slices": str(count)}
        try:
            context.open()
        except av.error.FFmpegError:
            continue
        return count
    return 16


def _check_size(settings: EncodeSettings, source: PixelFormat, width: int, height: int) -> None:
    codec = settings.codec
    if _holds(codec, width, height):
        return
    others = " or ".join(
        other
        for other in SOFTWARE_ENCODERS
        if _holds(other, width, height) and _has_format(other, settings.pixel_format, source)
    )
    narrowest = _NARROWEST.get(SOFTWARE_ENCODERS[codec], 1)
    if width < narrowest and others:
        raise UsageError(
            f"{codec} can't be trusted with pictures narrower than {narrowest}, this is {width}x{height}; use"
            f" --codec {others}"
        )
    remedy = f"choose a smaller --to, or --codec {others}" if others else "choose a smaller --to"
    raise UsageError(f"{codec} can't hold {width}x{height}; {remedy}")


def _has_format(codec: str, given: str | None, source: PixelFormat) -> bool:
    """Whether a codec has a pixel format for a source. given: --pixel-format."""
    try:
        return bool(given or lossless_format(EncodeSettings(codec=codec), source))
    except UsageError:
        return False


def _holds(codec: str, width: int, height: int) -> bool:
    name = SOFTWARE_ENCODERS[codec]
    return (
        width >= _NARROWEST.get(name, 1)
        and max(width, height) <= _LONGEST_SIDE[name]
        and width * height <= _MOST_LUMA_SAMPLES.get(name, width * height)
    )


def _picture_encoder(target: EncoderTarget, source: PixelFormat) -> Encoder:
    suffix, width, height = target.suffix, target.width, target.height
    name = PICTURE_ENCODERS[suffix]
    if max(width, height) > _LONGEST_SIDE.get(name, 65535):
        raise UsageError(
            f"a .{suffix} picture can't hold {width}x{height}; name an output that ends in .png or .tiff"
        )
    if name == "mjpeg":
        pix_fmt = "yuv444p" if source.sub_x == 0 else "yuv422p" if source.sub_y == 0 else "yuv420p"
        pix_fmt = "gray" if source.family == "gray" else pix_fmt
        return Encoder(
            "mjpeg", name, width, height, pix_fmt, {**_quantiser(2), "huffman": "optimal"}, 1, "image2"
        )
    if name == "libwebp":
        pix_fmt, options = "yuva420p" if source.alpha else "yuv420p", {"quality": "92"}
        if target.lossless_webp:
            pix_fmt, options = "gbrap" if source.alpha else "gbrp", {"lossless": "1"}
        return Encoder("webp", name, width, height, pix_fmt, options, 1, "image2")
    if name == "exr":
        pix_fmt = (
            "grayf32le"
            if source.family == "gray" and not source.alpha
            else "gbrapf32le"
            if source.alpha
            else "gbrpf32le"
        )
        return Encoder(
            suffix, name, width, height, pix_fmt, {"compression": "zip16", "format": "float"}, 1, "image2"
        )
    deep = "16le" if source.bits > 8 else ""
    if name == "dpx" and source.family != "gray" and not source.alpha and 8 < source.bits <= 12:
        deep = "10le" if source.bits <= 10 else "12le"
    if source.family == "gray" and source.alpha and name in {"png", "tiff"}:
        return Encoder(suffix, name, width, height, "ya16le" if deep else "ya8", {}, 1, "image2")
    pix_fmt = (
        f"gray{deep}"
        if source.family == "gray" and not source.alpha
        else f"gbrap{deep}"
        if source.alpha
        else f"gbrp{deep}"
    )
    return Encoder(suffix, name, width, height, pix_fmt, {}, 1, "image2")
