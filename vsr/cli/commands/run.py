"""`vsr run`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.commands.known_models import download_missing
from vsr.cli.option_types import FilePath, PathOrUrl
from vsr.cli.options import run_options, settings_of
from vsr.cli.terminal import echo
from vsr.views.text import printable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from models.errors import VsrError
    from pipelines.plan.plan import Plan
    from pipelines.run.inputs import Input
    from pipelines.settings.run_settings import RunSettings
    from pipelines.storage.object_store import Url
    from vsr.views.json_lines import JsonLines
    from vsr.views.progress import ProgressView
    from vsr.views.run_summary import Summary

__all__ = ["SOME_FAILED", "draw_view", "output_template", "remote_options", "report_error", "run"]


SOME_FAILED = 8
"""Exit code if some of several inputs failed."""


output_template = click.option(
    "--output-template",
    metavar="NAME",
    help=(
        'File name template of outputs without an explicit name; default: "{stem}.{lines}p{range}{suffix}".'
    ),
)


def remote_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of inputs that are downloaded."""
    staging = click.option(
        "--staging",
        type=FilePath(),
        metavar="FOLDER",
        help="Folder for temporary copies of remote files; default: vsr's cache folder (~/.cache/vsr).",
    )
    allowing = click.option(
        "--allow-url",
        is_flag=True,
        help="Allow s3://, gs:// and https:// inputs, and s3:// and gs:// outputs.",
    )
    return allowing(staging(command))


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=PathOrUrl(), metavar="INPUT...")
@functools.partial(run_options, place=PathOrUrl())
@output_template
@click.option(
    "-r",
    "--recursive",
    is_flag=True,
    help="Include subfolders; the folder given by -o gets the same structure.",
)
@remote_options
@click.option(
    "--summary",
    type=FilePath(),
    metavar="FILE",
    help="Write the status of each input to a .csv or .json file.",
)
@click.option(
    "--workers",
    type=int,
    metavar="N",
    help=(
        "Maximum number of workers. Default: one; with CUDA, one to four per device, depending on"
        " CPU cores (four for each worker) and memory."
    ),
)
@click.option("--cluster", metavar="ADDRESS", help="Use a Ray cluster: local[:N], auto, or HOST:PORT.")
@click.option(
    "--gpus-per-worker",
    type=float,
    metavar="N",
    help=(
        "GPUs for each cluster worker, such as 0.5 for two workers per GPU. Default: 1; with --cluster"
        " local, the available GPUs divided by the number of workers."
    ),
)
@click.option(
    "--cpus-per-worker",
    type=float,
    metavar="N",
    help=(
        "CPU cores for each cluster worker. Default with GPUs: the cores of a machine divided by the number"
        " of workers on its GPUs; without GPUs: all cores of a machine, at most 8; with --cluster local:"
        " the available cores divided by the number of workers."
    ),
)
@click.option(
    "--mixed-hardware",
    is_flag=True,
    default=None,
    help=("Allow workers with different hardware; the bytes then depend on which worker made which chunk."),
)
@click.option(
    "--verify",
    type=click.Choice(["seams", "full"]),
    help="Decode the output around chunk boundaries (seams, default), or all of it (full).",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output; finished chunks are kept.")
@click.option("--fresh", is_flag=True, help="Discard earlier chunks and outputs, and start from scratch.")
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Download networks that --model names, without asking.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print the whole plan, and every finished chunk.")
def run(
    inputs: tuple[Path | Url, ...], output: Path | Url | None, as_json: bool, overwrite: bool, fresh: bool,
    quiet: bool, verbose: bool, recursive: bool, summary: Path | None, allow_url: bool, staging: Path | None,
    yes: bool, **options: Any,
) -> None:  # fmt: skip
    """Upscale videos, images, folders of videos, or files that match a quoted pattern ("shows/**/*.mkv").

    In a folder, finished files and outputs of earlier runs are skipped. Images are skipped if the folder also
    contains videos. If a file fails, the others are still processed; at the end, the command prints a table
    and exits with code 8.

    --output-template may contain {stem}, {suffix}, {width}, {height}, {lines}, {codec}, {model} and {range}.

    \b
    Example: vsr run film.mp4 --to 4k --codec h264 --crf 16
             vsr run holiday/ -o upscaled/ --output-template "{stem}-{lines}p.mkv" --summary upscaled/list.csv
    If interrupted, run the same command again to resume.
    """
    from models.errors import Interrupted
    from pipelines.diagnostics.run_time import expected_rate
    from pipelines.plan.output_names import refuse_place
    from pipelines.run.inputs import find_inputs, image_messages
    from vsr.cli.signals import Signals
    from vsr.views.json_lines import JsonLines
    from vsr.views.run_summary import Summary

    settings = settings_of(options)
    download_missing(settings.model, yes=yes, asks=False if as_json else None)
    found = find_inputs(inputs, output, recursive=recursive, allow_url=allow_url, staging=staging)
    if not quiet and not as_json:
        for text in image_messages(inputs, recursive=recursive):
            echo(text, err=True)
    refuse_place("--summary", summary, [one.path for one in found])
    outcomes = Summary({one.path: one.shown for one in found}, summary)
    several = len(found) > 1
    with Signals("stopping after the current chunk") as signals:
        try:
            draw = functools.partial(
                draw_view,
                as_json=as_json,
                quiet=quiet,
                verbose=verbose,
                stopping=signals.stop.is_set,
                expected=functools.partial(expected_rate, settings.execution),
            )
            tabled = several and not (as_json or quiet)
            failed = _upscale(
                found,
                settings,
                outcomes,
                signals.stop,
                draw,
                as_json=as_json,
                tabled=tabled,
                overwrite=overwrite,
                fresh=fresh,
            )
        finally:
            if several and as_json:
                JsonLines().write("summary", {"files": outcomes.to_json()})
            elif several and not quiet:
                echo(outcomes.text(), err=True)
            outcomes.write()
        if signals.stop.is_set() and not failed and outcomes.unfinished:
            failed.append(
                Interrupted(
                    f"stopped; {outcomes.unfinished} of {len(found)} were not started; run the same"
                    " command again to continue"
                )
            )
        if failed and (not several or signals.stop.is_set()):
            raise signals.translated(failed[-1])
    if failed:
        sys.exit(SOME_FAILED)


def draw_view(
    label: str,
    name: str,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    stopping: Callable[[], bool],
    expected: Callable[[Plan], float | None] = lambda _: None,
) -> ProgressView | JsonLines:
    """Make the view of one video.

    label, name: its name on the bar and in JSON; empty if there is only one video.
    """
    from vsr.views.json_lines import JsonLines
    from vsr.views.progress import ProgressView

    return (
        JsonLines(label=name, expected=expected)
        if as_json
        else ProgressView(quiet=quiet, verbose=verbose, label=label, stopping=stopping, expected=expected)
    )


def _upscale(
    inputs: list[Input],
    settings: RunSettings,
    outcomes: Summary,
    stop: threading.Event,
    draw: Callable[[str, str], ProgressView | JsonLines],
    *,
    as_json: bool,
    tabled: bool,
    **how: bool,
) -> list[VsrError]:
    """Upscale each video; returns the errors of those that failed. tabled: a table at the end lists them.

    Of several videos, those that are as large as the target are skipped.
    """
    from models.errors import Interrupted, NothingToDoError, VsrError
    from pipelines.run.batch import upscale_videos

    several = len(inputs) > 1
    labels = {
        one.path: (f"{n}/{len(inputs)} {one.path.name}", one.shown) if several else ("", "")
        for n, one in enumerate(inputs, start=1)
    }
    views: dict[Path, ProgressView | JsonLines] = {}
    failed: list[VsrError] = []
    try:
        for file, event in upscale_videos(inputs, settings, stop=stop, **how):
            outcomes.add(file, event)
            if file not in views:
                views[file] = draw(*labels[file])
            view = views[file]
            if not isinstance(event, VsrError):
                view.show(event)
                continue
            view.close()
            is_skipped = several and isinstance(event, NothingToDoError)
            if not is_skipped:
                failed.append(event)
            if tabled:
                said = f"{file}: stopped" if isinstance(event, Interrupted) else str(event)
                said = f"{file}: skipped: {said}" if is_skipped else said
                echo(printable(said if str(file) in said else f"{file}: {said}"), err=True)
            elif several and not stop.is_set():
                report_error(event, as_json=as_json)
    finally:
        for view in views.values():
            view.close()
    return failed


def report_error(error: Exception, *, as_json: bool) -> None:
    """Print an error as a line on standard error, and with --json as an object."""
    text = printable(str(error))
    if as_json:
        from vsr.views.json_lines import JsonLines

        JsonLines().write(
            "error",
            {"kind": type(error).__name__, "exit_code": getattr(error, "exit_code", 1), "message": text},
        )
    echo(f"vsr: {text}", err=True)
