"""Options of hardware encoders: a constant quantiser and closed GOPs of fixed shape, nothing adaptive.

With these options the bits are the same each time, and chunks can be joined. Names and values are those of
FFmpeg's tables; tests compare them with the installed libraries. The quantiser is the rounded CRF of the
software encoder for that codec: both use the same steps, but distribute bits differently.
"""

from __future__ import annotations

import av

from models.errors import UsageError
from pipelines.media.pixel_format import PixelFormat
from pipelines.settings.encoder_spec import LAMBDA_A_STEP, PRESETS, VENDORS, VIDEOTOOLBOX_A_CRF, encoder_name

__all__ = [
    "hardware_formats",
    "hardware_options",
    "largest_side",
]


_LONGEST_SIDE = {"h264": 4096, "hevc": 8192, "av1": 8192}
"""Supported by hardware of the last ten years; some supports less, which opening it shows."""
_GOP = 250
"""Frames; every chunk begins with an IDR frame."""
_B_FRAMES = 2
_KEY_STEPS, _B_STEPS = -2, 2
"""Quantiser steps of H.264 and HEVC for key and B frames, relative to P frames."""
_STEPS_OF_AV1 = 4
"""Quantiser steps of AV1, out of 256, per step of CRF."""

_SPEEDS = {
    "nvenc": {"draft": "p2", "balanced": "p5", "archive": "p7"},
    "qsv": {"draft": "veryfast", "balanced": "medium", "archive": "veryslow"},
    "amf": {"draft": "speed", "balanced": "balanced", "archive": "quality"},
}
_SPEED_OPTION = {"nvenc": "preset", "qsv": "preset", "amf": "quality"}
_OF_ONE_CODEC = frozenset({"yuv422p", "yuv422p10le", "yuv444p", "yuv444p10le"})
"""Formats that hardware supports for some codecs only."""


def largest_side(codec: str) -> int:
    """Largest side that a hardware encoder may support."""
    return _LONGEST_SIDE[codec]


def hardware_formats(codec: str, vendor: str) -> set[str]:
    """Planar formats that a vendor's encoder for that codec supports.

    If this FFmpeg lacks the encoder, all formats that the vendor's encoder can have.
    """
    formats = dict(VENDORS[vendor])
    if codec == "av1" or (vendor, codec) == ("qsv", "h264"):
        formats = {planar: fed for planar, fed in formats.items() if planar not in _OF_ONE_CODEC}
    if codec == "h264" and vendor != "nvenc":
        formats = {"yuv420p": formats["yuv420p"]}
    try:
        listed = {f.name for f in av.codec.Codec(encoder_name(codec, vendor), "w").video_formats or []}
    except av.codec.codec.UnknownCodecError:
        return set(formats)
    return {planar for planar, fed in formats.items() if fed in listed}


def hardware_options(codec: str, vendor: str, *, preset: str, crf: float, pix_fmt: str) -> dict[str, str]:
    """Options of a hardware encoder.

    preset: draft, balanced, archive, or a preset of the encoder. crf: in the scale of the software encoder.
    Raises UsageError for a preset if the encoder has none.
    """
    step = _STEPS_OF_AV1 if codec == "av1" else 1
    quantiser = round(crf * step)
    key, between = quantiser + _KEY_STEPS * step, quantiser + _B_STEPS * step
    highest = 255 if codec == "av1" else 51
    options = {"g": str(_GOP), "flags": "+cgop"}
    if vendor != "amf":
        options["bf"] = str(_B_FRAMES)
    if vendor in _SPEEDS:
        options[_SPEED_OPTION[vendor]] = _SPEEDS[vendor].get(preset, preset)
    elif preset not in PRESETS:
        raise UsageError(f"--preset {preset}: {encoder_name(codec, vendor)} has no presets; leave it out")
    if vendor in {"nvenc", "qsv"}:
        options |= {
            "i_qfactor": "1",
            "i_qoffset": str(_KEY_STEPS * step),
            "b_qfactor": "1",
            "b_qoffset": str(_B_STEPS * step),
        }
    if vendor == "nvenc":
        options |= _nvenc(codec, quantiser)
    elif vendor == "qsv":
        options |= _qsv(codec, quantiser, pix_fmt)
    elif vendor == "amf":
        options |= _amf(codec, [min(highest, max(0, q)) for q in (key, quantiser, between)], pix_fmt)
    else:
        options |= _videotoolbox(codec, crf * 51 / (63 if codec == "av1" else 51), pix_fmt)
    return options


