"""`SettingsForm`: settings of a run over HTTP, and the options of the command they become.

Settings that name files, use other machines, or could make an encoder write files are left out:
`--encoder-option`, `--cluster`, `--workers`, and paths in `--model` and `--config`.
"""

from __future__ import annotations

import difflib
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.catalog.lookup import find_cards, network_names
from models.errors import UsageError
from pipelines.settings.encoder_spec import CONTAINERS, refuse_pair
from vsr.flat_settings import run_settings
from vsr.presets import presets

__all__ = ["SettingsForm", "checked", "to_options", "unknown_setting"]


_WORD = r"^[A-Za-z0-9_-]{1,40}$"


class SettingsForm(BaseModel):
    """Settings named like the options of `vsr run`; omitted ones have the command's defaults."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    config: str | None = Field(
        default=None, pattern=_WORD, description="name of a preset; the other settings override it"
    )
    output: str | None = Field(
        default=None,
        max_length=4096,
        description="ROOT/folder/name.mkv, or a folder; default: next to the film",
    )
    to: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9]{1,20}$", description="4k, 8k, 2160p, 1440p, 1080p, 720p or WxH"
    )
    scale: int | None = Field(default=None, ge=1, le=16, description="integer scale factor, instead of to")
    square_pixels: bool | None = Field(default=None, description="convert anamorphic video to square pixels")
    crop_bars: bool | None = Field(default=None, description="crop black bars present throughout the film")
    model: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.,-]{0,199}$",
        description="name of a network; default: auto",
    )
    codec: Literal["hevc", "h264", "av1", "prores", "ffv1"] | None = None
    encoder: Literal["auto", "software", "nvenc", "qsv", "amf", "videotoolbox"] | None = None
    crf: float | None = Field(
        default=None,
        description="constant quality, on the CRF scale of the codec's software encoder",
    )
    target_size: str | None = Field(
        default=None,
        pattern=r"^[0-9A-Za-z.]{1,20}$",
        description="target size of the output, such as 8GB, instead of crf",
    )
    target_vmaf: float | None = Field(default=None, gt=0, lt=100, description="target VMAF, instead of crf")
    preset: str | None = Field(
        default=None, pattern=_WORD, description="draft, balanced, archive, or a preset of the encoder"
    )
    pixel_format: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]{1,40}$",
        description="FFmpeg's name of the pixel format; default: the source's",
    )
    range: str | None = Field(
        default=None,
        max_length=60,
        pattern=r"^[0-9:.]*-[0-9:.]*$",
        description="process only a part: FROM-TO, in seconds or hh:mm:ss",
    )
    rate: str | None = Field(
        default=None, max_length=40, pattern=r"^[0-9./]+$", description="frame rate of image sequences"
    )
    video_stream: int | None = Field(
        default=None, ge=0, le=1000, description="index of the video stream, from 0"
    )
    chunk_seconds: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="length of chunks in seconds; a run resumes after the last finished chunk",
    )
    tile: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,6}x[0-9]{1,6}$",
        description="tile size of networks: WxH",
    )
    device: Literal["auto", "cpu", "cuda", "xpu", "mps"] | None = None
    precision: Literal["auto", "int8", "bf16", "fp16", "fp32"] | None = None
    on_corrupt: Literal["fail", "conceal"] | None = Field(
        default=None, description="what to do with damaged frames"
    )
    deinterlace: Literal["auto", "on", "bob", "ivtc", "off", "refuse"] | None = None
    field_order: Literal["auto", "tff", "bff", "progressive"] | None = None
    prefilter: str | None = Field(
        default=None,
        pattern=r"^[a-z]{1,20}(,[a-z]{1,20}){0,9}$",
        description="filters before the networks, in order, such as deblock,deband",
    )
    keep_grain: bool | None = Field(
        default=None,
        description="remove film grain before the networks, and synthesise the same amount in the output",
    )
    strength: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="blend of the classical filter's output (0) and the network's (1)",
    )
    restore: Literal["auto"] | float | None = Field(
        default=None, description="how much degradation to remove: auto, or 0 to 1"
    )
    detail: Literal["auto"] | Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="auto, or from faithful (0) to crisp (1)"
    )
    commercial: bool | None = Field(
        default=None, description="refuse networks with a licence that forbids commercial use"
    )
    dynamic_hdr: Literal["keep", "drop"] | None = None
    convert_subtitles: bool | None = Field(
        default=None,
        description="convert text subtitles that the output container can't hold; formatting is lost",
    )
    chroma: Literal["network", "classical"] | None = None
    drop_incompatible: bool | None = Field(
        default=None, description="leave out tracks that the output container can't hold"
    )
    verify: Literal["seams", "full"] | None = Field(
        default=None, description="decode the output around chunk boundaries (seams), or all of it (full)"
    )
    overwrite: bool | None = Field(
        default=None, description="replace an existing output; finished chunks are kept"
    )

    def table(self) -> dict[str, Any]:
        """The given settings."""
        return self.model_dump(exclude_none=True)


_OF_THE_RUN = ("output", "overwrite")
"""Fields that are not settings of the plan."""
_NOT_OVER_HTTP = frozenset(
    {"encoder_option", "encoder_options", "cluster", "workers", "gpus_per_worker", "cpus_per_worker"}
    | {"mixed_hardware", "output_template"}
)
"""Settings that name files, run elsewhere, or pass options of an encoder that may write files."""
_ONLY_RUN = ("verify", "overwrite")
"""Options that only `vsr run` has."""


def checked(form: SettingsForm) -> dict[str, Any]:
    """The settings as a table. Raises UsageError if the command would refuse them for any film."""
    table = form.table()
    if form.config is not None and form.config not in {p.name for p in presets()}:
        raise UsageError(
            f"--config {form.config}: there is no such preset; expected one of"
            f" {', '.join(p.name for p in presets())}"
        )
    settings = run_settings(**{key: value for key, value in table.items() if key not in _OF_THE_RUN})
    suffix = PurePath(form.output or "").suffix.lower()
    if suffix in CONTAINERS:
        refuse_pair(settings.encode.codec, CONTAINERS[suffix])
    for name in network_names(form.model or "auto"):
        if name != "auto":
            find_cards(name)
    return table


def unknown_setting(name: str) -> str:
    """Why a request can't have a setting of this name, and what to do."""
    word = name.replace("-", "_")
    if word in _NOT_OVER_HTTP:
        return "not accepted over HTTP; give it to `vsr run`"
    near = difflib.get_close_matches(word, SettingsForm.model_fields, n=1)
    return f"no such setting{f'; did you mean {near[0]}?' if near else ''}; /openapi.json lists them"


def to_options(table: dict[str, Any], *, of_run: bool = True, without: tuple[str, ...] = ()) -> list[str]:
    """Arguments of the command for these settings, without the output.

    of_run: for `vsr run`, else for `vsr plan` and `vsr preview`.
    """
    options = []
    left_out = {"output", *without, *(() if of_run else _ONLY_RUN)}
    for name, value in table.items():
        option = "--" + name.replace("_", "-")
        if name in left_out or value is False:
            continue
        options.append(option if value is True else f"{option}={value}")
    return options
