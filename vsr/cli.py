"""The command line: each command a few lines over one library call, and the one place where an error becomes an exit code."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli_machine import doctor, show_version
from vsr.cli_training import add_model, dataset, evaluate, models_table, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.shell_completion import CompletionItem

__all__ = ["cli", "main"]

_VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".ts",
        ".m2ts",
        ".mts",
        ".mpg",
        ".mpeg",
        ".vob",
        ".wmv",
        ".flv",
        ".ogv",
        ".mxf",
        ".3gp",
        ".h264",
        ".264",
        ".hevc",
        ".265",
        ".ivf",
        ".obu",
        ".y4m",
        ".nut",
        ".gif",
    ]
)


class _Group(click.Group):
    """Commands in the order they are written down; a slip of the pen is met with the nearest one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As defined."""
        del ctx
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; newer versions of it have the hint by themselves."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, self.commands, n=1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=show_version, help="Show the version, and those of the libraries."
)
def cli() -> None:
    """Upscale video: every frame once with its exact timestamp, in the right colour, all tracks kept.

    \b
    vsr run film.mp4                      to 4K HEVC beside the input
    vsr run film.mp4 --to 8k -o big.mkv
    vsr run folder/ -o results/           every video in it

    \b
    Exit codes: 0 done, 1 a bug of ours, 2 wrong usage, 3 unusable input, 4 corrupt input, 5 disk, 6 resources,
    7 verification failed, 8 some of several inputs failed, 130/143 interrupted (the same command resumes).
    """


def _models_and_files(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What a shell offers behind --model."""
    del ctx, parameter
    from click.shell_completion import CompletionItem

    from models.catalog import cards

    names = sorted({n for card in cards() for n in (card.name, card.family) if n.startswith(begun)})
    return [*map(CompletionItem, names), CompletionItem(begun, type="file")]


