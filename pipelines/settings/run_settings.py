"""Settings: frozen dataclasses, one per concept, read from TOML. An unknown key is an error."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from models.errors import MediaError, UsageError
from pipelines.media.pixel_format import PixelFormat
from pipelines.settings.crf_target import CrfTarget, parse_bytes
from pipelines.settings.encoder_spec import VENDORS, encoder_name, highest_crf, refuse_crf, refuse_preset
from pipelines.settings.name_template import DEFAULT_TEMPLATE, check_template
from pipelines.settings.option_values import (
    local_workers,
    parse_frame_rate,
    parse_range,
    parse_size,
    parse_tile,
    prefilter_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

__all__ = [
    "BOXES",
    "CODECS",
    "CODEC_ALIASES",
    "DEVICES",
    "ENCODERS",
    "PRECISIONS",
    "EncodeSettings",
    "ExecutionSettings",
    "RunSettings",
    "TargetSettings",
    "detail_at",
    "missing_device",
]


BOXES = {
    "8k": (7680, 4320), "4320p": (7680, 4320), "4k": (3840, 2160), "uhd": (3840, 2160), "2160p": (3840, 2160),
    "1440p": (2560, 1440), "1080p": (1920, 1080), "720p": (1280, 720),
}  # fmt: skip
"""Names of target sizes, which are rotated for portrait video."""

CODECS = ("hevc", "h264", "av1", "prores", "ffv1")

DEVICES = ("auto", "cpu", "cuda", "xpu", "mps")

ENCODERS = ("auto", "software", "nvenc", "qsv", "amf", "videotoolbox")

PRECISIONS = ("auto", "int8", "bf16", "fp16", "fp32")

CODEC_ALIASES = {
    "h265": "hevc", "h.265": "hevc", "x265": "hevc", "libx265": "hevc", "h.264": "h264", "avc": "h264",
    "x264": "h264", "libx264": "h264", "svtav1": "av1", "svt-av1": "av1", "libsvtav1": "av1",
    "prores_ks": "prores",
}  # fmt: skip
"""Other names of codecs and their encoders -> ours."""


def missing_device(wanted: str) -> UsageError:
    """The error for one of DEVICES that can't be used here."""
    words = {"cuda": "CUDA", "xpu": "Intel (XPU)", "mps": "Apple (MPS)"}
    return UsageError(
        f"--device {wanted}: no {words.get(wanted, wanted)} device can be used here; leave --device out, or"
        " give --device cpu"
    )


_FACTOR = re.compile(r"x\d{1,2}|\d{1,2}x")
_LEAST_SIDE = 16
"""Pixels; the contents of smaller frames can't be compared with the source."""


@dataclass(frozen=True)
class TargetSettings:
    """Output size, as a maximum size or a factor; default: 4K for sources up to 1080p, else 8K."""

    to: str | None = None
    """"4k", "8k", "1440p", "1080p" or "WxH": the largest size with the same aspect ratio that fits, rotated
    for portrait video."""
    scale: int | None = None
    """Factor on both sides."""

    def __post_init__(self) -> None:
        if self.to is not None and self.scale is not None:
            raise UsageError("--to and --scale exclude each other; give one of them")
        if self.scale is not None and not 1 <= self.scale <= 16:
            raise UsageError(f"--scale {self.scale}: expected 1 to 16")
        if self.to is not None:
            self.box  # noqa: B018 - says what is wrong with it

    @property
    def box(self) -> tuple[int, int] | None:
        """(width, height) of the landscape size, or None."""
        if self.to is None:
            return None
        name = self.to.strip().lower()
        box = BOXES.get(name) or BOXES.get(f"{name}p")  # 2160
        if box is not None:
            return box
        if _FACTOR.fullmatch(name):
            raise UsageError(f"--to {self.to}: is a factor; give --scale {name.strip('x')}")
        size = parse_size(name)
        if min(size) < _LEAST_SIDE:
            raise UsageError(
                f"--to {self.to}: expected {', '.join(BOXES)}, or WIDTHxHEIGHT of at least"
                f" {_LEAST_SIDE}x{_LEAST_SIDE}, such as 1280x720"
            )
        return size


