"""`FolderChanges`: waits for changes in a folder.

Uses events of the system; without them, the folder is scanned every few seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import missing_package

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FolderChanges", "file_system"]


_LOOK_SECONDS = 60.0
"""Interval of scans without an event: events may be lost, and a folder may be mounted again."""
_POLL_SECONDS = 5.0
"""Interval if the system has no events."""
_SLICE_SECONDS = 0.25
"""Longest time in which no signal is noticed."""
_CALM_SECONDS = 0.5
"""Events come in bursts: the folder is scanned once for all of them."""
_REMOTE = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "gpfs",
    "virtiofs", "vboxsf", "vmhgfs", "drvfs", "prl_fs",
})  # fmt: skip
"""File systems that other machines change, for which the system has no events."""


class FolderChanges:
    """A context that waits for changes in a folder."""

    def __init__(self, folder: Path, *, recursive: bool = False) -> None:
        self._folder, self._recursive = folder, recursive
        self._changed = threading.Event()
        self._observer: Any = None
        self._identity: tuple[int, int] | None = None
        self.polls = ""
        """Why the folder is polled; empty if the system has events."""

    def __enter__(self) -> FolderChanges:
        kind = file_system(self._folder)
        if kind in _REMOTE or kind.startswith("fuse."):
            self.polls = f"lies on {kind}, where the system does not say what others change"
        else:
            self._observe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def wait(self, stop: threading.Event, seconds: float | None) -> None:
        """Wait for a change, for stop, or for so many seconds; None: for the next scan."""
        longest = _POLL_SECONDS if self.polls else _LOOK_SECONDS
        end = time.monotonic() + (longest if seconds is None else min(seconds, longest))
        while not stop.is_set() and (left := end - time.monotonic()) > 0:
            if self._changed.wait(min(left, _SLICE_SECONDS)):
                stop.wait(min(left, _CALM_SECONDS))
                break
        self._changed.clear()
        if not self.polls and _identity(self._folder) != self._identity:  # created or mounted again
            self._end()
            self._observe()

    def _observe(self) -> None:
        self._identity = _identity(self._folder)
        if self._identity is None:
            return  # looked for again at the next wait
        try:
            from watchdog.events import FileSystemEventHandler
            from watchdog.observers import Observer
        except ModuleNotFoundError:
            self.polls = str(missing_package("being told of changes by the system", "watchdog", "serve"))
            return

        changed = self._changed

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: Any) -> None:
                if event.event_type not in {"opened", "closed_no_write"}:  # our own reading
                    changed.set()

        observer = Observer()
        try:
            observer.schedule(Handler(), os.fspath(self._folder), recursive=self._recursive)
            observer.start()
        except OSError as error:  # no inotify here, or no more watches
            self.polls = f"the system gives no events: {error.strerror}"
            return
        self._observer = observer

    def _end(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def file_system(folder: Path, mounts: str = "/proc/self/mountinfo") -> str:
    """The type of the file system that holds a folder, as Linux names it; empty if unknown."""
    if not sys.platform.startswith("linux"):
        return ""
    real, longest, kind = os.path.realpath(folder), "", ""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, rest = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not rest:
            continue
        place = _unescaped(fields[4])
        inside = real == place or real.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(longest):  # of two at one mount point, the later one hides the other
            longest, kind = place, rest.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    """Replace the octal codes that the kernel writes for spaces and the like in paths."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text