def _run_options(command: Callable[..., Any], *, one_model: bool = True) -> Callable[..., Any]:
    """What shapes the result; shared by `run`, `plan`, `bench` and `preview`, which names its models itself."""
    model = click.option(
        "--model",
        metavar="NAME|FILE",
        shell_complete=_models_and_files,
        help="A name of `vsr models`, a weights file, or several joined by commas.",
    )
    options = [
        click.option("-o", "--output", type=click.Path(path_type=Path), help="File or folder; without it, beside the input as NAME.2160p.EXT."),
        click.option("--to", metavar="SIZE", help="4k, 8k, 1440p, 1080p or WxH: a box that turns for portrait. Default: 4k up to 1080p, else 8k."),
        click.option("--scale", type=int, metavar="N", help="Factor on both sides, instead of --to."),
        click.option("--square-pixels", is_flag=True, default=None, help="Bake an anamorphic picture's shape into its pixels."),
        click.option("--crop-bars", is_flag=True, default=None, help="Cut black bars off that stand all through the film."),
        *([model] if one_model else []),
        click.option("--codec", type=click.Choice(["hevc", "h264", "av1", "prores", "ffv1"]), help="Default: hevc."),
        click.option("--crf", type=float, help="Constant quality, in the encoder's own scale."),
        click.option("--preset", help="draft, balanced (default), archive, or the encoder's own."),
        click.option("--encoder-option", "encoder_options", multiple=True, metavar="KEY=VALUE", help="The encoder's own option; may be repeated."),
        click.option("--pixel-format", metavar="NAME", help="FFmpeg's name, such as yuv420p10le; default: the source's."),
        click.option("--range", metavar="FROM-TO", help="Only a part, in seconds or [hh:]mm:ss[.fff]."),
        click.option("--rate", metavar="FPS", help="Of numbered pictures (frame_%05d.png): 24 (default), 23.976, 24000/1001."),
        click.option("--video-stream", type=int, metavar="N", help="Which of several films, from 0."),
        click.option("--chunk-seconds", type=float, metavar="S", help="Length of the parts that are kept and resumed one by one; default 6."),
        click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where networks run."),
        click.option("--on-corrupt", type=click.Choice(["fail", "conceal"]), help="What to do with damaged frames; default: fail."),
        click.option(
            "--deinterlace",
            type=click.Choice(["auto", "bob", "off", "refuse"]),
            help="Interlaced video: at frame rate (auto), at field rate (bob), as it is, or not at all.",
        ),
        click.option("--prefilter", type=click.Choice(["denoise", "deblock"]), help="FFmpeg's filters first, for noisy or blocky sources."),
        click.option("--strength", type=float, metavar="0..1", help="Between the classical result (0) and the networks' (1, default)."),
        click.option("--drop-incompatible", is_flag=True, default=None, help="Leave out tracks the output container can't hold."),
        click.option("--config", type=click.Path(path_type=Path), help="Settings from a TOML file; options here go before it."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@_run_options
@click.option("--workers", type=int, metavar="N", help="At most so many workers; default: one a CUDA device, else one.")
@click.option("--cluster", metavar="ADDRESS", help="Work on a Ray cluster: local[:N], auto, or HOST:PORT.")
@click.option("--gpus-per-worker", type=float, metavar="N", help="Of a cluster, such as 0.5 for two workers a GPU; default: 1.")
@click.option("--cpus-per-worker", type=float, metavar="N", help="Of a cluster; default: what there is, shared out.")
@click.option("--mixed-hardware", is_flag=True, default=None, help="Let unlike workers take part; bytes then depend on who made what.")
@click.option("--verify", type=click.Choice(["seams", "full"]), help="Decode the result around seams (default), or all of it.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is there; resumable work is kept.")
@click.option("--fresh", is_flag=True, help="Throw away earlier work and results, and begin anew.")
@click.option("-q", "--quiet", is_flag=True, help="Only errors.")
def run(inputs: tuple[Path, ...], output: Path | None, as_json: bool, overwrite: bool, fresh: bool, quiet: bool, **options: Any) -> None:
    """Upscale videos, pictures or folders of them.

    \b
    Example: vsr run film.mp4 --to 4k --codec h264 --crf 16
    Interrupted, the same command goes on where it was.
    """
    from models.errors import UsageError, VsrError
    from pipelines.batch import upscale_videos
    from vsr.progress import Bar, JsonLines
    from vsr.signals import Signals

    settings = _settings(options)
    files = list(_files(inputs))
    several = len(files) > 1
    if several and output is not None and not output.is_dir():
        if output.suffix:
            raise UsageError(f"{output}: several inputs need a folder as -o")
        output.mkdir(parents=True, exist_ok=True)
    views: dict[Path, Bar | JsonLines] = {}
    failed: list[VsrError] = []
    with Signals("stopping after the chunk under way") as signals:
        try:
            for file, event in upscale_videos(files, output, settings, overwrite=overwrite, fresh=fresh, stop=signals.stop):
                if file not in views:
                    views[file] = JsonLines(label=str(file) if several else "") if as_json else Bar(quiet=quiet, label=file.name if several else "")
                if not isinstance(event, VsrError):
                    views[file].show(event)
                    continue
                views[file].close()
                if not several or signals.stop.is_set():
                    raise signals.translated(event)
                failed.append(event)
                _report(event, as_json=as_json)
        finally:
            for view in views.values():
                view.close()
    if failed:
        if not as_json:
            click.echo(f"{len(files) - len(failed)} of {len(files)} done, {len(failed)} failed", err=True)
        sys.exit(8)


def _settings(options: dict[str, Any]) -> Any:
    from models.errors import UsageError
    from vsr.api import run_settings

    pairs = options.pop("encoder_options", ())
    bad = [p for p in pairs if "=" not in p]
    if bad:
        raise UsageError(f"--encoder-option {bad[0]}: expected KEY=VALUE")
    own = dict(p.split("=", 1) for p in pairs)
    return run_settings(encoder_options=own or None, **options)


def _files(inputs: tuple[Path, ...]) -> Iterator[Path]:
    """Files as given; folders as the videos in them, by name."""
    from models.errors import MediaError

    for path in inputs:
        if not path.is_dir():
            yield path
            continue
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in _VIDEO_SUFFIXES and p.is_file() and not p.name.startswith("."))
        if not found:
            raise MediaError(f"{path}: no video in this folder")
        yield from found


@cli.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="INPUT")
@_run_options
@click.option("--measure", is_flag=True, help="Try each stage on a few frames, and foretell how long the run will take.")
def plan(source: Path, output: Path | None, as_json: bool, measure: bool, **options: Any) -> None:
    """Show what `run` would do, without doing it.

    Example: vsr plan film.mp4 --to 8k --measure
    """
    from pipelines.request import plan_video
    from vsr.progress import JsonLines, duration, plan_line, plan_table

    settings = _settings(options)
    planned, _ = plan_video(source, output, settings)
    seconds = None
    if measure:
        from pipelines.bench import foretold, measure_stages
        from pipelines.spans import cuda_devices

        seconds = foretold(planned, measure_stages(planned, settings), len(cuda_devices()))
    if as_json:
        JsonLines().write("plan", {**plan_table(planned), **({} if seconds is None else {"estimated_seconds": round(seconds, 1)})})
        return
    click.echo(plan_line(planned))
    click.echo(f"  output: {planned.output}")
    if seconds is not None:
        click.echo(f"  about {duration(seconds)}, {planned.plan.frame_count / seconds:.2f} fps")
    for text in (*planned.info.notes, *(f"left out: {d}" for d in planned.dropped)):
        click.echo(f"  {text}")


