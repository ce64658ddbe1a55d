"""`Services`: all parts of a running server, created and closed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.storage.cache_folder import cache_folder
from vsr.server.jobs.expected_outputs import ExpectedOutputs
from vsr.server.jobs.job_process import Commands
from vsr.server.jobs.job_queue import JobQueue
from vsr.server.jobs.scheduler import JobScheduler
from vsr.server.media.command_answers import CommandAnswers
from vsr.server.media.films import FilmLibrary
from vsr.server.media.latest_frames import LatestFrames
from vsr.server.media.side_calls import MediaCalls
from vsr.server.web.event_hub import EventHub
from vsr.server.web.job_views import job_table, preview_table

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from vsr.server.jobs.job_queue import QueuedJob
    from vsr.server.media.command_answers import PreviewWork
    from vsr.server.roots import Roots

__all__ = ["ServerOptions", "Services"]


@dataclass(frozen=True)
class ServerOptions:
    """Settings of a server."""

    parallel: int = 1
    cluster: str | None = None
    upload_bytes: int | None = None
    """Largest upload; None for no uploads."""


class Services:
    """All parts of a running server; created before the first request.

    `begin` starts jobs, `close` ends everything but running jobs, which `scheduler` stops.
    """

    def __init__(self, roots: Roots, data: Path, offer: ServerOptions, lock: int | None = None) -> None:
        """data: folder of the queue. lock: of `Commands`."""
        self.roots, self.offer = roots, offer
        commands = data / "commands"
        commands.mkdir(parents=True, exist_ok=True)
        self.events = EventHub()
        self.queue = JobQueue(data / "queue.sqlite", self._changed)
        self.media = MediaCalls(roots, commands)
        self.films = FilmLibrary(roots, self.media, cache_folder() / "stills")
        self.outputs = ExpectedOutputs(self.queue, roots, self.media)
        self.latest = LatestFrames(self.media)
        self.answers = CommandAnswers(roots, self.films, data / "made", self._previewed)
        self.scheduler = JobScheduler(
            self.queue, roots, Commands(commands, offer.cluster, lock), offer.parallel
        )

    def close(self) -> None:
        """Close everything, once no job runs."""
        self.answers.close()
        self.media.close()
        self.queue.close()

    def job_table(self, job_id: str) -> dict[str, Any]:
        """The current state of a job. Raises UnknownJobError."""
        return job_table(self.queue.job(job_id), self.roots, self.queue.positions().get(job_id))

    def job_tables(self, state: str | None, limit: int, offset: int) -> list[dict[str, Any]]:
        """Jobs in their order."""
        positions = self.queue.positions()
        return [
            job_table(job, self.roots, positions.get(job.id)) for job in self.queue.jobs(state, limit, offset)
        ]

    def _changed(self, job: QueuedJob | None) -> None:
        if job is None:
            self.events.publish("queue", "", self.queue.ids)
        else:
            self.events.publish("job", job.id, lambda: self.job_table(job.id))

    def _previewed(self, work: PreviewWork) -> None:
        self.events.publish("preview", work.id, lambda: preview_table(work))
