"""Jobs and previews as sent over HTTP: names instead of paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsr.server.jobs.job_queue import QueuedJob
    from vsr.server.media.command_answers import PreviewWork
    from vsr.server.roots import Roots

__all__ = ["job_table", "preview_table"]


def job_table(job: QueuedJob, roots: Roots, position: int | None) -> dict[str, Any]:
    """A job as the fields of `JobAnswer`."""
    return {
        "id": job.id,
        "state": job.state,
        "path": _shown(roots, job.film),
        "output": _shown(roots, job.output) if job.output is not None else None,
        "settings": job.settings,
        "position": position,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
        "progress": job.progress,
        "request": job.request,
        "notes": job.notes,
        "error": job.error,
        "exit_code": job.exit_code,
        "verification": job.verification,
        "attempts": job.attempts,
    }


def _shown(roots: Roots, path: str) -> str:
    """The path below a root; only the last part of a path that is below none of this server's roots."""
    return roots.shown(path) or f"…/{Path(path).name}"


def preview_table(work: PreviewWork) -> dict[str, Any]:
    """A preview as the fields of `PreviewAnswer`."""
    base = f"/api/v1/previews/{work.id}"
    return {
        "id": work.id,
        "state": work.state,
        "path": work.path,
        "error": work.error,
        "exit_code": work.exit_code,
        "moments": [
            {"at": at, "before": f"{base}/{n}/before", "after": f"{base}/{n}/after"}
            for n, (at, _, _) in enumerate(work.shown)
        ],
        "models": work.models,
    }