@cli.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="INPUT")
@click.option("--at", multiple=True, metavar="TIME", help="A moment, in seconds or [hh:]mm:ss[.fff]; may be repeated.")
@click.option("--shots", type=click.IntRange(1, 100), default=3, show_default=True, help="Without --at: so many moments, all over the film.")
@click.option("--models", metavar="NAME|FILE,...", help="What is compared, joined by commas; default: lanczos and the default network.")
@functools.partial(_run_options, one_model=False)
def preview(source: Path, output: Path | None, at: tuple[str, ...], shots: int, models: str | None, as_json: bool, **options: Any) -> None:
    """Show a few moments of a film through several networks, and what each would take for all of it.

    Writes PNG crops at pixel size and index.html, a page with sliders that needs nothing else, into a folder: -o, or NAME.preview
    beside the input.

    Example: vsr preview film.mp4 --at 12:30 --models lanczos,fast,other.pth
    """
    from pipelines.journal import write_atomically
    from pipelines.preview import Moment
    from pipelines.preview import preview as show
    from vsr.preview_page import page, preview_table, preview_text
    from vsr.progress import JsonLines, duration

    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    for event in show(source, output, _settings(options), models=names, at=at, shots=shots):
        if isinstance(event, Moment):
            click.echo(f"{duration(event.seconds)} into the film: {event.files[-1]}", err=True)
            continue
        path = Path(event.folder) / "index.html"
        write_atomically(path, page(event).encode())
        if as_json:
            JsonLines().write("preview", {**preview_table(event), "page": str(path)})
        else:
            click.echo(preview_text(event))
            click.echo(f"look at them: {path}")


@cli.command()
@click.argument("source", required=False, type=click.Path(path_type=Path), metavar="[INPUT]")
@_run_options
@click.option("--seconds", type=click.FloatRange(0.5), default=6.0, show_default=True, help="Of the video; --range says which.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Of the whole run; the median counts.")
@click.option("--timeline", type=click.Path(path_type=Path), metavar="FILE", help="A picture of what waited for what, as PNG.")
def bench(source: Path | None, output: Path | None, as_json: bool, seconds: float, repeats: int, timeline: Path | None, **options: Any) -> None:
    """Measure a run here: each stage alone, the bound that follows, the run itself. Without INPUT, on a 1080p clip made by code.

    Example: vsr bench film.mp4 --codec h264 --preset superfast
    """
    import json

    from pipelines.bench import Step
    from pipelines.bench import bench as measure
    from vsr.bench_view import bench_text, draw_timeline

    del output
    for event in measure(source, _settings(options), seconds=seconds, repeats=repeats):
        if isinstance(event, Step):
            click.echo(event.text, err=True)
            continue
        click.echo(json.dumps(event.to_json()) if as_json else bench_text(event))
        if timeline is not None:
            draw_timeline(event, timeline)