@dataclass(frozen=True)
class EncodeSettings:
    """Settings of the encoder."""

    codec: str = "hevc"
    """One of CODECS; for images the file name decides."""
    encoder: str = "auto"
    """One of ENCODERS: software, or the hardware of a vendor; auto: software, unless networks run on a GPU
    with an encoder that passes its self-test."""
    preset: str = "balanced"
    """draft, balanced, archive, or a preset of the encoder itself."""
    crf: float | None = None
    """Constant quality, in the scale of the codec's software encoder; None: that of the preset. With a
    target: the start of the search."""
    target_size: str = ""
    """Size of the whole output, such as "8GB", for which a CRF is searched before work starts; empty:
    none."""
    target_vmaf: float = 0.0
    """Mean VMAF of the output against the frames before encoding, for which a CRF is searched; 0: none."""
    pixel_format: str | None = None
    """FFmpeg's name; None: the source's."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the encoder itself, key = value."""

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise UsageError(f"--codec {self.codec}: expected one of {', '.join(CODECS)}")
        if self.encoder not in ENCODERS:
            raise UsageError(f"--encoder {self.encoder}: expected one of {', '.join(ENCODERS)}")
        if self.pixel_format is not None:
            try:
                PixelFormat.parse(self.pixel_format)
            except MediaError as error:
                raise UsageError(
                    f"--pixel-format {self.pixel_format}: expected planar YUV, GBR or grey, such as"
                    " yuv420p10le"
                ) from error
        if self.encoder in VENDORS:
            encoder_name(self.codec, self.encoder)
        refuse_preset(self.preset, self.codec, self.encoder)
        if self.crf is not None:
            refuse_crf(self.crf, self.codec, self.encoder)
        target = self.crf_target
        if target is not None and highest_crf(self.codec) is None:
            raise UsageError(
                f"{target.option}: {self.codec} has no CRF to search for; use --codec hevc, h264 or av1"
            )

    @property
    def crf_target(self) -> CrfTarget | None:
        """The target that replaces a CRF, or None."""
        if self.target_size and self.target_vmaf:
            raise UsageError("--target-size and --target-vmaf exclude each other; give one of them")
        if not 0 <= self.target_vmaf < 100:
            raise UsageError(
                f"--target-vmaf {self.target_vmaf:g}: expected more than 0 and less than 100, such as 95"
            )
        if self.target_size:
            return CrfTarget("size", float(parse_bytes(self.target_size)))
        return CrfTarget("vmaf", self.target_vmaf) if self.target_vmaf else None


@dataclass(frozen=True)
class ExecutionSettings:
    """Where and by how many workers a plan is executed: the part of `RunSettings` that opens workers.

    Everything else is in the plan, so the executing functions need only these settings and the plan.
    """

    model: str = "auto"
    """The model, as in `RunSettings`. If only classical scalers are used, threads sleep while they wait for
    each other."""
    device: str = "auto"
    workers: int | None = None
    cluster: str | None = None
    gpus_per_worker: float | None = None
    cpus_per_worker: float | None = None
    mixed_hardware: bool = False

    @property
    def alone(self) -> ExecutionSettings:
        """The same settings with one worker and without a cluster."""
        return ExecutionSettings(self.model, self.device, workers=1, mixed_hardware=self.mixed_hardware)


