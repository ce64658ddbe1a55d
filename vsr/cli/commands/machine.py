"""Commands about the machine or a file: `doctor`, `bench`, `probe`, `presets`, `--version`."""

from __future__ import annotations

import functools
import platform
import sys
from pathlib import Path
from typing import Any

import click

from vsr import __version__
from vsr.cli.option_types import FilePath, FiniteRange
from vsr.cli.options import run_options, settings_of
from vsr.cli.terminal import echo

__all__ = ["bench", "doctor", "presets", "probe", "show_version"]


_MARKS = {"ok": "ok     ", "advice": "advice ", "problem": "PROBLEM"}
_NOT_FIT = 6
"""Exit code if a run would not work: that of resources."""


def show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the versions of vsr and its libraries, and exit."""
    del parameter
    if not wanted or ctx.resilient_parsing:
        return
    from pipelines.diagnostics.dependencies import libraries

    echo(f"vsr, version {__version__}")
    echo(
        f"Python {platform.python_version()}, "
        + ", ".join(f"{found.name} {found.version or 'missing'}" for found in libraries())
    )
    ctx.exit()


@click.command()
@click.argument("folder", required=False, type=FilePath(), metavar="[FOLDER]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output.")
def doctor(folder: Path | None, as_json: bool) -> None:
    """Check whether vsr can run on this machine, and say what to fix if it can't.

    Checks libraries, CPU, GPUs, codecs, the disk of FOLDER (default: the current one), and a run of a tiny
    clip. The exit code is 0 if a run works, else 6.

    Example: vsr doctor ~/videos
    """
    import dataclasses
    import json

    from pipelines.diagnostics.doctor import examine

    problems = 0
    for finding in examine((folder or Path()).resolve()):
        problems += finding.level == "problem"
        if as_json:
            echo(json.dumps({"event": "finding", **dataclasses.asdict(finding)}))
            continue
        echo(f"{_MARKS[finding.level]}  {finding.subject:<10} {finding.text}")
        if finding.remedy:
            echo(f"{'':<20} -> {finding.remedy}")
    if as_json:
        echo(json.dumps({"event": "done", "works": not problems, "problems": problems}))
    else:
        echo(
            "vsr can run on this machine"
            if not problems
            else f"{problems} problem{'s' * (problems > 1)}: vsr can't run on this machine"
        )
    if problems:
        sys.exit(_NOT_FIT)


@click.command()
@click.argument("source", required=False, type=FilePath(), metavar="[INPUT]")
@functools.partial(run_options, output="Ignored; accepted so that the command line of a run can be reused.")
@click.option(
    "--seconds",
    type=FiniteRange(0.5),
    default=6.0,
    show_default=True,
    help=(
        "Length of the part that is measured, from the start of the video, in seconds; ignored if "
        "--range is given."
    ),
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of whole runs; the median is reported.",
)
@click.option("--timeline", type=FilePath(), metavar="FILE", help="Write a timeline of the stages as PNG.")
@click.option(
    "--share",
    type=FilePath(),
    metavar="FILE",
    help="Write machine, settings, speed, quality and size as JSON, to share.",
)
def bench(
    source: Path | None,
    output: Path | None,
    as_json: bool,
    seconds: float,
    repeats: int,
    timeline: Path | None,
    share: Path | None,
    **options: Any,
) -> None:
    """Measure the speed of this machine: each stage alone, the limit set by the stages, and a whole run.

    Without INPUT, a generated 1080p clip is used. The file written by --share contains no personal data and
    no file names; docs/speed.md collects such results.

    Example: vsr bench film.mp4 --codec h264 --preset superfast
    """
    import importlib.util
    import json

    from models.errors import missing_package
    from pipelines.diagnostics.benchmark import Step
    from pipelines.diagnostics.benchmark import bench as measure
    from pipelines.diagnostics.shared_figures import load_average, shared_figures
    from pipelines.plan.output_names import refuse_place
    from pipelines.storage.atomic_file import write_atomically
    from vsr.views.benchmark_view import bench_text, draw_timeline

    for option, path in (("--timeline", timeline), ("--share", share)):
        refuse_place(option, path, (source,))
    if timeline is not None and importlib.util.find_spec("matplotlib") is None:
        raise missing_package("--timeline", "matplotlib", "report")
    del output
    settings, load = settings_of(options), load_average()
    for event in measure(source, settings, seconds=seconds, repeats=repeats):
        if isinstance(event, Step):
            echo(event.text, err=True)
            continue
        echo(json.dumps(event.to_json()) if as_json else bench_text(event))
        if timeline is not None:
            draw_timeline(event, timeline)
        if share is not None:
            echo("measuring quality and size on a copy scaled down by 2", err=True)
            figures = shared_figures(source, settings, event, load=load, version=__version__)
            write_atomically(share, json.dumps(figures, indent=1).encode() + b"\n", parents=True)
            echo(f"{share}: written", err=True)


@click.command()
@click.argument("source", type=FilePath(), metavar="INPUT")
@click.option(
    "--exact",
    is_flag=True,
    help="Count frames by decoding all of them, instead of predicting them from packets.",
)
@click.option("--video-stream", type=int, metavar="N", help="Index of the video stream, from 0.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def probe(source: Path, exact: bool, video_stream: int | None, as_json: bool) -> None:
    """Show streams, colour and timing of a file.

    Example: vsr probe film.mkv --json
    """
    import json

    from pipelines.probe.probe import probe as probe_file
    from vsr.views.probe_view import info_table, info_text

    info = probe_file(source, video_stream=video_stream, exact=exact)
    echo(json.dumps(info_table(info)) if as_json else info_text(info))


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def presets(name: str | None, as_json: bool) -> None:
    """List the presets (settings files for --config that come with vsr), or print one of them.

    The list shows the purpose, speed and output size of each. To make your own, save a preset and edit it;
    comments in the file explain every setting.

    \b
    Example: vsr presets
             vsr presets movie-4k > mine.toml
    """
    import json

    from vsr.presets import config_file
    from vsr.presets import presets as known

    if name is not None:
        echo(config_file(name, option="").read_text(encoding="utf-8").rstrip())
        return

    for preset in known():
        if as_json:
            echo(
                json.dumps(
                    {
                        "name": preset.name,
                        "purpose": preset.purpose,
                        "path": str(preset.path),
                        "cost": preset.cost,
                        "measured": list(preset.measured),
                    }
                )
            )
            continue
        echo(f"{preset.name:<11} {preset.purpose}")
        if preset.cost:
            echo(f"{'':<11}   {preset.cost}")
    if not as_json:
        echo(f"files: {known()[0].path.parent}" if known() else "none came with this installation")
