"""`upscale_remote`: downloads a remote input, upscales it, and uploads the output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError, VerificationError, redacted
from pipelines.plan.events import AlreadyDone, Event, Finished, Note, Planned
from pipelines.plan.output_names import report_path
from pipelines.storage.object_store import RemoteFile, Url, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.run.job import Job

__all__ = ["RemoteJob", "upscale_remote"]


@dataclass(frozen=True)
class RemoteJob:
    """A job with a remote input or output."""

    job: Job
    """From the staging path to a local place."""
    url: Url | None
    """URL of the input; None: it is a local file."""
    output_url: Url | None
    """URL of the output: a file, or a folder with a slash at its end; None: it stays local."""

    @property
    def made_in(self) -> Path:
        """Local folder of an output that is uploaded."""
        assert self.job.output is not None
        assert self.output_url is not None
        return self.job.output if self.output_url.endswith("/") else self.job.output.parent


def upscale_remote(trip: RemoteJob) -> Iterator[Event]:
    """Download, upscale, upload; staged files are removed after the upload. Raises the errors of the job."""
    job = trip.job
    job.source.parent.mkdir(parents=True, exist_ok=True)
    if trip.url is not None:
        for text in RemoteFile(trip.url).download(job.source):
            yield Note(text)
    where = ""
    if trip.output_url is not None:
        trip.made_in.mkdir(parents=True, exist_ok=True)
        planned = job.prepare(may_replace=True)
        name = Path(planned.output).name
        where = trip.output_url + name if trip.output_url.endswith("/") else trip.output_url
        done = None if job.may_replace else _done_before(trip, where, planned.plan.ids)
        if done is not None:
            _forget(trip)
            yield done
            return
    for event in job.run():
        if isinstance(event, Planned):
            source = redacted(trip.url) if trip.url else event.input
            yield replace(event, input=source, output=redacted(where) or event.output)
        elif isinstance(event, Finished | AlreadyDone):
            if where:
                yield from _upload(trip, where, Path(event.output))
            _forget(trip)
            yield replace(event, output=redacted(where) or event.output)
        else:
            yield event


def _done_before(trip: RemoteJob, where: str, ids: frozenset[str]) -> AlreadyDone | None:
    """The existing output, if it is of this plan; None if there is none.

    ids: of the plan. Raises UsageError if another file is in the place of output or report, VerificationError
    if the output is damaged.
    """
    there = RemoteFile(Url(where), write=True).version()
    found = RemoteFile(Url(f"{where}.vsr.json")).read()
    if there is None:
        if found and "plan" not in parse_json(found):
            raise UsageError(
                f"{redacted(where)}.vsr.json: already exists, and is not the report of a result; give"
                " --overwrite to replace it, or another -o"
            )
        return None
    report, size = parse_json(found), there[0] or 0
    if ids.isdisjoint({report.get("plan"), report.get("asked")}) or report.get("bytes") != size:
        raise UsageError(
            f"{redacted(where)}: already exists and was made with other settings; give --overwrite to"
            " replace it, or another -o"
        )
    look = trip.job.settings.verify == "full"
    if look and RemoteFile(Url(where), write=True).sha256(size) != report.get("sha256"):
        raise VerificationError(
            f"{redacted(where)}: is no longer what was verified; give --overwrite to make it again"
        )
    return AlreadyDone(redacted(where), int(report.get("frames", 0)), size)


def _upload(trip: RemoteJob, where: str, made: Path) -> Iterator[Event]:
    """Upload output and report, and remove the local files."""
    if not trip.job.may_replace and RemoteFile(Url(where), write=True).version() is not None:
        raise UsageError(
            f"{redacted(where)}: was created during the run; the result is kept in {made}; give --overwrite"
            " to replace it"
        )
    yield Note(f"uploading {redacted(where)}")
    RemoteFile(Url(where), write=True).upload(made)
    RemoteFile(Url(f"{where}.vsr.json"), write=True).upload(report_path(made))
    for path in (made, report_path(made)):
        path.unlink(missing_ok=True)


def _forget(trip: RemoteJob) -> None:
    source = trip.job.source
    if trip.url is not None:
        for path in (source, source.with_name(f"{source.name}.staged.json")):
            path.unlink(missing_ok=True)
    for folder in (
        trip.made_in if trip.output_url is not None else None,
        source.parent if trip.url is not None else None,
    ):
        if folder is not None and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
