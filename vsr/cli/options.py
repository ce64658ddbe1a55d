"""Options shared by several commands, and how settings are read from them."""

from __future__ import annotations

import math
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from click.shell_completion import CompletionItem

    from pipelines.plan.settings import RunSettings

__all__ = [
    "FilePath",
    "FiniteRange",
    "PathOrUrl",
    "read_options",
    "run_options",
    "settings_of",
    "show_events",
]


def _models_and_files(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What a shell offers behind --model."""
    del ctx, parameter
    from click.shell_completion import CompletionItem

    from models.catalog.lookup import cards

    names = sorted({n for card in cards() for n in (card.name, card.family) if n.startswith(begun)})
    return [*map(CompletionItem, names), CompletionItem(begun, type="file")]


def _presets_and_files(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What a shell offers behind --config."""
    del ctx, parameter
    from click.shell_completion import CompletionItem

    from vsr.presets import presets

    return [
        *(CompletionItem(p.name) for p in presets() if p.name.startswith(begun)),
        CompletionItem(begun, type="file"),
    ]


class FilePath(click.Path):
    """A path, of a file that may or may not be there."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what no file can be called, and what may not be looked at."""
        from pipelines.plan.output_names import refuse_unreachable

        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        refuse_unreachable(path)
        return path


class PathOrUrl(FilePath):
    """A path, or an address."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """An address stays as it is: a path would fold its slashes."""
        from pipelines.storage.object_store import Url, is_url

        return Url(value) if isinstance(value, str) and is_url(value) else super().convert(value, param, ctx)


class CodecName(click.Choice):  # type: ignore[type-arg]
    """A codec by our name, or by another that it or its encoder goes by."""

    def __init__(self) -> None:
        super().__init__(["hevc", "h264", "av1", "prores", "ffv1"], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`x265` -> `hevc`."""
        from pipelines.plan.settings import CODEC_ALIASES

        return super().convert(CODEC_ALIASES.get(str(value).lower(), value), param, ctx)


class Factor(click.IntRange):
    """A whole factor; `2x` and `x2` mean 2."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`2x` -> 2."""
        text: Any = value.strip().lower().strip("x") if isinstance(value, str) else value
        try:
            return super().convert(text, param, ctx)
        except click.BadParameter:
            self.fail(
                f"{value!r} is no whole factor; --to takes any size, such as --to 1620x1080", param, ctx
            )


class FiniteRange(click.FloatRange):
    """A number within bounds; infinity and "nan" are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what nothing can be counted up to."""
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value!r} is no finite number.", param, ctx)


class RestorationLevel(click.ParamType):  # type: ignore[type-arg]
    """A number, or "auto"."""

    name = "auto|0..1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number as a float."""
        if value == "auto" or isinstance(value, float):
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is no level; expected auto, or 0 to 1", param, ctx)


