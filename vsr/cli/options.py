"""Options shared by several commands, and how settings are read from them."""

from __future__ import annotations

import operator
import tomllib
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.option_types import Amount, CodecName, Factor, FilePath, RestorationLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from pipelines.settings.run_settings import RunSettings
    from vsr.cli.signals import Signals

__all__ = [
    "read_options",
    "run_options",
    "settings_of",
    "show_events",
]


def _models_and_files(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completions for --model."""
    del ctx, parameter
    from click.shell_completion import CompletionItem

    from models.catalog.lookup import cards

    names = sorted({n for card in cards() for n in (card.name, card.family) if n.startswith(begun)})
    return [*map(CompletionItem, names), CompletionItem(begun, type="file")]


def _presets_and_files(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completions for --config."""
    del ctx, parameter
    from click.shell_completion import CompletionItem

    from vsr.presets import presets

    return [
        *(CompletionItem(p.name) for p in presets() if p.name.startswith(begun)),
        CompletionItem(begun, type="file"),
    ]


def run_options(
    command: Callable[..., Any],
    *,
    one_model: bool = True,
    place: click.Path | None = None,
    output: str = "Output file or folder; default: next to the input, such as film.2160p.mp4 for 2160 lines.",
) -> Callable[..., Any]:
    """Add the options that affect the output; shared by `run`, `plan`, `bench` and `preview`.

    one_model: whether to add --model; `preview` has --models instead.
    output: help text of -o.
    """
    model = click.option(
        "--model",
        metavar="NAME|FILE",
        shell_complete=_models_and_files,
        help=(
            "Name from `vsr models`, or a weights file; to run several one after another, separate them "
            "by commas."
        ),
    )
    options = [
        click.option(
            "-o",
            "--output",
            type=place or FilePath(),
            help=output,
        ),
        click.option(
            "--to",
            metavar="SIZE",
            help=(
                "Maximum size, with width and height swapped for portrait video: 4k, 8k, 2160p, "
                "1440p, 1080p, 720p or WxH. Default: 4k for inputs up to 1080p, else 8k."
            ),
        ),
        click.option("--scale", type=Factor(), metavar="N", help="Integer scale factor, instead of --to."),
        click.option(
            "--square-pixels",
            is_flag=True,
            default=None,
            help="Convert anamorphic video to square pixels.",
        ),
        click.option(
            "--crop-bars", is_flag=True, default=None, help="Crop black bars present throughout the film."
        ),
        *([model] if one_model else []),
        click.option("--codec", type=CodecName(), help="Video codec; default: hevc (alias x265)."),
        click.option(
            "--encoder",
            type=click.Choice(["auto", "software", "nvenc", "qsv", "amf", "videotoolbox"]),
            help=(
                "Software encoder, or hardware encoder of a GPU. Default: auto, which uses a hardware "
                "encoder only if networks run on that GPU and the encoder passes a self-test."
            ),
        ),
        click.option(
            "--crf", type=Amount(), help="Constant quality, on the CRF scale of the codec's software encoder."
        ),
        click.option(
            "--target-size",
            metavar="SIZE",
            help="Target size of the output, such as 8GB, instead of --crf; the CRF is found from samples.",
        ),
        click.option(
            "--target-vmaf",
            type=Amount(is_positive=True),
            metavar="V",
            help=(
                "Target VMAF, such as 95, instead of --crf; measured against the upscaled frames before"
                " encoding."
            ),
        ),
        click.option(
            "--preset", help="draft, balanced (default), archive, or a preset of the encoder, such as slow."
        ),
        click.option(
            "--encoder-option",
            "encoder_options",
            multiple=True,
            metavar="KEY=VALUE",
            help="Pass an option to the encoder; may be repeated.",
        ),
        click.option(
            "--pixel-format",
            metavar="NAME",
            help="Pixel format as named by FFmpeg, such as yuv420p10le; default: the source's.",
        ),
        click.option(
            "--range", metavar="FROM-TO", help="Process only a part, in seconds or [hh:]mm:ss[.fff]."
        ),
        click.option(
            "--rate",
            metavar="FPS",
            help="Frame rate of image sequences (frame_%05d.png), such as 23.976 or 24000/1001; default: 24.",
        ),
        click.option("--video-stream", type=int, metavar="N", help="Index of the video stream, from 0."),
        click.option(
            "--chunk-seconds",
            type=Amount("s"),
            metavar="S",
            help=(
                "Length of chunks in seconds; a run resumes after the last finished chunk. Default: 6; the"
                " first chunks are shorter."
            ),
        ),
        click.option(
            "--tile",
            metavar="WxH",
            help="Tile size of networks; smaller tiles, such as 480x272, use less memory.",
        ),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda", "xpu", "mps"]),
            help="Device of networks: cuda is NVIDIA or AMD, xpu Intel, mps Apple.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["auto", "int8", "bf16", "fp16", "fp32"]),
            help=(
                "Numeric precision of networks; default: auto, chosen for device and network. int8 needs a"
                " CPU with VNNI or AMX, and gives the same bytes on all of them."
            ),
        ),
        click.option(
            "--on-corrupt",
            type=click.Choice(["fail", "conceal"]),
            help="Damaged frames: stop with an error (fail, default), or conceal them.",
        ),
        click.option(
            "--deinterlace",
            type=click.Choice(["auto", "on", "bob", "ivtc", "off", "refuse"]),
            help=(
                "auto (default): deinterlace at frame rate if interlacing is detected, or "
                "apply inverse telecine if the whole video is telecined. on: always "
                "deinterlace. bob: at field rate. ivtc: inverse telecine. off: leave fields "
                "as they are. refuse: exit with an error if the video is interlaced."
            ),
        ),
        click.option(
            "--field-order",
            type=click.Choice(["auto", "tff", "bff", "progressive"]),
            help=(
                "Interlacing of the video, if detection (auto, default) errs: top field first, bottom field"
                " first, or progressive."
            ),
        ),
        click.option(
            "--prefilter",
            metavar="NAME,...",
            help=(
                "Filters applied before the networks, in the order given: denoise, deblock, deband, dehalo,"
                " decomb; or none."
            ),
        ),
        click.option(
            "--keep-grain",
            is_flag=True,
            default=None,
            help="Remove film grain before upscaling, and synthesise the same amount in the output.",
        ),
        click.option(
            "--strength",
            type=Amount(is_share=True),
            metavar="0..1",
            help="Blend of a bicubic upscale (0) and the network's output (1, default).",
        ),
        click.option(
            "--restore",
            type=RestorationLevel(),
            metavar="auto|0..1",
            help="How much degradation to remove, 0 to 1; default: auto, estimated from the film.",
        ),
        click.option(
            "--detail",
            type=RestorationLevel(),
            metavar="auto|0..1",
            help="From faithful (0) to crisp (1), for networks that have both; default: auto, at most 0.75.",
        ),
        click.option(
            "--convert-subtitles",
            is_flag=True,
            default=None,
            help=(
                "Convert text subtitles that the output container can't hold to a text format it "
                "supports; formatting is lost."
            ),
        ),
        click.option(
            "--chroma",
            type=click.Choice(["network", "classical"]),
            help=(
                "How to upscale the chroma of 4:4:4 and RGB: by networks (default; up to 3 times "
                "the compute) or by a classical filter."
            ),
        ),
        click.option(
            "--dynamic-hdr",
            type=click.Choice(["keep", "drop"]),
            help="HDR10+ and Dolby Vision metadata; default: keep, if the output supports it.",
        ),
        click.option(
            "--drop-incompatible",
            is_flag=True,
            default=None,
            help="Leave out tracks that the output container can't hold.",
        ),
        click.option(
            "--config",
            metavar="NAME|FILE",
            shell_complete=_presets_and_files,
            help="Name from `vsr presets`, or a TOML file of settings; command-line options override it.",
        ),
        click.option(
            "--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> RunSettings:
    """Settings of the options, on top of those of --config. Raises UsageError."""
    from models.errors import UsageError
    from vsr.api import run_settings

    pairs = options.pop("encoder_options", ())
    bad = [p for p in pairs if "=" not in p]
    if bad:
        raise UsageError(f"--encoder-option {bad[0]}: expected KEY=VALUE")
    _refuse_settings_file(options.get("preset"))
    own = dict(p.split("=", 1) for p in pairs)
    settings = run_settings(encoder_options=own or None, **options)
    for name in ("restore", "detail"):
        if options.get(name) not in {None, "auto"}:
            _refuse_without_effect(name, settings)
    return settings


def _refuse_settings_file(preset: str | None) -> None:
    """Raise UsageError if --preset names a settings file that comes with vsr, and no preset of an encoder."""
    from models.errors import UsageError
    from pipelines.settings.encoder_spec import PRESETS
    from vsr.presets import presets

    if preset and preset not in PRESETS and any(p.name == preset for p in presets()):
        raise UsageError(
            f"--preset {preset}: is a settings file, and those are given by --config; give --config {preset}"
        )


def _refuse_without_effect(name: str, settings: RunSettings) -> None:
    """Raise UsageError for --restore or --detail if the named networks have no such level.

    Files and networks that are not installed are left to the planner.
    """
    from models.catalog.lookup import cards
    from models.errors import UsageError

    has, known = operator.attrgetter({"restore": "restores", "detail": "crisp"}[name]), cards()
    chosen = [
        [c for c in known if model.strip() in {c.name, c.family}] for model in settings.model.split(",")
    ]
    if not all(chosen) or any(has(card) for choice in chosen for card in choice):
        return
    families = " or ".join(dict.fromkeys(c.family for c in known if has(c)))
    raise UsageError(
        f"--{name} {getattr(settings, name):g}: --model {settings.model} has no such level; give --model"
        f" {families}, or leave --{name} out"
    )


def read_options(kind: type[Any], config: Path | None, changes: tuple[str, ...]) -> Any:
    """Settings of a file, with some keys changed; values are TOML, or plain text."""
    from models.errors import UsageError
    from pipelines.settings.settings_file import build_settings, merge, read_settings

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


def show_events(
    events: Iterable[Any], *, as_json: bool, signals: Signals | None = None, advises: bool = True
) -> None:
    """Show events as they arrive. advises: of a `TerminalView`."""
    from models.errors import Interrupted
    from vsr.views.training_view import JsonView, TerminalView

    view: Any = JsonView() if as_json else TerminalView(advises=advises)
    try:
        for event in events:
            view.show(event)
    except Interrupted as error:
        raise (signals.translated(error) if signals is not None else error) from error
    finally:
        view.close()
