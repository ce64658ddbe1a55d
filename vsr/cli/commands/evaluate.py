"""The command `evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.option_types import FilePath, RestorationLevel
from vsr.cli.terminal import echo
from vsr.views.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.plan.events import Note
    from pipelines.quality.evaluation import EvaluationRow, Judged, Judging

__all__ = ["evaluate"]


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=FilePath(),
    help="Folder of images, video, or data set; may be repeated.",
)
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="CASE",
    help=(
        "Degradation: clean, h264-23 (CODEC-QUALITY), noise-10, blur-1.5; may be repeated."
        " Default: clean, and for videos also four codec settings."
    ),
)
@click.option(
    "--scale", type=click.IntRange(1, 16), help="Only this scale; default: all scales of the models."
)
@click.option(
    "--metric",
    "names",
    multiple=True,
    type=click.Choice(
        [
            "psnr",
            "ssim",
            "flicker",
            "niqe",
            "energy",
            "vmaf",
            "vmaf-neg",
            "deep-distance",
            "lpips",
            "dists",
            "cvvdp",
        ]
    ),
    help=(
        "Default: psnr and ssim for images; psnr, vmaf-neg, flicker and, if installed, deep-"
        " distance for videos."
    ),
)
@click.option(
    "--niqe-model", default="", metavar="FILE", help="BasicSR's niqe_pris_params.npz, for --metric niqe."
)
@click.option(
    "--lpips-weights",
    multiple=True,
    metavar="FILE",
    help="For --metric lpips; give it twice: the authors' linear heads, and torchvision's AlexNet or VGG16.",
)
@click.option(
    "--dists-weights",
    multiple=True,
    metavar="FILE",
    help="For --metric dists; give it twice: the authors' weights.pt, and torchvision's VGG16.",
)
@click.option(
    "--frames",
    type=click.IntRange(1),
    default=48,
    show_default=True,
    help="Maximum number of frames of a video.",
)
@click.option("--range", metavar="FROM-TO", help="Only this part of a video, in seconds or [hh:]mm:ss[.fff].")
@click.option(
    "--limit", type=click.IntRange(0), default=0, help="Maximum number of images of a folder; 0: all."
)
@click.option(
    "--restore",
    type=RestorationLevel(),
    default="auto",
    help="Restoration level, for networks that take one; default: auto, as in a run.",
)
@click.option(
    "--detail",
    type=click.FloatRange(0, 1),
    metavar="0..1",
    help="From faithful (0) to crisp (1); default: as in a run.",
)
@click.option("--bf16", is_flag=True, help="Run networks in bf16, as on a CPU with AMX.")
@click.option(
    "--strips",
    default="",
    metavar="DIR",
    help="Write images to this folder: input, Lanczos, model, ground truth.",
)
@click.option(
    "--grid",
    is_flag=True,
    help=(
        "Also print a second table for the first metric, with a row for each data set and model and a"
        " column for each case."
    ),
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["terminal", "markdown", "json"]),
    default="terminal",
    show_default=True,
    help="Format of the table.",
)
def evaluate(
    models: tuple[str, ...],
    data: tuple[Path, ...],
    cases: tuple[str, ...],
    scale: int | None,
    names: tuple[str, ...],
    grid: bool,
    style: str,
    **options: Any,
) -> None:
    """Score networks on images, videos or data sets, with bicubic and Lanczos as baselines.

    \b
    Example: vsr evaluate fast-x2 --data Set5 --data Urban100 --format markdown
             vsr evaluate fast quality --scale 2 --data a.mp4 --case clean --case h264-23 --metric vmaf --grid
    """
    from models.errors import UsageError
    from pipelines.quality.evaluation import evaluate as evaluate_models
    from pipelines.quality.judgement import EvaluateSettings
    from pipelines.quality.score_tables import as_grid, as_table

    if grid and style == "json":
        raise UsageError(
            "--grid is a table for people; --format json already lists every score by data set and case"
        )
    settings = EvaluateSettings(scale=scale, cases=cases, metrics=names, **options)
    rows = _judged(evaluate_models(models, data, settings))
    echo(as_table(rows, style))
    if grid:
        first = settings.metrics[0] if settings.metrics else "psnr"
        first = {"vmaf": "vmaf_neg"}.get(first, first.replace("-", "_"))
        echo("\n" + as_grid(rows, style, first))


def _judged(events: Iterator[Note | Judging | Judged | EvaluationRow]) -> list[EvaluationRow]:
    """Collect the rows, with a progress bar."""
    from pipelines.plan.events import Note
    from pipelines.quality.evaluation import EvaluationRow, Judging
    from vsr.views.progress_bar import bar

    rows: list[EvaluationRow] = []
    drawn: Any = None
    try:
        for event in events:
            if isinstance(event, EvaluationRow):
                rows.append(event)
            elif isinstance(event, Note):
                echo(event.text, err=True)
            elif isinstance(event, Judging) and event.total:
                drawn = bar(event.total, "frame", sys.stderr) if drawn is None else drawn
                # elsewhere every refresh is a line
                drawn.set_postfix_str(printable(event.text), refresh=sys.stderr.isatty())
                drawn.update(event.frames - drawn.n)
    finally:
        if drawn is not None:
            drawn.close()
    return rows
