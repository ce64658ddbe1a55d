"""`vsr compare`: compares outputs of a film by metrics and images, or in a blind test."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.option_types import FilePath
from vsr.cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.quality.blind_test import BlindTest
    from pipelines.quality.comparison import Compared, Measured
    from pipelines.quality.frame_alignment import Align, Misaligned

__all__ = ["compare"]


_EVERY_SECONDS = 1.0
"""Interval between two lines of progress."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=FilePath(), metavar="A B | RATINGS...")
@click.option("--reference", type=FilePath(), metavar="FILE", help="Ground truth for both files.")
@click.option(
    "--source",
    type=FilePath(),
    metavar="FILE",
    help="Source of the outputs; they are downscaled and compared with it.",
)
@click.option(
    "--report",
    type=FilePath(),
    metavar="FILE",
    help="Write an HTML report with curves and the worst frames.",
)
@click.option(
    "--blind",
    is_flag=True,
    help=("Make the report a blind test: random sides, ratings from 1 to 5, saved from the browser."),
)
@click.option(
    "--clips",
    is_flag=True,
    help="Show one-second clips in a blind test instead of images, to judge flicker.",
)
@click.option(
    "--shots",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="Number of samples of a blind test, spread over the film.",
)
@click.option("--scores", is_flag=True, help="Merge the ratings saved from several copies of one blind test.")
@click.option(
    "--range", "range_", metavar="FROM-TO", help="Compare only a part, in seconds or [hh:]mm:ss[.fff]."
)
@click.option(
    "--align",
    type=click.Choice(["pts", "start", "part"]),
    default="pts",
    show_default=True,
    help=(
        "How to pair frames. pts: by timestamp; start: by time since the first frame; part: the other "
        "files were made with a --range of the first."
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output.")
def compare(
    files: tuple[Path, ...],
    reference: Path | None,
    source: Path | None,
    report: Path | None,
    blind: bool,
    clips: bool,
    shots: int,
    scores: bool,
    range_: str | None,
    align: Align,
    as_json: bool,
) -> None:
    """Compare an output with its source, or two outputs with a reference, or make a blind test.

    Metrics: PSNR, SSIM, VMAF and VMAF-NEG (the 4K model above 1440 lines), XPSNR, flicker, and the similarity
    of the downscaled output to its source. Without --reference, the smaller of A and B is the reference, or A
    if they have the same size. Everything is measured at the reference's size. Frames are paired by
    timestamp. If frames are missing, late or otherwise mistimed, they are reported, and the exit code is 7.

    \b
    Example: vsr compare film.mp4 film.2160p.mp4 --report out.html
             vsr compare fast.mp4 quality.mp4 --blind --report test.html
             vsr compare --scores ratings-*.json
    """
    from models.errors import UsageError, VerificationError, counted
    from pipelines.plan.output_names import refuse_place

    # Before torch is loaded. Its loops are short here, and its threads would spin between them: on a busy
    # machine nine tenths of the CPU time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    if scores:
        _say_scores(files, as_json=as_json)
        return
    if len(files) != 2:
        raise UsageError(
            f"{counted(len(files), 'file')} given; expected two to compare (or --scores and files of ratings)"
        )
    if blind and (report is None or reference is not None or source is not None):
        raise UsageError(
            "--blind compares two results by eye: it needs --report FILE for its page, and takes neither"
            " --reference nor --source"
        )
    if clips and not blind:
        raise UsageError("--clips requires --blind")
    refuse_place("--report", report, (*files, reference, source))
    events: Iterator[Measured | Misaligned | Compared | BlindTest]
    if blind:
        from pipelines.quality.blind_test import blind_test

        events = blind_test(files[0], files[1], shots=shots, range_=range_, align=align, clips=clips)
    else:
        from pipelines.quality.comparison import compare as measure

        events = measure(files[0], files[1], reference=reference, source=source, range_=range_, align=align)
    if not as_json:
        echo(f"comparing {files[0].name} with {files[1].name}", err=True)
    found = _show(events, as_json=as_json)
    _finish(found, report, as_json=as_json)
    if found.findings:
        sys.exit(VerificationError.exit_code)


def _say_scores(files: tuple[Path, ...], *, as_json: bool) -> None:
    from pipelines.quality.ratings import merge_ratings
    from vsr.pages.blind_test_page import opinions_table, opinions_text
    from vsr.views.json_lines import JsonLines

    found = merge_ratings(files)
    if as_json:
        JsonLines().write("opinions", opinions_table(found))
    else:
        echo(opinions_text(found))


def _show(
    events: Iterator[Measured | Misaligned | Compared | BlindTest], *, as_json: bool
) -> Compared | BlindTest:
    """Print progress and findings; returns the last event."""
    from pipelines.quality.blind_test import BlindTest
    from pipelines.quality.comparison import Compared, Measured
    from pipelines.quality.frame_alignment import Misaligned
    from vsr.pages.compare_page import finding_table
    from vsr.views.json_lines import JsonLines

    progress = _Progress()
    last = time.monotonic()
    try:
        for event in events:
            if isinstance(event, Compared | BlindTest):
                return event
            if isinstance(event, Misaligned):
                if as_json:
                    JsonLines().write("misaligned", finding_table(event))
                echo(event.text, err=True)
            elif isinstance(event, Measured) and as_json:
                if time.monotonic() - last >= _EVERY_SECONDS:
                    last = time.monotonic()
                    JsonLines().write("progress", {"frames": event.frames, "total": event.total})
            elif isinstance(event, Measured):
                progress.show(event)
    finally:
        progress.close()
    raise AssertionError("a comparison ends with what was found")


class _Progress:
    """A bar over the measured frames, with an estimate of the whole time once the pace is known."""

    def __init__(self) -> None:
        from vsr.views.remaining_time import SpeedMeter

        self._pace, self._began = SpeedMeter(), time.monotonic()
        self._is_estimated = False
        self._bar: Any = None

    def show(self, event: Measured) -> None:
        """Advance the bar."""
        from models.errors import counted
        from vsr.views.progress_bar import bar
        from vsr.views.remaining_time import comparison_seconds
        from vsr.views.text import duration

        if self._bar is None:
            self._bar = bar(event.total, "frame", sys.stderr)
        self._bar.update(event.frames - self._bar.n)
        now = time.monotonic()
        self._pace.add(now, event.frames)
        if not self._is_estimated and self._pace.rate:
            self._is_estimated = True
            whole = comparison_seconds(now - self._began, event.frames, event.total, self._pace.rate)
            self._bar.write(
                f"{counted(event.total, 'frame')} to measure, about {duration(whole)} in all", file=sys.stderr
            )
        if event.frames >= event.total:
            self._bar.set_postfix_str("looking for the worst moments", refresh=sys.stderr.isatty())

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


def _finish(found: Compared | BlindTest, report: Path | None, *, as_json: bool) -> None:
    from models.errors import counted
    from pipelines.quality.blind_test import BlindTest
    from pipelines.storage.atomic_file import write_atomically
    from vsr.pages.blind_test_page import blind_page
    from vsr.pages.compare_page import compare_page, compare_table, compare_text
    from vsr.views.json_lines import JsonLines

    if report is not None:
        write_atomically(
            report,
            (blind_page(found) if isinstance(found, BlindTest) else compare_page(found)).encode(
                errors="replace"
            ),
            parents=True,
        )
    page = str(report) if report is not None else None
    if isinstance(found, BlindTest):
        if as_json:
            JsonLines().write(
                "blind",
                {"test": found.id, "files": list(found.names), "trials": len(found.trials), "report": page},
            )
        else:
            pairs = counted(len(found.trials), "pair")
            said = f"{pairs} to rate; give this page to the people who should rate them"
            echo("\n".join([f"{said}: {page}", *found.notes]))
        return
    if as_json:
        JsonLines().write("compared", {**compare_table(found), "report": page})
        return
    echo(compare_text(found))
    if page is not None:
        echo(f"open {page} in a browser")