@dataclass(frozen=True)
class RunSettings:
    """All settings of `vsr run` for one video."""

    target: TargetSettings = field(default_factory=TargetSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    model: str = "auto"
    """A name of `vsr models`, a weights file, or several joined by commas; "auto" is the best network that
    keeps up, larger on a GPU."""
    device: Literal["auto", "cpu", "cuda", "xpu", "mps"] = "auto"
    """Device of the networks: cuda is NVIDIA and, with torch for ROCm, AMD; xpu Intel, mps Apple; auto is the
    accelerator that torch finds, else the CPU."""
    precision: Literal["auto", "int8", "bf16", "fp16", "fp32"] = "auto"
    """Precision of the networks; auto: the fastest on their device that is precise enough. int8: for networks
    with such layers."""
    workers: int | None = None
    """Maximum number of workers; None: one, with CUDA up to four per device, see
    `pipelines.hardware.resources`."""
    cluster: str | None = None
    """A Ray cluster: "local" or "local:N", a private one on this machine; "auto" or "HOST:PORT", an existing
    one."""
    gpus_per_worker: float | None = None
    """GPUs of each cluster worker; fractions let workers share a GPU. None: 1; on a private cluster the GPUs
    divided by the workers."""
    cpus_per_worker: float | None = None
    """CPU cores of each cluster worker. None: with GPUs, those of a machine divided by the workers on its
    GPUs; without, all of a machine, at most 8; on a private cluster, the available cores divided by the
    workers."""
    mixed_hardware: bool = False
    """Accept workers of other numerics classes; the bytes then depend on which worker made which chunk."""
    chunk_seconds: float | None = None
    """Target length of chunks, which are encoded, stored and resumed one by one; None: 6 s, and less at the
    beginning, so that a run has something to resume from soon."""
    range: str | None = None
    """FROM-TO, in seconds or [hh:]mm:ss[.fff]; either side may be empty."""
    rate: str | None = None
    """Frames per second of an image sequence: "24", "23.976" or "24000/1001"; None: 24."""
    tile: str | None = None
    """"WxH": tile size of the networks, in pixels of their input; None: chosen by the networks. Smaller tiles
    take less memory and more time."""
    video_stream: int | None = None
    """Index of the video stream, from 0."""
    on_corrupt: Literal["fail", "conceal"] = "fail"
    deinterlace: Literal["auto", "on", "bob", "ivtc", "off", "refuse"] = "auto"
    """For interlaced video: auto, one frame per frame, or inverse telecine if all of it is film; bob, one
    frame per field, also if in doubt; on, always one frame per frame; ivtc, inverse telecine; off, leave
    fields as they are; refuse, raise an error."""
    field_order: Literal["auto", "tff", "bff", "progressive"] = "auto"
    """Interlacing of the video, if detection errs: top field first, bottom field first, or none."""
    square_pixels: bool = False
    """Convert anamorphic video to square pixels, instead of keeping its sample aspect ratio."""
    crop_bars: bool = False
    """Crop black bars present throughout the film."""
    prefilter: str | None = None
    """Filters before the networks, in order, joined by commas: denoise, deblock, deband, dehalo, decomb; or
    none."""
    keep_grain: bool = False
    """Measure the source's film grain; if there is any, remove it (prefilter "denoise") and add the same
    amount to the output."""
    strength: float = 1.0
    """Blend between the classical output (0) and that of the networks (1)."""
    restore: float | Literal["auto"] = "auto"
    """How much degradation restoring networks remove, 0 to 1; "auto": estimated from the film."""
    detail: float | Literal["auto"] = "auto"
    """For networks with a faithful and a crisp set of weights: from the one (0) to the other (1); "auto": see
    `detail_at`."""
    commercial: bool = False
    """Use only networks with a licence that allows commercial use."""
    convert_subtitles: bool = False
    """Convert SubRip and ASS to plain timed text for MP4 and MOV, which support no other."""
    chroma: Literal["network", "classical"] = "network"
    """For 4:4:4 and R'G'B' sources: upscale chroma with the networks like luma, at three times the cost, or
    resize it. 4:2:0 is unaffected."""
    dynamic_hdr: Literal["keep", "drop"] = "keep"
    """HDR10+ and Dolby Vision metadata: keep it for every frame if the output supports it, or drop it."""
    drop_incompatible: bool = False
    """Drop streams that the output container can't hold, instead of refusing."""
    verify: Literal["seams", "full"] = "seams"
    """Decode the frames around chunk boundaries, or the whole output, during verification."""
    output_template: str = DEFAULT_TEMPLATE
    """File name of an output in a folder or next to the input; see `name_template.FIELDS`."""

    def __post_init__(self) -> None:
        for name, allowed in _WORDS.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} = {getattr(self, name)!r}: expected one of {', '.join(allowed)}")
        for is_right, wrong in self._rules():
            if not is_right:
                raise UsageError(wrong)
        if self.cluster is not None:
            local_workers(self.cluster)
        check_template(self.output_template)
        _ = self.seconds, self.frame_rate, self.tile_px  # raise UsageError if they can't be parsed

    def _rules(self) -> Iterator[tuple[bool, str]]:
        """(whether a rule is kept, the error message if it is not)."""
        prefilters = self.prefilters
        yield (
            self.chunk_seconds is None or (self.chunk_seconds > 0 and math.isfinite(self.chunk_seconds)),
            f"--chunk-seconds {self.chunk_seconds}: expected a positive number",
        )
        other, both = f"--prefilter {self.prefilter}", "--gpus-per-worker and --cpus-per-worker"
        yield (
            not self.keep_grain or not prefilters or "denoise" in prefilters,
            f"--keep-grain takes grain out by --prefilter denoise first; leave {other} out",
        )
        yield (
            0 <= self.strength <= 1,
            f"--strength {self.strength:g}: expected 0 (bicubic) to 1 (all of the network's result)",
        )
        yield (
            self.restore == "auto" or 0 <= self.restore <= 1,
            f"--restore {_shown(self.restore)}: expected auto, or 0 (nothing is damaged) to 1 (ruined)",
        )
        yield (
            self.detail == "auto" or 0 <= self.detail <= 1,
            f"--detail {_shown(self.detail)}: expected auto, or 0 (faithful) to 1 (crisp)",
        )
        yield (
            self.deinterlace in {"auto", "on", "bob", "ivtc", "off", "refuse"},
            f"--deinterlace {self.deinterlace}: expected auto, on, bob, ivtc, off or refuse",
        )
        yield (
            self.workers is None or self.workers >= 1,
            f"--workers {self.workers}: expected at least 1",
        )
        for name in ("gpus_per_worker", "cpus_per_worker"):
            value = getattr(self, name)
            yield (
                value is None or (value > 0 and math.isfinite(value)),
                f"--{name.replace('_', '-')} {value}: expected a positive number",
            )
        yield (
            self.cluster is not None or (self.gpus_per_worker in {None, 1} and self.cpus_per_worker is None),
            f"{both} are of a cluster; give --cluster, too, or leave them out",
        )

    @property
    def seconds(self) -> tuple[Fraction, Fraction | None] | None:
        """`range` in seconds; no end: to the end of the video."""
        return None if self.range is None else parse_range(self.range)

    @property
    def frame_rate(self) -> Fraction | None:
        """`rate` as a number."""
        return None if self.rate is None else parse_frame_rate(self.rate)

    @property
    def tile_px(self) -> tuple[int, int] | None:
        """`tile` as (height, width)."""
        return None if self.tile is None else parse_tile(self.tile)

    @property
    def prefilters(self) -> tuple[str, ...]:
        """The names in `prefilter`, in order."""
        return prefilter_names(self.prefilter or "")

    @property
    def alone(self) -> RunSettings:
        """The same settings with one worker and without a cluster."""
        return dataclasses.replace(self, cluster=None, workers=1, gpus_per_worker=None, cpus_per_worker=None)

    @property
    def execution(self) -> ExecutionSettings:
        """The settings that open workers."""
        names = [f.name for f in dataclasses.fields(ExecutionSettings)]
        return ExecutionSettings(**{name: getattr(self, name) for name in names})


def detail_at(level: float, wanted: float | Literal["auto"]) -> float:
    """Return how crisp a network is at a restoration level.

    wanted: a fixed value, or "auto". The latter is 0.75, and less towards level 0, because crisp weights
    restore detail that an encoder removed, and a clean source has lost none.
    """
    return round(_DETAIL * min(1.0, level / _CRISP_FROM_LEVEL), 4) if wanted == "auto" else wanted


def _shown(value: float | Literal["auto"]) -> str:
    return value if isinstance(value, str) else f"{value:g}"


_DETAIL, _CRISP_FROM_LEVEL = 0.75, 0.4
"""The usual detail, and the lowest level with all of it."""

_WORDS: dict[str, tuple[str, ...]] = {
    "device": DEVICES,
    "precision": PRECISIONS,
    "on_corrupt": ("fail", "conceal"),
    "verify": ("seams", "full"),
    "dynamic_hdr": ("keep", "drop"),
    "chroma": ("network", "classical"),
    "field_order": ("auto", "tff", "bff", "progressive"),
}
"""Settings that are one of a few words."""
