"""The encoder of a target, with all its settings: codec, preset, pixel format, threads."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from models.errors import MediaError, UsageError
from pipelines.media.cicp import HDR_TRANSFERS, HdrMetadata, Transfer
from pipelines.media.hdr_metadata import encoder_options
from pipelines.media.pixel_format import PixelFormat
from pipelines.plan.encoder_spec import MAKERS, PACKED, PICTURE_ENCODERS, Encoder
from pipelines.planner.hardware_options import encoder_name, hardware_formats, hardware_options, largest_side

if TYPE_CHECKING:
    from pipelines.plan.settings import EncodeSettings

__all__ = ["choose_encoder", "film_of_pictures", "lost_bits", "result_format", "without_b_frames"]


_ENCODERS = {"hevc": "libx265", "h264": "libx264", "av1": "libsvtav1", "prores": "prores_ks", "ffv1": "ffv1"}


def _quantiser(scale: int) -> dict[str, str]:
    """Options for a constant quantiser; `qscale` is a word of the ffmpeg program, which no encoder knows."""
    return {"flags": "+qscale", "global_quality": str(scale * _LAMBDA_A_STEP)}


_LAMBDA_A_STEP = 118
"""FF_QP2LAMBDA of libavutil/avutil.h."""

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
        for name in ("draft", "balanced", "archive")
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
_KEEPS_RGB = frozenset({"ffv1"})
"""Codecs into which R'G'B' goes as it is; in others few players know it."""
_FOR_PLAYERS = frozenset({"hevc", "h264", "av1"})
_HIGHEST_CRF = {"libx264": 51, "libx265": 51, "libsvtav1": 63}
"""Lowest constant quality an encoder takes; the highest is 0."""
_NARROWEST = {"libx265": 64}
"""x265 4.1 writes beyond its memory in pictures of some smaller widths (probed: 34 to 46), which may end the
process."""
_HDR_BITS = 10
"""The least that PQ and HLG may have (ITU-R BT.2100 table 9)."""


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

    source: planar format of the decoded frames. container: FFmpeg's muxer name. suffix: of a picture file.
    transfer, hdr: of the source; PQ and HLG never leave in less than 10 bits.
    """
    if transfer in HDR_TRANSFERS and source.bits < _HDR_BITS:
        source = replace(source, name="", bits=_HDR_BITS)
    if suffix == "exr" and transfer != Transfer.SRGB:
        raise UsageError(
            f"OpenEXR holds linear light, and {Transfer(transfer).name} does not say how to get there; name"
            " an output that ends in .tiff"
        )
    if container in {"image2", "sequence"}:
        encoder = _picture_encoder(suffix, source, width, height)
        return _checked_depth(
            replace(encoder, container=container, options={**encoder.options, **settings.options}), transfer
        )
    if container in {"mp4", "mov"} and settings.codec == "ffv1":
        raise UsageError(f"ffv1 does not go into {container.upper()}; name an output that ends in .mkv")
    if container == "mov" and settings.codec == "av1":
        raise UsageError("av1 does not go into MOV; name an output that ends in .mp4 or .mkv")
    if container == "webm" and settings.codec != "av1":
        raise UsageError(
            f"{settings.codec} does not go into WebM; give --codec av1, or name an output that ends in .mkv"
        )
    if container == "mp4" and settings.codec == "prores":
        raise UsageError("prores does not go into MP4; name an output that ends in .mov")
    if settings.encoder in MAKERS:
        return _checked_depth(_hardware_encoder(settings, source, width, height, container), transfer)
    name = _ENCODERS[settings.codec]
    _check_size(settings.codec, width, height)
    presets = _PRESETS[name]
    options = dict(presets.get(settings.preset, presets["balanced"]))
    if settings.preset not in presets:
        options[{"prores_ks": "profile"}.get(name, "preset")] = settings.preset
    if settings.crf is not None:
        if name in {"prores_ks", "ffv1"}:
            raise UsageError(f"--crf does not go with {settings.codec}; use --preset or --encoder-option")
        _check_crf(settings.crf, name, name)
        options["crf"] = f"{settings.crf:g}"
    pix_fmt = settings.pixel_format or _pixel_format(settings, source)
    if name == "prores_ks" and PixelFormat.parse(pix_fmt).sub_x == 0:
        # The smaller profiles are 4:2:2; FFmpeg would take 4444 in their place and only say so in its log.
        options |= {"profile": "4444", **({"alpha_bits": "16"} if PixelFormat.parse(pix_fmt).alpha else {})}
    if name == "ffv1" and "slices" not in settings.options:
        options["slices"] = str(_ffv1_slices(width, height, pix_fmt))
    threads = {"libx264": 4, "ffv1": 4, "prores_ks": 4}.get(name, 1)
    if name == "libx265":
        options["x265-params"] = (
            "log-level=none:info=0:open-gop=0:repeat-headers=1:"
            f"{_x265_frames(width, height, options['preset'])}"
        )
    elif name == "libx264":
        options["x264-params"] = (
            "open-gop=0:sync-lookahead=0"  # looking ahead in a thread of its own holds ten more frames
        )
    for key, value in (*encoder_options(hdr or HdrMetadata(), name).items(), *settings.options.items()):
        joined = key in {"x264-params", "x265-params", "svtav1-params"} and key in options
        options[key] = f"{options[key]}:{value}" if joined else value
    return _checked_depth(
        Encoder(
            settings.codec,
            name,
            width,
            height,
            pix_fmt,
            options,
            threads,
            container,
            _tag(settings.codec, container),
        ),
        transfer,
    )


def _hardware_encoder(
    settings: EncodeSettings, source: PixelFormat, width: int, height: int, container: str
) -> Encoder:
    """The encoder of a chip, with what makes its bits repeat. Whether it is there is not looked at."""
    name, software = encoder_name(settings.codec, settings.encoder), _ENCODERS[settings.codec]
    longest = largest_side(settings.codec)
    if max(width, height) > longest:
        others = (
            "--codec hevc or "
            if settings.codec == "h264" and max(width, height) <= largest_side("hevc")
            else ""
        )
        raise UsageError(
            f"{name} can't hold {width}x{height}, {longest} a side at most; choose a smaller --to,"
            f" {others}--encoder software"
        )
    if settings.crf is not None:
        _check_crf(settings.crf, software, name)
    level = (
        float(_PRESETS[software].get(settings.preset, _PRESETS[software]["balanced"])["crf"])
        if settings.crf is None
        else settings.crf
    )
    pix_fmt = settings.pixel_format or _pixel_format(settings, source)
    if pix_fmt not in hardware_formats(settings.codec, settings.encoder):
        raise UsageError(f"{name} can't hold {pix_fmt}; leave --pixel-format out, or give --encoder software")
    options = hardware_options(
        settings.codec, settings.encoder, preset=settings.preset, crf=level, pix_fmt=pix_fmt
    )
    return Encoder(
        settings.codec,
        name,
        width,
        height,
        pix_fmt,
        options | settings.options,
        1,
        container,
        _tag(settings.codec, container),
    )


def without_b_frames(encoder: Encoder) -> Encoder | None:
    """The same hardware encoder for chips that have no B frames; None where it uses none."""
    return (
        replace(encoder, options={**encoder.options, "bf": "0"})
        if encoder.maker and encoder.options.get("bf", "0") != "0"
        else None
    )


def _tag(codec: str, container: str) -> str:
    return "hvc1" if codec == "hevc" and container in {"mp4", "mov"} else ""


def _check_crf(crf: float, software: str, name: str) -> None:
    highest = _HIGHEST_CRF[software]
    if not 0 <= crf <= highest:
        raise UsageError(f"--crf {crf:g}: {name} takes 0 to {highest}")


def _x265_frames(width: int, height: int, preset: str) -> str:
    """How many frames x265 works on at once and looks ahead.

    It holds several pictures for each, 50 MB a plane set at 8K.
    """
    area = width * height
    if area <= 1920 * 1088:
        return "frame-threads=3"
    if area <= 4096 * 2304:
        return "frame-threads=2"
    return f"frame-threads=1:rc-lookahead={5 if preset == 'ultrafast' else 10}"


def _checked_depth(encoder: Encoder, transfer: int) -> Encoder:
    if transfer in HDR_TRANSFERS and PixelFormat.parse(encoder.pix_fmt).bits < _HDR_BITS:
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


def _check_size(codec: str, width: int, height: int) -> None:
    if _holds(codec, width, height):
        return
    others = " or ".join(other for other in _ENCODERS if _holds(other, width, height))
    narrowest = _NARROWEST.get(_ENCODERS[codec], 1)
    if width < narrowest and others:
        raise UsageError(
            f"{codec} can't be trusted with pictures narrower than {narrowest}, this is {width}x{height}; use"
            f" --codec {others}"
        )
    remedy = f"choose a smaller --to, or --codec {others}" if others else "choose a smaller --to"
    raise UsageError(f"{codec} can't hold {width}x{height}; {remedy}")


def _holds(codec: str, width: int, height: int) -> bool:
    name = _ENCODERS[codec]
    return (
        width >= _NARROWEST.get(name, 1)
        and max(width, height) <= _LONGEST_SIDE[name]
        and width * height <= _MOST_LUMA_SAMPLES.get(name, width * height)
    )


def _picture_encoder(suffix: str, source: PixelFormat, width: int, height: int) -> Encoder:
    name = PICTURE_ENCODERS[suffix]
    if max(width, height) > _LONGEST_SIDE.get(name, 65535):
        raise UsageError(
            f"a .{suffix} picture can't hold {width}x{height}; name an output that ends in .png or .tiff"
        )
    if name == "mjpeg":
        pix_fmt = "yuv444p" if source.sub_x == 0 else "yuv422p" if source.sub_y == 0 else "yuv420p"
        return Encoder(
            "mjpeg", name, width, height, pix_fmt, {**_quantiser(2), "huffman": "optimal"}, 1, "image2"
        )
    if name == "libwebp":
        return Encoder(
            "webp",
            name,
            width,
            height,
            "yuva420p" if source.alpha else "yuv420p",
            {"quality": "92"},
            1,
            "image2",
        )
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


def film_of_pictures(settings: EncodeSettings, source: PixelFormat) -> tuple[EncodeSettings, list[str]]:
    """The settings for a film made of pictures, and what a person should know.

    4:2:0, which is all that most players decode in hardware.

    Codecs for archives and for cutting keep the colour of every sample.
    """
    if settings.codec not in _FOR_PLAYERS or settings.pixel_format is not None:
        return settings, []
    deep = source.bits > 8
    said = "a film of pictures is 4:2:0, BT.709, for televisions and phones"
    if source.family == "yuv" and (source.sub_x, source.sub_y) == (1, 1):
        kept = ""
    else:
        kept = f"; --pixel-format yuv444p{'10le' if deep else ''} would keep all of their colour"
    return replace(settings, pixel_format="yuv420p10le" if deep else "yuv420p"), [f"{said}{kept}"]


def result_format(settings: EncodeSettings, source: PixelFormat) -> PixelFormat:
    """In which planes a film of that format leaves.

    Raises UsageError where the codec has none that holds it, MediaError for a name we don't know.
    """
    return PixelFormat.parse(settings.pixel_format or _pixel_format(settings, source))


def _pixel_format(settings: EncodeSettings, source: PixelFormat) -> str:
    """The source's own format, or the smallest the encoder has that loses nothing of it."""
    codec, name = settings.codec, _ENCODERS[settings.codec]
    if settings.encoder in MAKERS:
        name = encoder_name(codec, settings.encoder)
        known = hardware_formats(codec, settings.encoder)
    else:
        known = {f.name for f in av.codec.Codec(name, "w").video_formats or []}
        known = {n for n in known if "f16" not in n and "f32" not in n} | {
            planar for encoder, planar in PACKED if encoder == name
        }
    if name == "libx265":
        known = {n for n in known if not n.startswith("yuva")}  # listed, and refused when it is opened
    formats = [PixelFormat.parse(n) for n in sorted(known) if "yuvj" not in n and _is_planar(n)]
    if source.is_float or name == "prores_ks":  # said by `lost_bits`
        deepest = max(f.bits for f in formats)
        source = replace(source, name="", bits=deepest) if source.bits > deepest else source
    keeps_rgb = codec in _KEEPS_RGB
    if source.name in known and (source.family != "rgb" or keeps_rgb):
        return source.name
    candidates = []
    for fmt in formats:
        # Grey has no chroma that subsampling could take from it.
        fine = source.family == "gray" or (fmt.sub_x <= source.sub_x and fmt.sub_y <= source.sub_y)
        fitting = (
            fmt.family == "yuv"
            or fmt.family == source.family == "gray"
            or (fmt.family == source.family == "rgb" and keeps_rgb)
        )
        if fmt.bits >= source.bits and fine and fitting and (not fmt.alpha or source.alpha):
            changes = source.family not in {fmt.family, "yuv"}
            candidates.append(
                ((source.alpha and not fmt.alpha, changes, fmt.bits, -fmt.sub_x - fmt.sub_y), fmt.name)
            )
    if not candidates:
        if settings.encoder in MAKERS:
            raise UsageError(
                f"{name} can't hold {source.name}; give --encoder software, or give up precision by"
                " --pixel-format yuv420p10le"
            )
        other = "--codec ffv1" if codec == "hevc" else "another --codec (ffv1 holds most)"
        raise UsageError(
            f"{codec} can't hold {source.name}; choose {other}, or give up precision by --pixel-format"
            " yuv420p10le"
        )
    return min(candidates)[1]


def _is_planar(pix_fmt: str) -> bool:
    try:
        PixelFormat.parse(pix_fmt)
    except MediaError:
        return False
    return True


def lost_bits(encoder: Encoder, source: PixelFormat) -> str:
    """What of a source an encoder that was asked for by name can't hold, in words; empty for nothing."""
    target = PixelFormat.parse(encoder.pix_fmt)
    lost = []
    if source.family == "rgb" and target.family == "yuv" and not encoder.is_picture:
        lost.append(f"R'G'B' becomes Y'CbCr ({encoder.pix_fmt}), --codec ffv1 would keep it")
    if encoder.name == "prores_ks" and source.bits > target.bits:
        lost.append(f"{source.bits} bits become {target.bits}: FFmpeg's ProRes encoder has no more")
    if source.is_float and not target.is_float:
        lost.append("light above white and below black is clipped, a .exr would keep it")
    if source.alpha and not target.alpha:
        keeping = "a .png or .tiff" if encoder.is_picture else "--codec prores or ffv1"
        lost.append(
            f"its alpha is left out: {encoder.codec} as {encoder.pix_fmt} can't hold it, {keeping} would"
        )
    return "; ".join(lost)
