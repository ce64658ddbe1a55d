"""Routes about jobs: the queue, frames and outputs, and events."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from pipelines.plan.output_names import report_path
from vsr.server.jobs.job_process import result_of
from vsr.server.jobs.job_queue import QueuedJob
from vsr.server.media.side_calls import BusyError
from vsr.server.services import Services
from vsr.server.settings_form import checked
from vsr.server.web.answers import JobAnswer, JobRequest, JobState, MoveRequest, StateAnswer
from vsr.server.web.event_hub import EventStream, as_event
from vsr.server.web.failures import NotFoundError, responses

__all__ = ["job_routes"]


_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
}
_SCRIPTS = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_NOTHING = "'none'"
_BINARY = {"schema": {"type": "string", "format": "binary"}}


def job_routes(services: Services) -> APIRouter:
    """Routes below /jobs, and /events."""
    routes = APIRouter()
    _about_the_queue(routes, services)
    _about_one_job(routes, services)
    _about_results(routes, services)
    return routes


def _about_the_queue(routes: APIRouter, services: Services) -> None:
    @routes.get("/jobs", response_model=list[JobAnswer], responses=responses(422))
    def jobs(
        state: JobState | None = None,
        limit: Annotated[int, Query(ge=1, le=20_000)] = 20_000,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Response:
        """Jobs that have not ended in their order, then the others, latest first."""
        return JSONResponse(services.job_tables(state, limit, offset))

    known: dict[int | str, Any] = {200: {"model": JobAnswer, "description": "the same job is already queued"}}

    @routes.post(
        "/jobs", status_code=201, response_model=JobAnswer, responses=responses(404, 422, 429, extra=known)
    )
    def submit(asked: JobRequest) -> Response:
        """Queue a film.

        A film is not queued twice with the same settings, and no two jobs have the same output.
        """
        film = services.films.film(asked.path)
        settings = checked(asked.settings)
        if "output" in settings:
            services.roots.resolve_new(settings["output"])
        services.outputs.refuse_taken(str(film), settings)
        job, is_new = services.queue.add(str(film), settings)
        services.scheduler.wake()
        return JSONResponse(services.job_table(job.id), 201 if is_new else 200)

    stream = {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "events"}

    @routes.get("/events", response_class=Response, responses=responses(429, extra={200: stream}))
    async def events() -> Any:
        """Server-sent events: `job` with a job, `queue` with all ids in order, `preview` with a preview."""
        if services.events.is_full:
            raise BusyError("too many clients listen; close some pages")
        return EventStream(services.events, as_event("queue", services.queue.ids()))


def _about_one_job(routes: APIRouter, services: Services) -> None:
    scheduler = services.scheduler
    wrong = responses(404, 409, 422)

    @routes.get("/jobs/{job_id}", response_model=JobAnswer, responses=responses(404, 422))
    def job(job_id: str) -> Response:
        """One job."""
        return JSONResponse(services.job_table(job_id))

    @routes.delete("/jobs/{job_id}", status_code=204, response_class=Response, responses=wrong)
    def forget(job_id: str) -> Response:
        """Remove a job that has ended from the list; its files stay."""
        services.queue.forget(job_id)
        return Response(status_code=204)

    @routes.post("/jobs/{job_id}/pause", response_model=JobAnswer, responses=wrong)
    def pause(job_id: str) -> Response:
        """Pause a job; a running one stops after its current chunk."""
        scheduler.pause(job_id)
        return JSONResponse(services.job_table(job_id))

    @routes.post("/jobs/{job_id}/resume", response_model=JobAnswer, responses=wrong)
    def resume(job_id: str) -> Response:
        """Resume a paused job, from its last chunk."""
        scheduler.resume(job_id)
        return JSONResponse(services.job_table(job_id))

    @routes.post("/jobs/{job_id}/cancel", response_model=JobAnswer, responses=wrong)
    def cancel(job_id: str) -> Response:
        """Cancel a job; finished chunks are kept, and a retry continues from there."""
        scheduler.cancel(job_id)
        return JSONResponse(services.job_table(job_id))

    @routes.post("/jobs/{job_id}/retry", response_model=JobAnswer, responses=wrong)
    def retry(job_id: str) -> Response:
        """Queue a failed or cancelled job again."""
        scheduler.retry(job_id)
        return JSONResponse(services.job_table(job_id))

    @routes.post("/jobs/{job_id}/move", response_model=JobAnswer, responses=wrong)
    def move(job_id: str, asked: MoveRequest) -> Response:
        """Move a job before another one, or to the end of the queue."""
        services.queue.move(job_id, asked.before)
        return JSONResponse(services.job_table(job_id))


def _about_results(routes: APIRouter, services: Services) -> None:
    queue = services.queue

    def latest(job_id: str, side: int) -> Response:
        found = services.latest(queue.job(job_id))
        if found is None:
            raise NotFoundError("no chunk of this job is finished yet; ask again later")
        return Response(found[side], media_type="image/jpeg")

    @routes.get(
        "/jobs/{job_id}/before",
        response_class=Response,
        responses=responses(404, 422, 429, picture="image/jpeg"),
    )
    def before(job_id: str) -> Response:
        """The frame of the source that matches `after`, as JPEG of its size."""
        return latest(job_id, 0)

    @routes.get(
        "/jobs/{job_id}/after",
        response_class=Response,
        responses=responses(404, 422, 429, picture="image/jpeg"),
    )
    def after(job_id: str) -> Response:
        """A frame of the latest finished chunk, as JPEG."""
        return latest(job_id, 1)

    whole = {"content": {"application/octet-stream": _BINARY}, "description": "the file"}
    part = {"content": {"application/octet-stream": _BINARY}, "description": "a part of it"}
    none = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "no such part"}

    @routes.get(
        "/jobs/{job_id}/result",
        response_class=Response,
        responses=responses(404, 422, extra={200: whole, 206: part, 416: none}),
    )
    def result(job_id: str, download: bool = False) -> Response:
        """The output file; with a Range header, a part of it."""
        path = _result(queue.job(job_id))
        kind = "attachment" if download else "inline"
        disposition = f"{kind}; filename*=UTF-8''{quote(path.name, errors='replace')}"
        return FileResponse(
            path,
            media_type=_TYPES.get(path.suffix.lower(), "application/octet-stream"),
            headers={"content-disposition": disposition},
        )

    @routes.get("/jobs/{job_id}/report", response_model=dict[str, Any], responses=responses(404, 422))
    def report(job_id: str) -> Response:
        """The verification report of the output."""
        try:
            table = json.loads(report_path(_result(queue.job(job_id))).read_bytes())
        except (OSError, ValueError) as error:
            raise NotFoundError("the report of this result is not there any more") from error
        return JSONResponse(_without_paths(table, services))

    page = {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "the page"}
    made = {"model": StateAnswer, "description": "it is being made; ask again in a few seconds"}

    @routes.get(
        "/jobs/{job_id}/compare",
        response_class=Response,
        responses=responses(404, 422, 429, extra={200: page, 202: made}),
    )
    def compare(job_id: str) -> Response:
        """A `vsr compare` page of the output and its film, made on the first request."""
        job = queue.job(job_id)
        _result(job)
        found = services.answers.compare_page(job)
        if found is None:
            return JSONResponse({"state": "running"}, 202)
        text = services.roots.redacted_page(found.read_text(encoding="utf-8"))
        return HTMLResponse(
            text, headers={"content-security-policy": _policy_of(text), "x-frame-options": "SAMEORIGIN"}
        )


def _result(job: QueuedJob) -> Path:
    path = result_of(job)
    if path is None:
        raise NotFoundError(
            f"the job is {job.state}, and has no result"
            if job.state != "finished"
            else "the result is not there any more"
        )
    return path


def _without_paths(value: Any, services: Services) -> Any:
    if isinstance(value, str):
        return services.roots.redacted(value)
    if isinstance(value, list):
        return [_without_paths(one, services) for one in value]
    if isinstance(value, dict):
        return {key: _without_paths(one, services) for key, one in value.items()}
    return value


def _policy_of(page: str) -> str:
    """A content security policy under which a page runs its own scripts only.

    Its origin is a separate one, without cookies.
    """
    digests = (hashlib.sha256(text.encode()).digest() for text in _SCRIPTS.findall(page))
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data:; media-src data:;"
        f" style-src 'unsafe-inline'; script-src {scripts or _NOTHING};"
        " frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
