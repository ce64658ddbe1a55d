"""The command line: each command a few lines over one library call, and the one place where an error becomes an exit code."""

from __future__ import annotations

import difflib
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from vsr.cli_compare import compare
from vsr.cli_machine import doctor, show_version
from vsr.cli_options import run_options, settings_of
from vsr.cli_preview import preview
from vsr.cli_run import plan, presets, report_error, run
from vsr.cli_training import add_model, dataset, evaluate, export, models_table, train

__all__ = ["cli", "main"]


class _Group(click.Group):
    """Commands in the order they are written down; a slip of the pen is met with the nearest one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As defined."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Whole first sentences, where click cuts them off."""
        del ctx
        rows = [(name, command.get_short_help_str(limit=1000)) for name, command in self.commands.items() if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

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


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path), metavar="[INPUT]")
@run_options
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
    from pipelines.naming import refuse_input
    from vsr.bench_view import bench_text, draw_timeline

    refuse_input("--timeline", timeline, (source,))
    del output
    for event in measure(source, settings_of(options), seconds=seconds, repeats=repeats):
        if isinstance(event, Step):
            click.echo(event.text, err=True)
            continue
        click.echo(json.dumps(event.to_json()) if as_json else bench_text(event))
        if timeline is not None:
            draw_timeline(event, timeline)


@click.command()
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


@click.group(invoke_without_command=True, cls=_Group)
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
        click.echo(f"* the default on a CPU; on a GPU it is {default_model(on_gpu=True)}")


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER...]")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def clean(folders: tuple[Path, ...], yes: bool) -> None:
    """Delete work directories of interrupted runs, and with them what could be resumed.

    Example: vsr clean ~/videos --yes
    """
    from models.errors import VsrError
    from pipelines.journal import Journal
    from pipelines.report import abandoned_work

    found = [(folder, size) for place in folders or (Path(),) for folder, size in abandoned_work(place)]
    for folder, size in found:
        click.echo(f"{folder}  {size / 1e6:.1f} MB")
    if not found:
        click.echo("nothing to delete")
    elif yes or click.confirm(f"Delete {len(found)} work director{'y' if len(found) == 1 else 'ies'}?"):
        for folder, _ in found:
            try:
                Journal(folder).remove()
            except VsrError as error:  # of a run that goes on, a link by now, a disk that can't be written to
                click.echo(f"{str(error).partition(';')[0]}; left")
                continue
            if folder.exists():
                click.echo(f"{folder}: holds what no run has made; that is left")


for _command in (run, plan, preview, compare, presets, bench, probe, models, clean, doctor, dataset, train, evaluate, export):
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


def _output_fails() -> bool:
    """Whether standard output takes no more."""
    try:
        sys.stdout.write(" ")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _refuse_known_holes() -> None:
    """Refuse an FFmpeg with known holes, through which a film could take over; warn of the others, which strangers reach less easily."""
    from pipelines.libraries import outdated

    for library in outdated():
        said = f"{library.name} {library.version} has known holes; install {library.wanted}"
        click.echo(f"vsr: {said}" if library.name == "av" else f"vsr: warning: {said}", err=True)
        if library.name == "av":
            sys.exit(2)


def _loads_weights(given: list[str]) -> bool:
    """Whether the command loads networks, which may be strangers', in this very process; and needs no network for what it does."""
    return given[:1] in (["evaluate"], ["export"], ["dataset"]) and not any(a.startswith("--cluster") for a in given)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every foreseen error becomes one line and its exit code, a bug keeps its traceback."""
    _own_packages()
    from models.confinement import without_network
    from models.errors import VsrError

    given = sys.argv[1:] if arguments is None else arguments
    if "doctor" not in given:
        _refuse_known_holes()
    if arguments is None and _loads_weights(given):  # the process is the command's own
        without_network()
    try:
        cli.main(args=given, prog_name="vsr", standalone_mode=False)
    except VsrError as error:
        report_error(error, as_json="--json" in given)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except SystemExit:
        if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):  # click's sign that whoever read our output has gone
            sys.exit(141)
        raise
    except OSError as error:
        if error.filename is not None or not _output_fails():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would fail again at its end
        click.echo(f"vsr: standard output can't be written to: {error.strerror}; what is done is kept", err=True)
        sys.exit(5)
    except (click.Abort, KeyboardInterrupt):
        click.echo("vsr: stopped; what is done is kept, the same command goes on from there", err=True)
        sys.stderr.flush()
        os._exit(130) if threading.active_count() > 1 else sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
