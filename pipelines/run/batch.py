"""`upscale_videos`: several videos, one after another.

On a cluster the next one begins as soon as workers are idle.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING

from models.errors import Interrupted, UsageError, VsrError
from pipelines.plan.events import Event, Planned
from pipelines.plan.output_names import is_folder, same_name_key
from pipelines.run.job import Job
from pipelines.run.remote_job import RemoteJob, upscale_remote
from pipelines.run.worker_pools import open_workers
from pipelines.storage.atomic_file import not_made

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pipelines.pool.interface import WorkerPool
    from pipelines.run.inputs import Input
    from pipelines.settings.run_settings import RunSettings

__all__ = ["NameClashError", "name_clashes", "upscale_videos"]


_OPEN = 32
"""Videos that may be in progress at once: each holds its plan in memory."""
_AHEAD = 2
"""Videos that are in progress even if there is enough work, so that the next is planned when the first runs
out of chunks."""


def upscale_videos(
    inputs: Sequence[Input],
    settings: RunSettings,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    stop: threading.Event | None = None,
) -> Iterator[tuple[Path, Event | VsrError]]:
    """Upscale videos as `upscale_video` does.

    Yields (source, event), and (source, error) for one that failed. No two outputs get the same name, and
    none that of an input. stop: when set, current chunks are finished and kept, and nothing else is begun.
    Videos whose output would get the name of another's are refused before the first begins. Raises UsageError
    if the cluster of the settings can't be joined.
    """
    each = _Each(inputs, settings, stop or threading.Event(), overwrite=overwrite, fresh=fresh)
    clashes = dict(name_clashes(inputs, settings))
    yield from clashes.items()
    inputs = [one for one in inputs if one.path not in clashes]
    if settings.cluster is None or len(inputs) == 1:
        for one in inputs:
            try:
                for event in each.upscale(one, None):
                    yield one.path, event
            except VsrError as error:
                yield one.path, error
            if each.stop.is_set():
                return
        return
    with open_workers(settings.execution) as workers:
        batch = _Batch(inputs, each, workers)
        try:
            yield from batch.events()
        finally:
            batch.close()


class NameClashError(UsageError):
    """An output would get the name of an input, or of another's output."""


def _clash(source: Path, target: Path, owner: Path) -> NameClashError:
    is_input = same_name_key(owner) == same_name_key(target)
    what = "the name of that input" if is_input else f"the name of the result of {owner}, too"
    apart = "name them apart by --output-template, or choose another -o"
    alone = "give it a command of its own, with another -o"
    return NameClashError(f"{source}: its result would be {target}, {what}; {apart if is_input else alone}")


def name_clashes(inputs: Sequence[Input], settings: RunSettings) -> Iterator[tuple[Path, NameClashError]]:
    """Videos that would get an output name that is taken, as far as their names and sizes tell.

    Only videos with names that begin alike are examined; a name found to be taken later is refused then.
    """
    has_stem = "{stem}" in settings.output_template
    places = [(one, _place(one, has_stem=has_stem)) for one in inputs if one.url is None]
    stems = Counter(place for _, place in places)
    taken = {same_name_key(one.path): one.path for one in inputs}
    names = {(folder, name) for _, (folder, stem) in places for name in _beginnings(stem)}
    for one, place in places:
        if stems[place] < 2 and (place[0], f"{place[1]}.") not in names:
            continue
        try:
            target = Job(one.path, one.output, settings).expected_output()
        except VsrError:
            continue  # reported when it begins
        owner = taken.setdefault(same_name_key(target), one.path) if target is not None else one.path
        if target is not None and owner is not one.path:
            yield one.path, _clash(one.path, target, owner)


def _place(one: Input, *, has_stem: bool) -> tuple[str, str]:
    """The folder of an output, and the beginning of its name, if that is the input's."""
    folder = one.output if one.output is not None and is_folder(one.output) else one.path.parent
    return same_name_key(folder), one.path.stem.casefold() if has_stem else ""


def _beginnings(stem: str) -> list[str]:
    """What may be another's stem in the name of its output, each with its dot: "a." and "a.b." of a.b.c."""
    parts = stem.split(".")
    return [f"{'.'.join(parts[:count])}." for count in range(1, len(parts))]


class _Each:
    """Upscales each video of a batch; safe to call from several threads."""

    def __init__(
        self,
        inputs: Iterable[Input],
        settings: RunSettings,
        stop: threading.Event,
        *,
        overwrite: bool,
        fresh: bool,
    ) -> None:
        self.stop = stop
        self._settings, self._overwrite, self._fresh = settings, overwrite, fresh
        self._lock = threading.Lock()
        self._taken = {same_name_key(one.path): one.path for one in inputs}

    def upscale(self, one: Input, workers: WorkerPool | None) -> Iterator[Event]:
        """The events of one video. Raises the errors of its job."""
        if one.output is not None and one.is_mirrored:
            try:
                one.output.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise not_made(one.output, error) from error

        job = Job(
            one.path, one.output, self._settings, overwrite=self._overwrite, fresh=self._fresh,
            stop=self.stop, workers=workers, claim=lambda target: self._claim(target, one.path),
        )  # fmt: skip
        if one.url is None and one.output_url is None:
            return job.run()
        return upscale_remote(RemoteJob(job, one.url, one.output_url))

    def _claim(self, target: Path, source: Path) -> None:
        """Reserve an output name for one source. Raises UsageError if it belongs to another."""
        key = same_name_key(target)
        with self._lock:
            owner = self._taken.setdefault(key, source)
            if owner is not source:
                raise _clash(source, target, owner)


class _Batch:
    """Videos in progress, each in a separate thread; workers serve the first one first."""

    def __init__(self, inputs: Sequence[Input], each: _Each, workers: WorkerPool) -> None:
        self._waiting = deque(inputs)
        self._each, self._workers, self._stop = each, workers, each.stop
        self._out: queue.Queue[tuple[Path, Event | BaseException | None]] = queue.Queue(maxsize=64)
        self._closing = threading.Event()
        self._open: dict[Path, threading.Thread] = {}
        self._planning: set[Path] = set()

    def events(self) -> Iterator[tuple[Path, Event | VsrError]]:
        """Yield the events of all videos until all are done."""
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
                # reported after the others have finished their current work, too
                interrupted = interrupted or (
                    source,
                    event,
                )
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
        """Begin videos while there is too little work; returns whether any is left."""
        hungry = len(self._open) < _AHEAD or (not self._planning and self._workers.waiting() == 0)
        if self._waiting and hungry and len(self._open) < _OPEN and not self._stop.is_set():
            one = self._waiting.popleft()
            self._planning.add(one.path)
            self._open[one.path] = threading.Thread(target=self._upscale, args=(one,), daemon=True)
            self._open[one.path].start()
        return bool(self._waiting) and not self._stop.is_set()

    def _upscale(self, one: Input) -> None:
        try:
            with contextlib.closing(self._each.upscale(one, self._workers)) as events:  # type: ignore[type-var]
                for event in events:
                    if not self._tell(one.path, event):
                        return
        except BaseException as error:  # noqa: BLE001 - carried to the thread that reads the events
            self._tell(one.path, error)
        finally:
            self._tell(one.path, None)

    def _tell(self, source: Path, event: Event | BaseException | None) -> bool:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Full):
                self._out.put((source, event), timeout=0.2)
                return True
        return False

    def close(self) -> None:
        """Stop everything in progress."""
        self._closing.set()
        for thread in self._open.values():
            thread.join()
