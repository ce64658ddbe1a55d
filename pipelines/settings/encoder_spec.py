"""`Encoder`: an encoder with every option that affects its output; limits of encoders for any film."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from models.errors import UsageError
from pipelines.media.pixel_format import PixelFormat

__all__ = [
    "CONTAINERS",
    "HARDWARE_CODECS",
    "LAMBDA_A_STEP",
    "PACKED",
    "PICTURE_ENCODERS",
    "PRESETS",
    "SOFTWARE_ENCODERS",
    "VENDORS",
    "VIDEOTOOLBOX_A_CRF",
    "Encoder",
    "encoder_name",
    "highest_crf",
    "refuse_crf",
    "refuse_pair",
    "refuse_preset",
]


SOFTWARE_ENCODERS = {
    "hevc": "libx265",
    "h264": "libx264",
    "av1": "libsvtav1",
    "prores": "prores_ks",
    "ffv1": "ffv1",
}
"""Codec -> FFmpeg's encoder."""
HARDWARE_CODECS = ("hevc", "h264", "av1")
_HIGHEST_CRF = {"hevc": 51, "h264": 51, "av1": 63}
"""Codec -> largest CRF (lowest quality) of its encoders; the smallest is 0."""
_COARSE_FROM, _COARSEST_FROM = 0.7, 0.85
"""Shares of the largest CRF between which results lose the structure of their thumbnails."""
PRESETS = ("draft", "balanced", "archive")
_X26_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"
)  # fmt: skip
_OWN_PRESETS = {
    "hevc": _X26_PRESETS,
    "h264": _X26_PRESETS,
    "av1": tuple(str(n) for n in range(-1, 14)),
    "prores": ("proxy", "lt", "standard", "hq", "4444", "4444xq"),
    "ffv1": (),
}
"""Presets of the software encoders themselves; of prores_ks its profiles."""
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Suffix of an output -> FFmpeg's muxer."""
_NOT_IN_IT = {
    ("ffv1", "mp4"): "ffv1 does not go into MP4; name an output that ends in .mkv",
    ("ffv1", "mov"): "ffv1 does not go into MOV; name an output that ends in .mkv",
    ("av1", "mov"): "av1 does not go into MOV; name an output that ends in .mp4 or .mkv",
    ("prores", "mp4"): "prores does not go into MP4; name an output that ends in .mov",
}
"""(codec, container) -> why not, and what to do."""


PICTURE_ENCODERS = {
    "png": "png",
    "jpg": "mjpeg",
    "jpeg": "mjpeg",
    "webp": "libwebp",
    "tif": "tiff",
    "tiff": "tiff",
    "dpx": "dpx",
    "exr": "exr",
}
"""File suffix -> encoder, for images."""

LAMBDA_A_STEP = 118
"""FF_QP2LAMBDA of libavutil/avutil.h."""
VIDEOTOOLBOX_A_CRF = 1.8
"""Steps of VideoToolbox's quality, from 100 (best) to 1, per CRF."""

PACKED = {
    ("png", "gbrp"): "rgb24", ("png", "gbrap"): "rgba", ("png", "gbrp16le"): "rgb48be", ("png",
    "gbrap16le"): "rgba64be", ("png", "gray16le"): "gray16be", ("png", "ya16le"): "ya16be", ("tiff",
    "gbrp"): "rgb24", ("tiff", "gbrap"): "rgba", ("tiff", "gbrp16le"): "rgb48le", ("tiff",
    "gbrap16le"): "rgba64le", ("dpx", "gbrp"): "rgb24", ("dpx", "gbrap"): "rgba", ("dpx",
    "gbrp16le"): "rgb48le", ("dpx", "gbrap16le"): "rgba64le", ("ffv1", "gbrp"): "bgr0", ("ffv1",
    "gbrap"): "bgra", ("libwebp", "gbrp"): "bgra", ("libwebp", "gbrap"): "bgra",
}  # fmt: skip
"""(encoder, planar format) -> packed format with the same samples, for encoders without a planar one."""

VENDORS = {
    "nvenc": {
        "yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p": "nv16", "yuv422p10le": "p210le",
        "yuv444p": "yuv444p", "yuv444p10le": "yuv444p16le",
    },
    "qsv": {"yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p10le": "y210le", "yuv444p": "vuyx",
    "yuv444p10le": "xv30le"}, "amf": {"yuv420p": "nv12", "yuv420p10le": "p010le"},
    "videotoolbox": {"yuv420p": "nv12", "yuv420p10le": "p010le", "yuv422p10le": "p210le"},
}  # fmt: skip
"""Hardware encoders, by the last word of their names in FFmpeg -> planar format -> format of their input,
with the same samples."""


def highest_crf(codec: str) -> int | None:
    """Largest CRF of a codec; None if it has none."""
    return _HIGHEST_CRF.get(codec)


