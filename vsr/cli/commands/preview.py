"""`vsr preview`: shows how networks would upscale a film, or what a run has finished so far."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.commands.known_models import absent_models, download_missing
from vsr.cli.option_types import FilePath
from vsr.cli.options import run_options, settings_of
from vsr.cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.catalog.model_index import IndexEntry

__all__ = ["preview"]


@click.command()
@click.argument("source", required=False, type=FilePath(), metavar="[INPUT]")
@click.option(
    "--at",
    multiple=True,
    metavar="TIME",
    help="Time of a sample, in seconds or [hh:]mm:ss[.fff]; may be repeated.",
)
@click.option(
    "--shots",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Number of samples without --at, spread over the film.",
)
@click.option(
    "--prefilters",
    is_flag=True,
    help="Compare prefilters instead of networks; each prefilter is followed by the same network.",
)
@click.option(
    "--models",
    metavar="NAME|FILE,...",
    help="Networks to compare, joined by commas; default: lanczos and the network of a run.",
)
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Download networks that --models names, without asking.",
)
@click.option(
    "--job", type=FilePath(), metavar="OUTPUT|WORKDIR", help="Show finished parts of a run in progress."
)
@functools.partial(
    run_options, one_model=False, output="Folder of the page; default: NAME.preview next to the input."
)
def preview(
    source: Path | None, output: Path | None, at: tuple[str, ...], shots: int, models: str | None,
    prefilters: bool, job: Path | None, as_json: bool, yes: bool, **options: Any,
) -> None:  # fmt: skip
    """Show sample frames of a film upscaled by several networks, and estimate time and size of the result.

    Writes PNG crops and a web page with sliders, index.html, into the folder given by -o (default:
    NAME.preview next to the input). If a network of `vsr models search` is not installed, the command offers
    to download it.

    \b
    Example: vsr preview film.mp4 --at 12:30 --models lanczos,fast,other.pth
             vsr preview --job film.2160p.mp4
    """
    from models.catalog.lookup import network_names
    from models.errors import UsageError
    from pipelines.diagnostics.partial_preview import preview_finished_chunks
    from pipelines.diagnostics.preview import preview as show
    from pipelines.diagnostics.preview import preview_prefilters as show_prefilters
    from vsr.pages.preview_page import (
        page,
        preview_table,
        preview_text,
        unfinished_page,
        unfinished_table,
        unfinished_text,
    )

    if job is not None:
        _tell(
            preview_finished_chunks(job, source, output, shots=shots),
            "unfinished",
            (unfinished_page, unfinished_table, unfinished_text),
            as_json=as_json,
        )
        return
    if source is None:
        raise UsageError("no film to look at; expected INPUT, or --job and the output of a run")
    names = [name for name in network_names(models or "") if name]
    if prefilters:
        options["model"] = names[0] if names else None
    given = _given(set(options)) + (["--model", names[0]] if prefilters and names else [])
    option = "--prefilter" if prefilters else "--model"
    as_text = functools.partial(preview_text, option=option, given=given)
    settings, views = settings_of(options), (page, preview_table, as_text)
    if prefilters:
        if len(names) > 1:
            raise UsageError(
                "--prefilters compares prefilters with a single network; give only one of"
                f" {', '.join(names)} to --models"
            )
        _tell(
            show_prefilters(source, output, settings, at=at, shots=shots), "preview", views, as_json=as_json
        )
        return
    absent = absent_models(names)
    if absent and (yes or len(absent) == len(names)):
        download_missing(",".join(names), yes=yes, asks=False if as_json else None)
        absent = {}
    here = [name for name in names if name not in absent]
    shown = _tell(
        show(source, output, settings, models=here, at=at, shots=shots),
        "preview",
        views,
        as_json=as_json,
    )
    if absent and _accepted(shown, list(absent.values()), as_json=as_json):
        download_missing(",".join(names), yes=True)
        _tell(
            show(source, output, settings, models=names, at=at, shots=shots),
            "preview",
            views,
            as_json=as_json,
        )


def _given(names: set[str]) -> list[str]:
    """The words of the options with these names that are on the command line."""
    context = click.get_current_context()
    words: list[str] = []
    for option in context.command.params:
        name, value = option.name or "", context.params.get(option.name or "")
        source = context.get_parameter_source(name)
        if name not in names or source is not click.core.ParameterSource.COMMANDLINE:
            continue
        if isinstance(option, click.Option) and option.is_flag:
            words += [option.opts[-1] if value else option.secondary_opts[-1]]
        else:
            for one in value if isinstance(value, tuple) else (value,):
                words += [option.opts[-1], f"{one:g}" if isinstance(one, float) else str(one)]
    return words


def _accepted(shown: Any, absent: list[IndexEntry], *, as_json: bool) -> bool:
    """Offer to download networks that are not installed; returns whether the user accepts."""
    from pipelines.diagnostics.offers import offers
    from vsr.pages.preview_page import offer_table, offer_text
    from vsr.views.json_lines import JsonLines

    found = offers(shown, absent)
    for offer in found:
        if as_json:
            JsonLines().write("offer", offer_table(offer))
        else:
            echo(offer_text(offer))
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    names = " and ".join(e.name for e in absent)
    return click.confirm(
        f"Fetch {names} now, and show the moments through {'them' if len(absent) > 1 else 'it'}, too?",
        err=True,
    )


def _tell(events: Iterator[Any], kind: str, views: tuple[Callable[[Any], Any], ...], *, as_json: bool) -> Any:
    """Print each sample frame as it is made, then write the page; return the last event.

    kind: the name of the JSON line. views: functions that show the last event as a page, JSON values and
    text.
    """
    from pipelines.diagnostics.preview import PreviewMoment
    from pipelines.plan.events import Note
    from pipelines.plan.timeline import clock_text
    from pipelines.storage.atomic_file import write_atomically
    from vsr.views.json_lines import JsonLines

    as_page, as_table, as_text = views
    event: Any = None
    for event in events:
        if isinstance(event, PreviewMoment):
            *single, together = map(Path, event.files)
            stamp = together.name.removesuffix("side-by-side.png")
            names = ", ".join(file.stem.removeprefix(stamp) for file in single)
            echo(f"{clock_text(event.seconds)} into the film: {together} (left to right: {names})", err=True)
            continue
        if isinstance(event, Note):
            echo(event.text, err=True)
            continue
        path = Path(event.folder) / "index.html"
        write_atomically(path, as_page(event).encode(errors="replace"))
        if as_json:
            JsonLines().write(kind, {**as_table(event), "page": str(path)})
        else:
            echo(as_text(event))
            echo(f"open {path} in a browser")
    return event
