"""`vsr plan`."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.commands.run import SOME_FAILED, output_template, remote_options, report_error
from vsr.cli.option_types import PathOrUrl
from vsr.cli.options import run_options, settings_of
from vsr.cli.terminal import echo

if TYPE_CHECKING:
    from pipelines.diagnostics.estimate import Estimate
    from pipelines.plan.events import Planned
    from pipelines.run.inputs import Input
    from pipelines.run.kept_work import KeptWork
    from pipelines.settings.run_settings import RunSettings
    from pipelines.storage.object_store import Url

__all__ = ["plan"]


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=PathOrUrl(), metavar="INPUT...")
@run_options
@output_template
@click.option("-r", "--recursive", is_flag=True, help="Include subfolders.")
@remote_options
@click.option(
    "--measure",
    is_flag=True,
    help="Run each stage on a few sample frames, and estimate time, size and disk space.",
)
def plan(
    inputs: tuple[Path | Url, ...], output: Path | None, as_json: bool, measure: bool, recursive: bool,
    allow_url: bool, staging: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Show what `run` would do, without doing it, and which chunks an earlier run has finished.

    Inputs are files, folders and patterns, as for `run`. For several inputs, the last line has the totals;
    if some can't be planned, the exit code is 8. Remote files are downloaded, and kept for a later run.

    \b
    Example: vsr plan film.mp4 --to 8k --measure
             vsr plan shows/ --measure
    """
    from pipelines.run.inputs import find_inputs, image_messages

    settings = settings_of(options)
    found = find_inputs(
        inputs, output, recursive=recursive, allow_url=allow_url, staging=staging, makes_folder=False
    )
    for text in [] if as_json else image_messages(inputs, recursive=recursive):
        echo(text, err=True)
    if len(found) == 1:
        _show(*_planned(found[0], settings, measure=measure, as_json=as_json), as_json=as_json)
        failed = False
    else:
        failed = _show_all(found, settings, measure=measure, as_json=as_json)
    if not as_json:
        look = f"vsr preview{' FILE' * (len(found) > 1)} shows what it would look like"
        echo(f"  {look}" if measure else f"  --measure estimates time and size, {look}")
    if failed:
        sys.exit(SOME_FAILED)


def _show_all(found: list[Input], settings: RunSettings, *, measure: bool, as_json: bool) -> bool:
    """Print the plans of several inputs and their totals; returns whether some can't be planned."""
    from models.errors import NothingToDoError, VsrError
    from pipelines.run.batch import name_clashes
    from vsr.views.json_lines import JsonLines
    from vsr.views.plan_view import total_lines, total_table

    clashes = dict(name_clashes(found, settings))
    planned: list[tuple[KeptWork, Estimate | None]] = []
    skipped = 0
    for one in found:
        try:
            if one.path in clashes:
                raise clashes[one.path]
            made = _planned(one, settings, measure=measure, as_json=as_json)
        except VsrError as error:
            report_error(error, as_json=as_json)
            skipped += isinstance(error, NothingToDoError)
            continue
        _show(*made, label=one.shown, as_json=as_json)
        planned.append(made)
    if as_json:
        JsonLines().write("summary", total_table(planned, len(found), skipped))
    else:
        echo("\n  ".join(total_lines(planned, len(found), skipped)))
    return len(planned) + skipped < len(found)


def _planned(
    one: Input, settings: RunSettings, *, measure: bool, as_json: bool
) -> tuple[KeptWork, Estimate | None]:
    """Plan one input, and estimate its run if wanted. Raises the errors of a run."""
    from pipelines.plan.output_names import existing_folder
    from pipelines.planner.video_planner import plan_video
    from pipelines.run.inputs import fetch
    from pipelines.run.kept_work import kept_work

    for text in fetch(one):
        if not as_json:
            echo(f"  {text}", err=True)
    output = one.output
    if output is not None and one.is_mirrored and not output.exists():
        # A run makes this folder; until then its name, such as "Season.1", could be that of a file.
        planned = plan_video(one.path, existing_folder(output / "film"), settings)
        planned = replace(planned, output=os.path.abspath(output / Path(planned.output).name))
    else:
        planned = plan_video(one.path, output, settings)
    kept = kept_work(planned, one.path, output, settings)
    planned, estimate = replace(kept.planned, input=one.shown), None
    if measure and kept.done is None:
        planned = _with_target_crf(planned, settings, as_json=as_json)
        estimate = _estimated(planned, settings, as_json=as_json)
    return replace(kept, planned=planned), estimate


def _show(kept: KeptWork, estimate: Estimate | None, *, as_json: bool, label: str = "") -> None:
    """Print the plan of one input. label: its name in JSON, if there are several."""
    from vsr.views.json_lines import JsonLines
    from vsr.views.plan_view import estimate_lines, estimate_table, kept_lines, plan_line, plan_table

    planned = kept.planned
    lines = [
        plan_line(planned, measured=estimate is not None),
        f"output: {planned.output}",
        *kept_lines(kept),
        *estimate_lines(estimate),
        *planned.info.notes,
        *(f"left out: {d}" for d in planned.dropped),
    ]
    if as_json:
        table = {**plan_table(planned), "already_done": kept.done is not None, "refusal": kept.refusal}
        JsonLines(label=label).write("plan", {**table, **estimate_table(estimate), "lines": lines})
    else:
        echo("\n  ".join(lines))


def _estimated(planned: Planned, settings: RunSettings, *, as_json: bool) -> Estimate:
    """Estimate a run from samples of the film; prints a line for each place that was tried."""
    from pipelines.diagnostics.estimate import Estimate, estimating

    for event in estimating(planned, settings.execution):
        if isinstance(event, Estimate):
            return event
        if not as_json:
            echo(f"  {event.text}", err=True)
    raise AssertionError("an estimate ends with what was estimated")


def _with_target_crf(planned: Planned, settings: RunSettings, *, as_json: bool) -> Planned:
    """Add the CRF for --target-size or --target-vmaf, if one is given."""
    from pipelines.plan.events import Note
    from pipelines.run.crf_search import search_alone

    if planned.plan.target is None or not planned.plan.target.is_open:
        return planned
    for event in search_alone(planned, settings):
        if not isinstance(event, Note):
            return event
        if not as_json:
            echo(f"  {event.text}", err=True)
    return planned