def encoder_name(codec: str, vendor: str) -> str:
    """FFmpeg's name, such as "hevc_nvenc".

    Raises UsageError for a codec that no hardware encodes, or not that of this vendor.
    """
    if codec == "av1" and vendor == "videotoolbox":
        raise UsageError(
            "--encoder videotoolbox: it does not encode av1; use --codec hevc or h264, or --encoder software"
        )
    if codec not in HARDWARE_CODECS:
        raise UsageError(
            f"--encoder {vendor}: no hardware encodes {codec}; use --codec hevc, h264 or av1, or --encoder"
            " software"
        )
    return f"{codec}_{vendor}"


def refuse_crf(crf: float, codec: str, encoder: str) -> None:
    """Raise UsageError for a CRF that the encoder does not accept. encoder: as in `EncodeSettings`."""
    highest = highest_crf(codec)
    if highest is None:
        raise UsageError(f"--crf does not go with {codec}; use --preset or --encoder-option")
    if not 0 <= crf <= highest:
        name = encoder_name(codec, encoder) if encoder in VENDORS else SOFTWARE_ENCODERS[codec]
        raise UsageError(f"--crf {crf:g}: {name} takes 0 to {highest}")


def refuse_preset(preset: str, codec: str, encoder: str) -> None:
    """Raise UsageError for a preset that is neither ours nor one of the software encoder's."""
    own = _OWN_PRESETS[codec]
    if encoder in VENDORS or preset in {*PRESETS, *own}:
        return
    close = difflib.get_close_matches(preset, [*PRESETS, *own], n=1)
    hint = f"did you mean {close[0]}?" if close else "settings that come with vsr are given by --config"
    others = f", or {SOFTWARE_ENCODERS[codec]}'s own: {', '.join(own)}" if own else ""
    raise UsageError(f"--preset {preset}: expected {', '.join(PRESETS)}{others}; {hint}")


def refuse_pair(codec: str, container: str) -> None:
    """Raise UsageError for a codec that a container (FFmpeg's name) can't hold."""
    if (codec, container) in _NOT_IN_IT:
        raise UsageError(_NOT_IN_IT[codec, container])
    if container == "webm" and codec != "av1":
        raise UsageError(
            f"{codec} does not go into WebM, which holds AV1 with Opus or Vorbis sound; name an output that"
            " ends in .mkv, or give --codec av1"
        )


@dataclass(frozen=True)
class Encoder:
    """An encoder with all settings that affect bits."""

    codec: str
    name: str
    """FFmpeg's, such as "libx265"."""
    width: int
    height: int
    pix_fmt: str
    options: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    """Depends on the output size only, not on the machine, as it affects the bits of x264 and x265."""
    container: str = "matroska"
    """Muxer of the output, and of every chunk."""
    tag: str = ""
    """Codec tag that the container requires."""

    @property
    def is_picture(self) -> bool:
        """Whether the encoder writes each frame as a separate image file."""
        return self.container in {"image2", "sequence"}

    @property
    def coarseness(self) -> float:
        """How far the CRF is in its coarsest range, 0 to 1: detail is lost there, and motion may lag."""
        return min(1.0, max(0.0, (self._crf_share - _COARSE_FROM) / (_COARSEST_FROM - _COARSE_FROM)))

    @property
    def _crf_share(self) -> float:
        """The CRF as a share of the largest; for hardware, from its constant quantiser."""
        options, highest = self.options, 255 if self.codec == "av1" else 51
        global_quality = float(options.get("global_quality", 0)) / LAMBDA_A_STEP
        if self.vendor == "videotoolbox":
            return (100 - global_quality) / (VIDEOTOOLBOX_A_CRF * 51)
        if self.vendor == "qsv":
            return global_quality / highest
        if self.vendor:
            return float(options.get("qp", options.get("qp_p", 0))) / highest
        return float(options.get("crf", 0)) / _HIGHEST_CRF.get(self.codec, 51)

    @property
    def vendor(self) -> str:
        """A key of `VENDORS`; empty for software encoders."""
        word = self.name.rpartition("_")[2]
        return word if word in VENDORS else ""

    @property
    def fed_format(self) -> str:
        """Pixel format of the frames that the encoder receives."""
        if self.vendor:
            return VENDORS[self.vendor][self.pix_fmt]
        return PACKED.get((self.name, self.pix_fmt), self.pix_fmt)

    @property
    def pixels(self) -> PixelFormat:
        """`pix_fmt`, parsed."""
        return PixelFormat.parse(self.pix_fmt)

    @property
    def picture_bytes(self) -> int:
        """Size of the samples of one frame."""
        pixels = self.pixels
        sizes = (pixels.plane_size(number, self.width, self.height) for number in range(pixels.plane_count))
        return pixels.bytes_per_sample * sum(height * width for height, width in sizes)

    @property
    def is_sequence(self) -> bool:
        """Whether the encoder writes a film as an image sequence."""
        return self.container == "sequence"
