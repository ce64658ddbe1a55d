"""The pixel format of an output: the source's own, or the smallest that loses nothing."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import av

from models.errors import MediaError, UsageError
from pipelines.encoders.hardware_options import hardware_formats
from pipelines.media.pixel_format import PixelFormat
from pipelines.settings.encoder_spec import PACKED, SOFTWARE_ENCODERS, VENDORS, encoder_name

if TYPE_CHECKING:
    from pipelines.settings.encoder_spec import Encoder
    from pipelines.settings.run_settings import EncodeSettings, RunSettings

__all__ = [
    "image_settings",
    "lossless_format",
    "lost_bits",
    "raised_by_prefilters",
    "result_format",
]


_KEEPS_RGB = frozenset({"ffv1"})
"""Codecs that keep R'G'B'; in others few players support it."""
_FOR_PLAYERS = frozenset({"hevc", "h264", "av1"})


def image_settings(
    settings: EncodeSettings, source: PixelFormat, *, from_pictures: bool, to_pictures: bool
) -> tuple[EncodeSettings, list[str]]:
    """The settings for a film made from images, and messages for the user if there are images.

    Such a film is 4:2:0, which is all that most players decode in hardware; codecs for archives and editing
    keep full chroma.
    """
    if to_pictures:
        codec = settings.codec
        return settings, [f"--codec {codec} is for films; an image is what its name says"] * (codec != "hevc")
    if not from_pictures:
        return settings, []
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
    """The output's pixel format: the one in the settings, or else one that keeps the source's precision.

    Raises UsageError if the encoder has no such pixel format, MediaError if the settings name an unknown one.
    """
    return PixelFormat.parse(settings.pixel_format or lossless_format(settings, source))


def lossless_format(settings: EncodeSettings, source: PixelFormat) -> str:
    """The source's own format, or the smallest of the encoder's formats that lose nothing."""
    codec, name = settings.codec, SOFTWARE_ENCODERS[settings.codec]
    if settings.encoder in VENDORS:
        name = encoder_name(codec, settings.encoder)
        known = hardware_formats(codec, settings.encoder)
    else:
        known = {f.name for f in av.codec.Codec(name, "w").video_formats or []}
        known = {n for n in known if "f16" not in n and "f32" not in n} | {
            planar for encoder, planar in PACKED if encoder == name
        }
    if name == "libx265":
        known = {n for n in known if not n.startswith("yuva")}  # listed, and refused when it is opened
    formats = [f for n in sorted(known) if "yuvj" not in n and (f := _planar(n)) is not None]
    if source.is_float or name == "prores_ks":  # reported by `lost_bits`
        deepest = max(f.bits for f in formats)
        source = replace(source, name="", bits=deepest) if source.bits > deepest else source
    keeps_rgb = codec in _KEEPS_RGB
    if source.name in known and (source.family != "rgb" or keeps_rgb):
        return source.name
    candidates = [
        (_changes(source, fmt), fmt.name) for fmt in formats if _holds_all(source, fmt, keeps_rgb=keeps_rgb)
    ]
    if not candidates:
        if settings.encoder in VENDORS:
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


def _holds_all(source: PixelFormat, fmt: PixelFormat, *, keeps_rgb: bool) -> bool:
    """Whether a format keeps the source's bit depth and chroma, and has no unused alpha."""
    # Grey has no chroma that could be subsampled.
    fine = source.family == "gray" or (fmt.sub_x <= source.sub_x and fmt.sub_y <= source.sub_y)
    fitting = (
        fmt.family == "yuv"
        or fmt.family == source.family == "gray"
        or (fmt.family == source.family == "rgb" and keeps_rgb)
    )
    return fmt.bits >= source.bits and fine and fitting and (not fmt.alpha or source.alpha)


def _changes(source: PixelFormat, fmt: PixelFormat) -> tuple[bool, bool, int, int]:
    """Sort key of formats, the best first."""
    family_changes = source.family not in {fmt.family, "yuv"}
    return source.alpha and not fmt.alpha, family_changes, fmt.bits, -fmt.sub_x - fmt.sub_y


@functools.cache
def _planar(pix_fmt: str) -> PixelFormat | None:
    """The format of that name; None if it is not planar.

    Cached, because every query of an encoder lists dozens.
    """
    try:
        return PixelFormat.parse(pix_fmt)
    except MediaError:
        return None


def lost_bits(encoder: Encoder, source: PixelFormat) -> str:
    """Describe what the pixel format that the user named loses of the source; empty for nothing."""
    target = encoder.pixels
    lost = []
    if source.family == "rgb" and target.family == "yuv" and not encoder.is_picture:
        lost.append(f"R'G'B' becomes Y'CbCr ({encoder.pix_fmt}), --codec ffv1 would keep it")
    if source.family == "rgb" and encoder.name == "libwebp" and target.family == "yuv":
        lost.append("R'G'B' becomes 4:2:0 with loss, a .png would keep it")
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


def raised_by_prefilters(decoded: PixelFormat, settings: RunSettings) -> tuple[PixelFormat, list[str]]:
    """The format after prefilters, and messages for the user: deband converts 8 bits to 10."""
    raised = _raised_format(decoded) if "deband" in settings.prefilters else None
    if raised is None:
        return decoded, []
    given = settings.encode.pixel_format
    if given is not None and PixelFormat.parse(given).bits == 8:
        said = f"--prefilter deband works in 10 bits, and {given} brings some of the bands back"
    else:
        said = "--prefilter deband: 8 bits become 10, also in the result"
    return PixelFormat.parse(raised), [said]


def _raised_format(pixels: PixelFormat) -> str | None:
    """The 10-bit format with the same planes, for 8-bit ones; None if there is none."""
    if pixels.bits != 8 or pixels.is_float:
        return None
    try:
        return PixelFormat.parse(f"{pixels.name}10le").name
    except MediaError:
        return None
