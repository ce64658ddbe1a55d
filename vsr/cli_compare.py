"""Commands for the eye: `preview`, what networks would make of a film, and `compare`, what was made of it, in figures and pictures."""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli_options import run_options, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.alignment import Misaligned
    from pipelines.compare import Compared, Measured

__all__ = ["compare", "preview"]

_EVERY_SECONDS = 1.0
"""Between two lines of progress."""


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="INPUT")
@click.option("--at", multiple=True, metavar="TIME", help="A moment, in seconds or [hh:]mm:ss[.fff]; may be repeated.")
@click.option("--shots", type=click.IntRange(1, 100), default=3, show_default=True, help="Without --at: so many moments, all over the film.")
@click.option("--models", metavar="NAME|FILE,...", help="What is compared, joined by commas; default: lanczos and the default network.")
@functools.partial(run_options, one_model=False)
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
    for event in show(source, output, settings_of(options), models=names, at=at, shots=shots):
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


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="A B | RATINGS...")
@click.option("--reference", type=click.Path(path_type=Path), metavar="FILE", help="The truth that both are measured against.")
@click.option("--source", type=click.Path(path_type=Path), metavar="FILE", help="What results were made from; they are shrunk and held against it.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="A page with curves and the worst moments, which opens from disk.")
@click.option("--range", "range_", metavar="FROM-TO", help="Only a part, in seconds or [hh:]mm:ss[.fff].")
@click.option(
    "--align",
    type=click.Choice(["pts", "start"]),
    default="pts",
    show_default=True,
    help="Pair frames by their times, or by those since the first frame.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
def compare(
    files: tuple[Path, ...], reference: Path | None, source: Path | None, report: Path | None, range_: str | None, align: str, as_json: bool
) -> None:
    """Measure a result against its source, or two results against a reference.

    PSNR, SSIM, VMAF and VMAF-NEG (the 4K model above 1440 lines), XPSNR, flicker, and how faithful the shrunk result is to its
    source. Without --reference the smaller of A and B is the reference, else A; everything is measured at the reference's size.

    \b
    Frames are paired by their times. Missing frames, other times or pictures shown too late are reported, and end with 7.
    Example: vsr compare film.mp4 film.2160p.mp4 --report out.html
    """
    from models.errors import UsageError, VerificationError
    from pipelines.compare import compare as measure

    if len(files) != 2:
        raise UsageError(f"{len(files)} file(s) given; expected two to compare")
    events = measure(files[0], files[1], reference=reference, source=source, range_=range_, from_start=align == "start")
    found = _show(events, as_json=as_json)
    _finish(found, report, as_json=as_json)
    if found.findings:
        sys.exit(VerificationError.exit_code)


def _show(events: Iterator[Measured | Misaligned | Compared], *, as_json: bool) -> Compared:
    """Progress and findings as they come; the last event comes back."""
    from pipelines.alignment import Misaligned
    from pipelines.compare import Compared, Measured
    from vsr.bars import bar
    from vsr.compare_page import finding_table
    from vsr.progress import JsonLines

    drawn: Any = None
    last = time.monotonic()
    try:
        for event in events:
            if isinstance(event, Compared):
                return event
            if isinstance(event, Misaligned):
                if as_json:
                    JsonLines().write("misaligned", finding_table(event))
                click.echo(event.text, err=True)
            elif isinstance(event, Measured) and as_json:
                if time.monotonic() - last >= _EVERY_SECONDS:
                    last = time.monotonic()
                    JsonLines().write("progress", {"frames": event.frames, "total": event.total})
            elif isinstance(event, Measured):
                drawn = bar(event.total, "frame", sys.stderr) if drawn is None else drawn
                drawn.update(event.frames - drawn.n)
    finally:
        if drawn is not None:
            drawn.close()
    raise AssertionError("a comparison ends with what was found")


def _finish(found: Compared, report: Path | None, *, as_json: bool) -> None:
    from pipelines.journal import write_atomically
    from vsr.compare_page import compare_page, compare_table, compare_text
    from vsr.progress import JsonLines

    if report is not None:
        write_atomically(report, compare_page(found).encode())
    if as_json:
        JsonLines().write("compared", {**compare_table(found), "report": str(report) if report is not None else None})
        return
    click.echo(compare_text(found))
    if report is not None:
        click.echo(f"look at them: {report}")