@cli.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="INPUT")
@click.option("--exact", is_flag=True, help="Decode everything and count, instead of predicting from packets.")
@click.option("--video-stream", type=int, metavar="N", help="Which of several films, from 0.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def probe(source: Path, exact: bool, video_stream: int | None, as_json: bool) -> None:
    """Show what a file holds.

    Example: vsr probe film.mkv --json
    """
    import json

    from pipelines.probe import probe as probe_file
    from pipelines.report import info_table, info_text

    info = probe_file(source, video_stream=video_stream, exact=exact)
    click.echo(json.dumps(info_table(info)) if as_json else info_text(info))


@cli.group(invoke_without_command=True, cls=_Group)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the networks there are: name, scale, parameters, description.

    Example: vsr models
    """
    if ctx.invoked_subcommand is not None:
        return
    import dataclasses
    import json

    from models.catalog import cards, default_model

    best = default_model()
    for card in cards():
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(card)))
            continue
        scale = f"x{card.scale}" if card.scale else "any"
        count = f"{card.parameters / 1e3:.0f} K" if card.parameters else "-"
        mark = "*" if card.family == best else " "
        click.echo(f"{mark} {card.name:<18} {scale:>4} {count:>8}  {card.description}")
    if not as_json:
        click.echo(f"* the default on a CPU: {best}")


@cli.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER...]")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def clean(folders: tuple[Path, ...], yes: bool) -> None:
    """Delete work directories of interrupted runs, and with them what could be resumed.

    Example: vsr clean ~/videos --yes
    """
    from pipelines.journal import Journal
    from pipelines.report import abandoned_work

    found = [(folder, size) for place in folders or (Path(),) for folder, size in abandoned_work(place)]
    for folder, size in found:
        click.echo(f"{folder}  {size / 1e6:.1f} MB")
    if not found:
        click.echo("nothing to delete")
    elif yes or click.confirm(f"Delete {len(found)} work director{'y' if len(found) == 1 else 'ies'}?"):
        for folder, _ in found:
            Journal(folder).remove()


for _command in (doctor, dataset, train, evaluate):
    cli.add_command(_command)
models.add_command(add_model)
models.add_command(models_table)


def _own_packages() -> None:
    """Refuse to run on somebody else's `models` or `pipelines`, whose names are common."""
    home = Path(__file__).resolve().parent.parent
    for name in ("models", "pipelines"):
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if origin is None or origin.parent.parent != home:
            where = origin.parent if origin else "a folder without __init__.py"
            click.echo(f"vsr: the package {name!r} found is not ours but {where}; run from another folder, or rename that one", err=True)
            sys.exit(2)


def _report(error: Exception, *, as_json: bool) -> None:
    text = str(error).replace("\n", " ")
    if as_json:
        from vsr.progress import JsonLines

        JsonLines().write("error", {"kind": type(error).__name__, "exit_code": getattr(error, "exit_code", 1), "message": text})
    click.echo(f"vsr: {text}", err=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every foreseen error becomes one line and its exit code, a bug keeps its traceback."""
    _own_packages()
    from models.errors import VsrError

    given = sys.argv[1:] if arguments is None else arguments
    try:
        cli.main(args=given, prog_name="vsr", standalone_mode=False)
    except VsrError as error:
        _report(error, as_json="--json" in given)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("vsr: stopped; what is done is kept, the same command goes on from there", err=True)
        sys.stderr.flush()
        os._exit(130) if threading.active_count() > 1 else sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