def run_options(
    command: Callable[..., Any], *, one_model: bool = True, place: click.Path | None = None
) -> Callable[..., Any]:
    """What shapes the result; shared by `run`, `plan`, `bench` and `preview`, which names its models
    itself.
    """
    model = click.option(
        "--model",
        metavar="NAME|FILE",
        shell_complete=_models_and_files,
        help="A name of `vsr models`, a weights file, or several joined by commas.",
    )
    options = [
        click.option(
            "-o",
            "--output",
            type=place or FilePath(),
            help="File or folder; without it, beside the input as NAME.2160p.EXT.",
        ),
        click.option(
            "--to",
            metavar="SIZE",
            help=(
                "4k, 8k, 2160p, 1440p, 1080p, 720p or WxH: a box that turns for portrait. Default: 4k up to"
                " 1080p, else 8k."
            ),
        ),
        click.option("--scale", type=Factor(), metavar="N", help="Factor on both sides, instead of --to."),
        click.option(
            "--square-pixels",
            is_flag=True,
            default=None,
            help="Bake an anamorphic picture's shape into its pixels.",
        ),
        click.option(
            "--crop-bars", is_flag=True, default=None, help="Crop black bars present throughout the film."
        ),
        *([model] if one_model else []),
        click.option("--codec", type=CodecName(), help="Default: hevc."),
        click.option(
            "--encoder",
            type=click.Choice(["auto", "software", "nvenc", "qsv", "amf", "videotoolbox"]),
            help=(
                "Software (the same bytes on any machine), or a GPU's encoder; default: auto, software unless"
                " a GPU's is proven."
            ),
        ),
        click.option(
            "--crf", type=float, help="Constant quality, in the scale of the codec's software encoder."
        ),
        click.option(
            "--target-size",
            metavar="SIZE",
            help="Instead of --crf: of the whole result, such as 8GB; the CRF is found from samples.",
        ),
        click.option(
            "--target-vmaf",
            type=float,
            metavar="V",
            help="Instead of --crf: such as 95, against the frames before they are encoded.",
        ),
        click.option("--preset", help="draft, balanced (default), archive, or the encoder's own."),
        click.option(
            "--encoder-option",
            "encoder_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="The encoder's own option; may be repeated.",
        ),
        click.option(
            "--pixel-format",
            metavar="NAME",
            help="FFmpeg's name, such as yuv420p10le; default: the source's.",
        ),
        click.option("--range", metavar="FROM-TO", help="Only a part, in seconds or [hh:]mm:ss[.fff]."),
        click.option(
            "--rate",
            metavar="FPS",
            help="Of numbered pictures (frame_%05d.png): 24 (default), 23.976, 24000/1001.",
        ),
        click.option("--video-stream", type=int, metavar="N", help="Which of several films, from 0."),
        click.option(
            "--chunk-seconds",
            type=float,
            metavar="S",
            help="Length of the parts that are kept and resumed one by one; default 6.",
        ),
        click.option(
            "--tile",
            metavar="WxH",
            help="Size of the tiles networks work in; smaller ones, such as 480x272, take less memory.",
        ),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda", "xpu", "mps"]),
            help="Where networks run: cuda is NVIDIA or AMD, xpu Intel, mps Apple.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["auto", "int8", "bf16", "fp16", "fp32"]),
            help=(
                "What networks compute in; default: auto, the device's own. int8: on a CPU, with the same"
                " bytes on every one."
            ),
        ),
        click.option(
            "--on-corrupt",
            type=click.Choice(["fail", "conceal"]),
            help="What to do with damaged frames; default: fail.",
        ),
        click.option(
            "--deinterlace",
            type=click.Choice(["auto", "on", "bob", "ivtc", "off", "refuse"]),
            help=(
                "Interlaced video: at frame rate (auto; on: whatever was found), at field rate (bob), film"
                " frames of telecine (ivtc; auto where all of it is film), as it is, or not at all."
            ),
        ),
        click.option(
            "--prefilter",
            metavar="NAME,...",
            help="Clean the source first, in the order given: denoise, deblock, deband, dehalo, decomb.",
        ),
        click.option(
            "--keep-grain",
            is_flag=True,
            default=None,
            help="Remove film grain before the networks, and synthesise as much in the result.",
        ),
        click.option(
            "--strength",
            type=float,
            metavar="0..1",
            help="Between the classical result (0) and the networks' (1, default).",
        ),
        click.option(
            "--restore",
            type=RestorationLevel(),
            help="How much damage to take away, 0 to 1; default: auto, by the film's frames.",
        ),
        click.option(
            "--detail",
            type=float,
            metavar="0..1",
            help="Of networks that have both: faithful (0) to crisp (1); default 0.75.",
        ),
        click.option(
            "--convert-subtitles",
            is_flag=True,
            default=None,
            help="Text subtitles become what the container holds, as plain text.",
        ),
        click.option(
            "--chroma",
            type=click.Choice(["network", "classical"]),
            help="Of 4:4:4 and RGB: by networks (default; up to ×3 the work), or resized.",
        ),
        click.option(
            "--dynamic-hdr",
            type=click.Choice(["keep", "drop"]),
            help="HDR10+ and Dolby Vision metadata; default: keep, where it can be.",
        ),
        click.option(
            "--drop-incompatible",
            is_flag=True,
            default=None,
            help="Leave out tracks the output container can't hold.",
        ),
        click.option(
            "--config",
            metavar="NAME|FILE",
            shell_complete=_presets_and_files,
            help="A name of `vsr presets`, or settings in a TOML file; options given here override it.",
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> RunSettings:
    """What the options say, on top of the file they name. Raises UsageError."""
    from models.errors import UsageError
    from vsr.api import run_settings

    pairs = options.pop("encoder_options", ())
    bad = [p for p in pairs if "=" not in p]
    if bad:
        raise UsageError(f"--encoder-option {bad[0]}: expected KEY=VALUE")
    own = dict(p.split("=", 1) for p in pairs)
    return run_settings(encoder_options=own or None, **options)


def read_options(kind: type[Any], config: Path | None, changes: tuple[str, ...]) -> Any:
    """Settings of a file with single keys changed; values are TOML, or plain text."""
    from models.errors import UsageError
    from pipelines.plan.settings_file import build_settings, merge, read_settings

    overrides: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: expected KEY=VALUE")
        try:
            overrides[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key.strip()] = text.strip()
    if config is None:
        return build_settings(kind, merge({}, overrides), "--set")
    return read_settings(kind, config, overrides)


def show_events(events: Iterable[Any], *, as_json: bool, signals: Signals | None = None) -> None:
    """Draw events as they come."""
    from models.errors import Interrupted
    from vsr.views.training_view import JsonView, TerminalView

    view: Any = JsonView() if as_json else TerminalView()
    try:
        for event in events:
            view.show(event)
    except Interrupted as error:
        raise (signals.translated(error) if signals is not None else error) from error
    finally:
        view.close()