def _nvenc(codec: str, quantiser: int) -> dict[str, str]:
    options = {"tune": "hq", "rc": "constqp", "qp": str(quantiser), "rc-lookahead": "0", "no-scenecut": "1",
               "forced-idr": "1", "strict_gop": "1", "b_adapt": "0", "b_ref_mode": "disabled",
               "spatial-aq": "0", "temporal-aq": "0", "multipass": "disabled", "tf_level": "0",
               "weighted_pred": "0", "zerolatency": "0", "extra_sei": "0", "a53cc": "0",
               "s12m_tc": "0"}  # fmt: skip
    if codec != "h264":
        options["split_encode_mode"] = "disabled"
    return options


def _qsv(codec: str, quantiser: int, pix_fmt: str) -> dict[str, str]:
    options = {"flags": "+cgop+qscale", "global_quality": str(quantiser * LAMBDA_A_STEP),
               "forced_idr": "1", "b_strategy": "0", "adaptive_i": "0", "adaptive_b": "0", "extbrc": "0",
               "low_delay_brc": "0"}  # fmt: skip
    if codec == "hevc":
        pixels = PixelFormat.parse(pix_fmt)
        options |= {"idr_interval": "1", "mbbrc": "0", "skip_frame": "no_skip"}
        options["profile"] = "rext" if not pixels.sub_y else "main10" if pixels.bits > 8 else "main"
    elif codec == "h264":
        options |= {
            "idr_interval": "0",
            "mbbrc": "0",
            "skip_frame": "no_skip",
            "look_ahead": "0",
            "a53cc": "0",
            "profile": "high",
        }
    return options


def _amf(codec: str, quantisers: list[int], pix_fmt: str) -> dict[str, str]:
    key, quantiser, between = map(str, quantisers)
    options = {"usage": "transcoding", "rc": "cqp", "qp_i": key, "qp_p": quantiser, "forced_idr": "1",
               "preencode": "0", "preanalysis": "0", "enforce_hrd": "0", "filler_data": "0"}  # fmt: skip
    ten = PixelFormat.parse(pix_fmt).bits > 8
    if codec == "h264":
        return options | {
            "qp_b": between,
            "bf": "0",
            "bf_ref": "0",
            "frame_skipping": "0",
            "vbaq": "0",
            "profile": "high",
            "header_spacing": "0",
        }
    if codec == "hevc":
        more = {"gops_per_idr": "1", "header_insertion_mode": "idr", "vbaq": "0", "skip_frame": "0"}
        return options | more | {"profile": "main10" if ten else "main", "bitdepth": "10" if ten else "8"}
    more = {
        "qp_b": between,
        "bf": "0",
        "header_insertion_mode": "gop",
        "skip_frame": "0",
        "aq_mode": "none",
        "profile": "main",
    }
    return options | more | {"bitdepth": "10" if ten else "8"}


def _videotoolbox(codec: str, crf: float, pix_fmt: str) -> dict[str, str]:
    """crf: 0 to 51; VideoToolbox has a scale from 1 (worst) to 100."""
    quality = min(100, max(1, round(100 - VIDEOTOOLBOX_A_CRF * crf)))
    pixels = PixelFormat.parse(pix_fmt)
    profile = (
        "high"
        if codec == "h264"
        else "main42210"
        if not pixels.sub_y
        else "main10"
        if pixels.bits > 8
        else "main"
    )
    options = {
        "flags": "+cgop+qscale",
        "global_quality": str(quality * LAMBDA_A_STEP),
        "allow_sw": "0",
        "realtime": "0",
        "profile": profile,
    }
    return options | ({"a53cc": "0"} if codec == "h264" else {})
