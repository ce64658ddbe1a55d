"""What can be said without a video: the version, and `vsr doctor`."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import click

from vsr import __version__

__all__ = ["doctor", "show_version"]

_MARKS = {"ok": "ok     ", "advice": "advice ", "problem": "PROBLEM"}
_NOT_FIT = 6
"""Exit code where a run would not work: that of resources."""


def show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version and those of the libraries, and end."""
    del parameter
    if not wanted or ctx.resilient_parsing:
        return
    from pipelines.libraries import libraries

    click.echo(f"vsr, version {__version__}")
    click.echo(f"Python {platform.python_version()}, " + ", ".join(f"{found.name} {found.version or 'missing'}" for found in libraries()))
    ctx.exit()


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path), metavar="[FOLDER]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
def doctor(folder: Path | None, as_json: bool) -> None:
    """Look whether a run would work here, and say what to do where it would not.

    Libraries, CPU, GPUs, codecs, disk (of FOLDER, where results would go; default: this one), and a run of a tiny clip.
    Ends with 0 where a run works, else with 6.

    Example: vsr doctor ~/videos
    """
    import dataclasses
    import json

    from pipelines.doctor import examine

    problems = 0
    for finding in examine((folder or Path()).resolve()):
        problems += finding.level == "problem"
        if as_json:
            click.echo(json.dumps({"event": "finding", **dataclasses.asdict(finding)}))
            continue
        click.echo(f"{_MARKS[finding.level]}  {finding.subject:<10} {finding.text}")
        if finding.remedy:
            click.echo(f"{'':<20} -> {finding.remedy}")
    if as_json:
        click.echo(json.dumps({"event": "done", "works": not problems, "problems": problems}))
    else:
        click.echo("a run works here" if not problems else f"{problems} problem{'s' * (problems > 1)}: a run would not work here")
    if problems:
        sys.exit(_NOT_FIT)
