"""`vsr watch`: upscales films as they arrive in a folder."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.commands.known_models import download_missing
from vsr.cli.commands.run import draw_view, output_template, report_error
from vsr.cli.option_types import FilePath, FiniteRange
from vsr.cli.options import run_options, settings_of
from vsr.cli.terminal import echo

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.plan.events import Event
    from vsr.views.json_lines import JsonLines
    from vsr.views.progress import ProgressView

__all__ = ["watch"]


@click.command()
@click.argument("folder", type=FilePath(), metavar="FOLDER")
@functools.partial(run_options, output="Folder of the outputs (required).")
@output_template
@click.option(
    "--settle",
    "settle_seconds",
    type=FiniteRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Treat a file as complete if it has not changed for this many seconds.",
)
@click.option(
    "-r",
    "--recursive",
    is_flag=True,
    help="Include subfolders; the folder given by -o gets the same structure.",
)
@click.option("--workers", type=int, metavar="N", help="Maximum number of workers, as for `vsr run`.")
@click.option("--cluster", metavar="ADDRESS", help="Use a Ray cluster: local[:N], auto, or HOST:PORT.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace existing outputs that were made with other settings, or by other programs.",
)
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Download networks that --model names, without asking.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def watch(
    folder: Path, output: Path | None, as_json: bool, settle_seconds: float, recursive: bool, overwrite: bool,
    yes: bool, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Watch a folder until Ctrl-C, and upscale each video once, as soon as it stops growing.

    Outputs go to the folder given by -o. If the command is started again, finished videos are skipped. A file
    that fails is reported once and does not stop the rest; it is tried again after it has changed. Outputs,
    hidden files and (without -r) subfolders are skipped; empty files wait until they have content.

    \b
    Example: vsr watch incoming/ -o upscaled/
             vsr watch recordings/ -o upscaled/ --config game-4k --settle 60
    """
    from models.errors import UsageError
    from pipelines.run.watch import WatchOptions
    from pipelines.run.watch import watch as events_of
    from vsr.cli.signals import Signals
    from vsr.views.json_lines import JsonLines

    if output is None:
        raise UsageError("give the folder for the outputs with -o")
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder; expected the folder that films arrive in")
    settings = settings_of(options)
    download_missing(settings.model, yes=yes, asks=False if as_json else None)
    given = WatchOptions(folder, output, settle_seconds, recursive, overwrite)
    with Signals("") as signals:
        events = events_of(given, settings, signals.stop)
        if as_json:
            JsonLines().write(
                "watching", {"folder": str(folder), "output": str(output), "settle_seconds": settle_seconds}
            )
        elif not quiet:
            echo(f"watching {folder}; results go to {output}; Ctrl-C ends it", err=True)
        shown = _Shown(as_json=as_json, quiet=quiet)
        try:
            for path, event in events:
                shown.show(path, event, stopping=signals.stop.is_set)
                signals.heard = "stopping after the current chunk" if shown.is_working else ""
        finally:
            shown.close()
        if shown.interrupted is not None:
            raise signals.translated(shown.interrupted)
        if not (as_json or quiet):
            echo(f"stopped watching {folder}; no film was in progress", err=True)


class _Shown:
    """The views of films in progress: one at a time, or several at once on a cluster."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json, self._quiet = as_json, quiet
        self._views: dict[Path, ProgressView | JsonLines] = {}
        self.interrupted: Exception | None = None
        """The interruption that ended the current film."""
        self.is_working = False
        """Whether a film is in progress."""

    def show(self, path: Path, event: Event | Exception, *, stopping: Any) -> None:
        """Draw one event."""
        from models.errors import Interrupted
        from pipelines.plan.events import AlreadyDone, Finished, Note

        self.is_working = not isinstance(event, Exception | Finished | AlreadyDone | Note)
        if isinstance(event, Interrupted):
            self.interrupted = event
        elif isinstance(event, Exception):
            self._close(path)
            report_error(event, as_json=self._as_json)
        else:
            if path not in self._views:
                self._views[path] = draw_view(
                    path.name,
                    str(path),
                    stopping=stopping,
                    as_json=self._as_json,
                    quiet=self._quiet,
                    verbose=False,
                )
            self._views[path].show(event)
            if isinstance(event, Finished | AlreadyDone):
                self._close(path)

    def _close(self, path: Path) -> None:
        view = self._views.pop(path, None)
        if view is not None:
            view.close()

    def close(self) -> None:
        """Close all views."""
        for path in list(self._views):
            self._close(path)
