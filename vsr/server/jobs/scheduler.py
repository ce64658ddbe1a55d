"""`JobScheduler`: starts queued jobs, up to a number at a time, and stops running ones on request."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vsr.server.jobs.job_process import JobProcess
from vsr.server.jobs.job_queue import WAITING, UnknownJobError, WrongStateError
from vsr.server.roots import OutsideError

if TYPE_CHECKING:
    from vsr.server.jobs.job_process import Commands
    from vsr.server.jobs.job_queue import JobQueue, QueuedJob
    from vsr.server.roots import Roots

__all__ = ["JobScheduler"]


_TRY_AGAIN_SECONDS = 5.0


class JobScheduler:
    """Starts jobs in a separate thread; each running job has another thread."""

    def __init__(self, queue: JobQueue, roots: Roots, commands: Commands, parallel: int = 1) -> None:
        self._queue, self._roots, self._commands, self._parallel = queue, roots, commands, parallel
        self._running: dict[str, JobProcess] = {}
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="scheduler")

    def begin(self) -> None:
        """Recover the jobs of an earlier server, and start."""
        self._queue.recover()
        self._thread.start()

    def wake(self) -> None:
        """Check the queue again."""
        with self._changed:
            self._changed.notify_all()

    def close(self, *, at_once: bool = False) -> None:
        """Ask running jobs to stop after their current chunk, or at once; they stay queued.

        No more jobs are started.
        """
        with self._changed:
            self._is_closing = True
            running = list(self._running.values())
            self._changed.notify_all()
        for process in running:
            process.leave(at_once=at_once)

    def wait(self, seconds: float) -> bool:
        """Wait up to this time for all jobs to end; returns whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of running commands, by job."""
        with self._changed:
            return {job_id: process.pid for job_id, process in self._running.items()}

    def pause(self, job_id: str) -> QueuedJob:
        """Pause a queued job until it is resumed; a running one stops after its current chunk."""
        job = self._queue.job(job_id)
        if job.state == "running":
            return self._request(job_id, "pause")
        return self._queue.change(job_id, ["queued"], state="paused")

    def resume(self, job_id: str) -> QueuedJob:
        """Queue a paused job again, at its place; one that is just being paused continues afterwards."""
        job = self._queue.job(job_id)
        if job.state == "running" and job.request == "pause":
            return self._queue.change(job_id, ["running"], request=None)
        job = self._queue.change(job_id, ["paused"], state="queued")
        self.wake()
        return job

    def cancel(self, job_id: str) -> QueuedJob:
        """Cancel a job; finished chunks are kept, and a retry continues from there."""
        if self._queue.job(job_id).state == "running":
            return self._request(job_id, "cancel")
        return self._queue.end(job_id, ["queued", "paused"], "cancelled")

    def retry(self, job_id: str) -> QueuedJob:
        """Queue a failed or cancelled job again, at the end."""
        last = max((j.place for j in self._queue.jobs() if j.state in WAITING), default=0)
        job = self._queue.change(
            job_id,
            ["failed", "cancelled"],
            state="queued",
            place=last + 1,
            ended=None,
            error=None,
            exit_code=None,
            request=None,
            crashes=0,
        )
        self.wake()
        return job

    def _request(self, job_id: str, what: str) -> QueuedJob:
        job = self._queue.change(job_id, ["running"], request=what)
        with self._changed:
            process = self._running.get(job_id)
        if process is not None:
            process.stop(at_once=what == "cancel")
        return job

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._is_closing:
                    return
                try:
                    job = self._next()
                    if job is None:
                        self._changed.wait()
                    else:
                        self._start(job)
                except sqlite3.OperationalError:  # probably a full disk; later there may be space
                    self._changed.wait(_TRY_AGAIN_SECONDS)

    def _next(self) -> QueuedJob | None:
        if len(self._running) >= self._parallel:
            return None
        return self._queue.next_queued({process.film for process in self._running.values()})

    def _start(self, job: QueuedJob) -> None:
        started = job.started or time.time()
        try:
            job = self._queue.change(
                job.id, ["queued"], state="running", started=started, attempts=job.attempts + 1, request=None
            )
        except (WrongStateError, UnknownJobError):  # cancelled meanwhile
            return
        if self._roots.shown(Path(job.film)) is None:
            self._fail(job, "its film lies below none of this server's roots; start it with that --root", 2)
            return
        try:
            self._running[job.id] = JobProcess(self._queue, self._roots, job, self._commands, self._ended)
        except OutsideError as error:
            self._fail(job, str(error), 2)
        except OSError as error:
            self._fail(job, f"the command can't be started: {error.strerror}; see the machine's limits", 6)

    def _fail(self, job: QueuedJob, error: str, exit_code: int) -> None:
        self._queue.end(job.id, ["running"], "failed", error=error, exit_code=exit_code)

    def _ended(self, process: JobProcess) -> None:
        with self._changed:
            self._running.pop(process.job_id, None)
            self._changed.notify_all()
