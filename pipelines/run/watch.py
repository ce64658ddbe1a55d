"""`watch`: upscales films that arrive in a folder, once each, when they stop growing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import Interrupted, OutputError, ResourceError, UsageError, VsrError
from pipelines.output.journal import OutputInUseError, read_job, work_folder
from pipelines.plan.events import AlreadyDone, Event, Finished, Note
from pipelines.plan.output_names import is_folder, report_path
from pipelines.run.batch import upscale_videos
from pipelines.run.folder_changes import FolderChanges
from pipelines.run.inputs import Input
from pipelines.run.job import Job
from pipelines.run.watched_folder import WatchedFolder, state_of
from pipelines.storage.atomic_file import not_made

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from pipelines.run.watched_folder import FileState
    from pipelines.settings.run_settings import RunSettings

__all__ = ["WatchOptions", "watch"]


_AGAIN_SECONDS = 300.0
"""Delay before a film is tried again that failed for lack of disk or memory, or because of another run."""


@dataclass(frozen=True)
class WatchOptions:
    """What is watched, and how."""

    folder: Path
    output: Path
    """Folder of the outputs; created if missing."""
    settle_seconds: float = 10.0
    """A file that did not change for this time counts as complete."""
    recursive: bool = False
    """Include subfolders, which the output mirrors."""
    overwrite: bool = False
    """Replace any file in the place of an output."""


def watch(
    given: WatchOptions, settings: RunSettings, stop: threading.Event
) -> Iterator[tuple[Path, Event | VsrError]]:
    """Upscale arriving films until `stop` is set.

    Yields (file, event), (file, error) for one that failed, and notes about the folder. A failed film is
    retried when the file changes; if disk space or memory ran out, also after a few minutes. Existing outputs
    are kept by the rules of `upscale_video`, but the output of a film that has changed is made again. When
    stopped, current chunks are finished and kept, and Interrupted is the last error. Raises UsageError if the
    folder or output does not exist.
    """
    folder, output = Path(given.folder), Path(given.output)
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder; expected the folder that films arrive in")
    _make_output(output)
    files = WatchedFolder(
        folder.resolve(), output.resolve(), settle_seconds=given.settle_seconds, recursive=given.recursive
    )
    job = _Watching(given, settings, stop, files)
    with FolderChanges(folder, recursive=given.recursive) as changes:
        if changes.polls:
            yield folder, Note(f"{folder}: {changes.polls}; looked at every few seconds")
        while not stop.is_set():
            yield from job.look()
            changes.wait(stop, files.seconds_to_next())


def _make_output(output: Path) -> None:
    if not is_folder(output):
        raise UsageError(f"{output}: results of a watched folder need a folder as -o")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_made(output, error) from error


class _Watching:
    """One watched folder."""

    def __init__(
        self, given: WatchOptions, settings: RunSettings, stop: threading.Event, files: WatchedFolder
    ) -> None:
        self._folder, self._output, self._overwrite = (
            given.folder.resolve(),
            given.output.resolve(),
            given.overwrite,
        )
        self._settings, self._stop, self._files = settings, stop, files
        self._said: dict[Path, str] = {}
        """The last error of a file, or of the folder."""

    def look(self) -> Iterator[tuple[Path, Event | VsrError]]:
        """Scan the folder once, and upscale the files that are ready."""
        try:
            ready = self._files.ready()
        except UsageError as error:  # an unavailable share is mounted again
            if self._is_news(self._folder, error):
                yield self._folder, Note(f"{error}; looked at again until it can be")
            return
        self._said.pop(self._folder, None)
        for old, new in self._files.renamed:
            yield new, Note(f"{new}: was {old.name} when it was upscaled; its result keeps the old name")
        states = {path: state for path in ready if (state := state_of(path)) is not None}
        inputs = [self._input(path) for path in states]
        yield from self._upscale(inputs, states, overwrite=self._overwrite)

    def _input(self, path: Path) -> Input:
        below = path.parent.relative_to(self._folder)
        return Input(path, self._output / below, is_mirrored=below != Path())

    def _upscale(
        self, inputs: list[Input], states: dict[Path, FileState], *, anew: bool = False, **how: bool
    ) -> Iterator[tuple[Path, Event | VsrError]]:
        for path, event in upscale_videos(inputs, self._settings, stop=self._stop, **how):
            if isinstance(event, VsrError):
                yield from self._failed(path, states[path], event, anew=anew)
                continue
            if isinstance(event, Finished | AlreadyDone):
                self._files.add_result(Path(event.output))
                self._files.finish(path, states[path], done=True)
                self._said.pop(path, None)
            yield path, event

    def _failed(
        self, path: Path, state: FileState, error: VsrError, *, anew: bool
    ) -> Iterator[tuple[Path, Event | VsrError]]:
        if isinstance(error, Interrupted):
            yield path, error
            return
        now = state_of(path)
        if now != state:  # it waits to settle once more
            yield path, Note(f"{path}: {'was changed' if now else 'vanished'} while it was upscaled")
            return
        if not anew and isinstance(error, UsageError) and (how := self._anew(path)):
            yield path, Note(f"{path}: has changed since it was upscaled; its output is made again")
            yield from self._upscale([self._input(path)], {path: state}, anew=True, **how)
            return
        passes = isinstance(error, OutputError | ResourceError | OutputInUseError)
        self._files.finish(path, state, done=False, again_seconds=_AGAIN_SECONDS if passes else None)
        if self._is_news(path, error):
            yield path, error

    def _is_news(self, path: Path, error: VsrError) -> bool:
        known, self._said[path] = self._said.get(path), str(error)
        return known != str(error)

    def _anew(self, path: Path) -> dict[str, bool]:
        """Options for a film that left an output or chunks in an earlier state; empty if none did."""
        try:
            planned = Job(path, self._input(path).output, self._settings).prepare()
        except VsrError:
            return {}
        target, now = Path(planned.output), planned.plan.source_fingerprint
        if os.path.lexists(target) and not _is_result_of(target, path.name, now):
            return {}
        return {"overwrite": os.path.lexists(target), "fresh": _holds_chunks_of(target, path, now)}


def _is_result_of(target: Path, name: str, now: str) -> bool:
    """Whether a file is the verified output of another state of the film with that name.

    now: the film's fingerprint.
    """
    try:
        report = json.loads(report_path(target).read_bytes())
        return bool(
            report["bytes"] == target.stat().st_size
            and report["source"] == name
            and report["source_fingerprint"] != now
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _holds_chunks_of(target: Path, path: Path, now: str) -> bool:
    """Whether the work directory of an output is for another state of this film. now: its fingerprint."""
    try:
        job = read_job(work_folder(target))
    except UsageError:
        return False
    return job.input == os.path.abspath(path) and job.plan.get("source_fingerprint") not in {None, now}
