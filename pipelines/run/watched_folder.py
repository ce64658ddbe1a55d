"""`WatchedFolder`: which files of a folder stopped growing, and which were processed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.run.inputs import videos_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FileState", "WatchedFolder", "state_of"]


@dataclass(frozen=True)
class FileState:
    """Identifies an unchanged file, under any name."""

    device: int
    inode: int
    bytes: int
    modified_ns: int


def state_of(path: Path) -> FileState | None:
    """The state of a file; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileState(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class _Handled:
    """How one state of a file was processed."""

    state: FileState
    is_done: bool
    again_at: float | None = None
    """When to try again although the file did not change; None: never."""


class WatchedFolder:
    """The files of a folder over time.

    OS file events may be lost, so each poll scans the folder again. A file is ready when its size and
    modification time have been stable for the settling time and it has not been processed in this state. A
    renamed file keeps its settling time and its record; empty files are ignored until they have content.
    """

    def __init__(
        self,
        folder: Path,
        output: Path,
        *,
        settle_seconds: float,
        recursive: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """output: the folder of outputs; if it is inside the watched one, nothing in it is an input."""
        self._folder, self._output = folder, output
        self._settle_seconds, self._recursive, self._clock = settle_seconds, recursive, clock
        self._since: dict[Path, tuple[FileState, float]] = {}
        self._handled: dict[Path, _Handled] = {}
        self._results: set[Path] = set()
        self.renamed: list[tuple[Path, Path]] = []
        """Old and new names of finished films that were renamed, from the last scan."""

    def ready(self) -> list[Path]:
        """Scan once; returns files to process, by name. Raises UsageError if the folder can't be listed."""
        now = self._clock()
        states = self._states()
        gone = {state: path for path, (state, _) in self._since.items() if path not in states}
        self.renamed = []
        since = {}
        for path, state in states.items():
            known, began = self._since.get(path, (None, now))
            if known != state:
                began = now
                if state in gone:
                    began = self._since[gone[state]][1]
                    self._follow(gone[state], path)
            since[path] = (state, began)
        self._since = since
        self._handled = {path: handled for path, handled in self._handled.items() if path in states}
        return [
            path
            for path, (state, began) in since.items()
            if now - began >= self._settle_seconds and self._is_open(path, state, now)
        ]

    def seconds_to_next(self) -> float | None:
        """Time until another file may be ready; None if none is waiting."""
        now = self._clock()
        times = [
            began + self._settle_seconds - now
            for path, (state, began) in self._since.items()
            if self._is_new(path, state)
        ]
        times += [
            handled.again_at - now for handled in self._handled.values() if handled.again_at is not None
        ]
        return max(0.0, min(times)) if times else None

    def finish(self, path: Path, state: FileState, *, done: bool, again_seconds: float | None = None) -> None:
        """Record the outcome for a file, which was in that state when work began.

        again_seconds: delay before it is tried again unchanged; None: only after it was rewritten.
        """
        self._handled[path] = _Handled(
            state, done, None if again_seconds is None else self._clock() + again_seconds
        )

    def add_result(self, path: Path) -> None:
        """Record an output, which is never an input, even if its report is lost."""
        self._results.add(path)

    def _states(self) -> dict[Path, FileState]:
        states = {}
        for path in videos_in(self._folder, recursive=self._recursive):
            if path in self._results or self._is_below_output(path):
                continue
            state = state_of(path)
            if state is not None and state.bytes:
                states[path] = state
        return states

    def _is_below_output(self, path: Path) -> bool:
        return (
            self._output != self._folder
            and self._folder in self._output.parents
            and self._output in path.parents
        )

    def _follow(self, old: Path, new: Path) -> None:
        """Transfer the record of a renamed file.

        A finished one stays finished, a failed one is tried again.
        """
        handled = self._handled.get(old)
        if handled is not None and handled.is_done:
            self._handled[new] = handled
            self.renamed.append((old, new))

    def _is_new(self, path: Path, state: FileState) -> bool:
        handled = self._handled.get(path)
        return handled is None or handled.state != state

    def _is_open(self, path: Path, state: FileState, now: float) -> bool:
        again_at = self._handled[path].again_at if path in self._handled else None
        return self._is_new(path, state) or (again_at is not None and now >= again_at)
