"""`upscale_videos`: several videos, one after the other; on a cluster the next begins where the last leaves workers idle."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import Interrupted, VsrError
from pipelines.events import Event, Planned
from pipelines.job import upscale_video
from pipelines.spans import open_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.settings import RunSettings
    from pipelines.work import Map

__all__ = ["upscale_videos"]

_OPEN = 32
"""Videos that may be under way at once: each holds its plan in memory."""
_AHEAD = 2
"""So many are open even while there is enough to do, so that the next is planned when the first runs out of chunks."""


def upscale_videos(
    sources: Sequence[Path],
    output: Path | None,
    settings: RunSettings,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    stop: threading.Event | None = None,
) -> Iterator[tuple[Path, Event | VsrError]]:
    """Upscale videos as `upscale_video` does; yields (source, event), and (source, error) for one that failed.

    stop: when set, what is under way is finished and kept, and nothing else begun. Raises UsageError where the cluster of the
    settings can't be joined.
    """
    if settings.cluster is None or len(sources) == 1:
        for source in sources:
            try:
                for event in upscale_video(source, output, settings, overwrite=overwrite, fresh=fresh, stop=stop):
                    yield source, event
            except VsrError as error:
                yield source, error
            if stop is not None and stop.is_set():
                return
        return
    with open_workers(settings) as workers:
        batch = _Batch(sources, output, settings, workers, stop or threading.Event(), overwrite=overwrite, fresh=fresh)
        try:
            yield from batch.events()
        finally:
            batch.close()


class _Batch:
    """Videos under way at once, each in a thread of its own; the workers serve the one that came first."""

    def __init__(
        self,
        sources: Sequence[Path],
        output: Path | None,
        settings: RunSettings,
        workers: Map,
        stop: threading.Event,
        *,
        overwrite: bool,
        fresh: bool,
    ) -> None:
        self._waiting = deque(sources)
        self._output, self._settings, self._workers, self._stop = output, settings, workers, stop
        self._overwrite, self._fresh = overwrite, fresh
        self._out: queue.Queue[tuple[Path, Event | BaseException | None]] = queue.Queue(maxsize=64)
        self._closing = threading.Event()
        self._open: dict[Path, threading.Thread] = {}
        self._planning: set[Path] = set()

    def events(self) -> Iterator[tuple[Path, Event | VsrError]]:
        """What happens, of all videos, until all are done."""
        interrupted: tuple[Path, Interrupted] | None = None
        while self._begin_more() or self._open:
            try:
                source, event = self._out.get(timeout=0.2)
            except queue.Empty:
                continue
            if event is None:
                self._open.pop(source).join()
                self._planning.discard(source)
            elif isinstance(event, Interrupted):
                interrupted = interrupted or (source, event)  # told when the others have finished what they are at, too
            elif isinstance(event, VsrError):
                yield source, event
            elif isinstance(event, BaseException):
                raise event
            else:
                if isinstance(event, Planned):
                    self._planning.discard(source)
                yield source, event
        if interrupted is not None:
            yield interrupted

    def _begin_more(self) -> bool:
        """Begin videos while there is too little to do; whether any is left."""
        hungry = len(self._open) < _AHEAD or (not self._planning and self._workers.waiting() == 0)
        if self._waiting and hungry and len(self._open) < _OPEN and not self._stop.is_set():
            source = self._waiting.popleft()
            self._planning.add(source)
            self._open[source] = threading.Thread(target=self._upscale, args=(source,), daemon=True)
            self._open[source].start()
        return bool(self._waiting) and not self._stop.is_set()

    def _upscale(self, source: Path) -> None:
        events = upscale_video(
            source, self._output, self._settings, overwrite=self._overwrite, fresh=self._fresh, stop=self._stop, workers=self._workers
        )
        try:
            with contextlib.closing(events):  # type: ignore[type-var]
                for event in events:
                    if not self._tell(source, event):
                        return
        except BaseException as error:  # noqa: BLE001 - carried to the thread that reads the events
            self._tell(source, error)
        finally:
            self._tell(source, None)

    def _tell(self, source: Path, event: Event | BaseException | None) -> bool:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._out.put((source, event), timeout=0.2)
                return True
        return False

    def close(self) -> None:
        """End what is under way."""
        self._closing.set()
        for thread in self._open.values():
            thread.join()
