"""`ExpectedOutputs`: refuses a job if its output has the name of a waiting job's output."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UsageError
from pipelines.plan.output_names import is_folder, same_name_key
from vsr.server.media.films import file_key
from vsr.server.media.side_calls import BusyError, RefusedError
from vsr.server.roots import OutsideError

if TYPE_CHECKING:
    from vsr.server.jobs.job_queue import JobQueue, QueuedJob
    from vsr.server.media.side_calls import MediaCalls
    from vsr.server.roots import Roots

__all__ = ["ExpectedOutputs"]


_MOST_KEPT = 1024


class ExpectedOutputs:
    """Names of outputs before their jobs run; may be called from any thread."""

    def __init__(self, queue: JobQueue, roots: Roots, media: MediaCalls) -> None:
        self._queue, self._roots, self._media = queue, roots, media
        self._known: OrderedDict[str, str | None] = OrderedDict()
        self._lock = threading.Lock()

    def refuse_taken(self, film: str, settings: dict[str, Any]) -> None:
        """Raise UsageError if another job that has not ended has the same output.

        Some names are known only when the job runs; such a clash is found then. A job that may overwrite is
        not refused.
        """
        if settings.get("overwrite"):
            return
        named = self._named(settings)
        name = named.name if named is not None else Path(film).name
        waiting = self._queue.unfinished(name.partition(".")[0])
        if any((job.film, job.settings) == (film, settings) for job in waiting):
            return  # it is that job
        others = [job for job in waiting if self._may_meet(job, film, named)]
        wanted = self._of(film, settings) if others else None
        for job in others if wanted is not None else ():
            if self._of_job(job) == wanted:
                shown = self._roots.shown(film) or Path(film).name
                raise UsageError(
                    f"{shown}: its result would be {Path(str(wanted)).name}, the name of the result of job"
                    f" {job.id}, too, which is {job.state}; submit it with another output=ROOT/NAME"
                )

    def _may_meet(self, job: QueuedJob, film: str, named: Path | None) -> bool:
        """Whether a job and a film may have the same output, judging by names, which begin with the film's.

        named: the file that the film's job names as its output.
        """
        other = self._named(job.settings)
        if other is not None:
            return named == other or (named is None and other.name.startswith(f"{Path(film).stem}."))
        stem = Path(job.film).stem
        return named.name.startswith(f"{stem}.") if named is not None else stem == Path(film).stem

    def _named(self, settings: dict[str, Any]) -> Path | None:
        """The file that a job names as its output."""
        try:
            found = self._roots.resolve_new(settings["output"]) if "output" in settings else None
        except OutsideError:
            return None
        return None if found is None or is_folder(found) else found

    def _of_job(self, job: QueuedJob) -> str | None:
        return same_name_key(Path(job.output)) if job.output else self._of(job.film, job.settings)

    def _of(self, film: str, settings: dict[str, Any]) -> str | None:
        """A key of the output's path; None if the path can't be determined."""
        try:
            named = self._roots.resolve_new(settings["output"]) if "output" in settings else None
            if named is not None and not is_folder(named):
                return same_name_key(named)
            key = file_key(Path(film), json.dumps(settings, sort_keys=True))
            with self._lock:
                if key in self._known:
                    return self._known[key]
            output = str(named) if named is not None else None
            found = self._media("output", film, output, settings)["output"]
        except (OSError, OutsideError, BusyError, RefusedError):
            return None
        expected = same_name_key(Path(found)) if found is not None else None
        with self._lock:
            self._known[key] = expected
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return expected
