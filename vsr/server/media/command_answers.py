"""`CommandAnswers`: plans, previews, comparisons and the doctor's findings, from ordinary commands."""

from __future__ import annotations

import queue
import secrets
import shlex
import shutil
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UsageError
from vsr.server.jobs.job_process import result_of
from vsr.server.media.films import file_key
from vsr.server.media.side_calls import BusyError, CommandCalls, ConcurrencyLimit, RefusedError
from vsr.server.settings_form import to_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from vsr.server.jobs.job_queue import QueuedJob
    from vsr.server.media.films import FilmLibrary
    from vsr.server.roots import Roots

__all__ = ["CommandAnswers", "PreviewWork"]


_PLAN_SECONDS, _MEASURE_SECONDS, _PREVIEW_SECONDS, _COMPARE_SECONDS, _DOCTOR_SECONDS = (
    120.0,
    600.0,
    900.0,
    6 * 3600.0,
    180.0,
)
_MOST_PLANS, _MOST_PREVIEWS, _MOST_WAITING = 64, 20, 8
_FINDINGS_SECONDS = 600.0
_FOUND_DIFFERENCES = 7
"""Exit code of a comparison that has found a difference; its page shows it."""
_NOT_FIT = 6
"""Exit code of the doctor if a run would not work."""


@dataclass
class PreviewWork:
    """A requested preview."""

    id: str
    path: str
    film: Path
    settings: dict[str, Any]
    moments: list[float]
    state: str = "queued"
    error: str | None = None
    exit_code: int | None = None
    shown: list[tuple[float, Path, Path]] = field(default_factory=list)
    """Seconds, and the files before and after."""
    models: list[dict[str, Any]] = field(default_factory=list)


class CommandAnswers:
    """Caches results until the files they depend on change."""

    def __init__(
        self, roots: Roots, films: FilmLibrary, folder: Path, on_preview: Callable[[PreviewWork], None]
    ) -> None:
        """folder: where previews and pages of comparisons are kept.

        on_preview: called when the state of a preview changes.
        """
        self._roots, self._films, self._on_preview = roots, films, on_preview
        commands = folder / "commands"
        commands.mkdir(parents=True, exist_ok=True)
        self._calls = CommandCalls(roots, commands, at_once=2, waiting=16)
        self._preview_calls = CommandCalls(roots, commands, at_once=1, waiting=0)
        self._compare_calls = CommandCalls(roots, commands, at_once=1, waiting=_MOST_WAITING)
        self._previews_folder, self._pages_folder = folder / "previews", folder / "pages"
        for place in (self._previews_folder, self._pages_folder):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        self._lock = threading.Lock()
        self._plans: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._previews: OrderedDict[str, PreviewWork] = OrderedDict()
        self._waiting: queue.Queue[PreviewWork | None] = queue.Queue()
        self._pages: dict[str, RefusedError | None] = {}
        """Running comparisons (None), and failed ones."""
        self._findings: tuple[float, dict[str, Any]] | None = None
        self._doctor = ConcurrencyLimit(at_once=1, waiting=4)
        threading.Thread(target=self._make_previews, name="previews", daemon=True).start()

    def close(self) -> None:
        """Stop running commands, and accept no more."""
        self._waiting.put(None)
        for calls in (self._calls, self._preview_calls, self._compare_calls):
            calls.close()

    def plan(self, path: str, settings: dict[str, Any], *, measure: bool) -> dict[str, Any]:
        """Result of `vsr plan`. Raises OutsideError, BusyError, RefusedError."""
        film = self._films.film(path)
        key = file_key(film, sorted(settings.items()), measure)
        with self._lock:
            if key in self._plans:
                return self._plans[key]
        options = [
            *self._output(settings),
            *to_options(settings, of_run=False),
            *(["--measure"] if measure else []),
        ]
        events = self._calls(
            "plan", str(film), *options, "--json", seconds=_MEASURE_SECONDS if measure else _PLAN_SECONDS
        )
        answer = self._plan_answer(next(e for e in events if e["event"] == "plan"), path, settings)
        with self._lock:
            self._plans[key] = answer
            while len(self._plans) > _MOST_PLANS:
                self._plans.popitem(last=False)
        return answer

    def _output(self, settings: dict[str, Any]) -> list[str]:
        return ["-o", str(self._roots.resolve_new(settings["output"]))] if "output" in settings else []

    def _plan_answer(self, plan: dict[str, Any], path: str, settings: dict[str, Any]) -> dict[str, Any]:
        shown = [f"-o {shlex.quote(settings['output'])}"] if "output" in settings else []
        lines = [self._roots.redacted(line) for line in plan["lines"]]
        reason = next((n for n in plan["notes"] if n.startswith("restoration level")), "")
        return {
            "lines": lines,
            "network": "+".join(plan["models"]),
            "reason": reason
            or (
                "as asked for"
                if settings.get("model", "auto") != "auto"
                else "the default of this machine, for a clean source"
            ),
            "width": plan["size"][0],
            "height": plan["size"][1],
            "frames": plan["frames"],
            "seconds": plan.get("estimated_seconds"),
            "fps": plan.get("estimated_fps"),
            "bytes": plan.get("estimated_output_bytes", plan["estimated_bytes"]),
            "disk": plan.get("estimated_disk_bytes"),
            "free": plan.get("free_bytes"),
            "output": self._roots.shown(Path(plan["output"])) or self._roots.redacted(plan["output"]),
            "command": " ".join(
                ["vsr run", shlex.quote(path), *shown, *map(shlex.quote, to_options(settings))]
            ),
        }

    def start_preview(self, path: str, settings: dict[str, Any], moments: list[float]) -> PreviewWork:
        """Queue a preview. Raises OutsideError, BusyError, and UsageError for a chain of networks."""
        if "," in settings.get("model", ""):
            raise UsageError(
                "a chain of networks can't be previewed; name one network, or queue a part of the"
                " film by range"
            )
        work = PreviewWork(secrets.token_hex(8), path, self._films.film(path), settings, sorted(set(moments)))
        with self._lock:
            if sum(p.state == "queued" for p in self._previews.values()) >= _MOST_WAITING:
                raise BusyError("too many previews are waiting; ask again when some are done")
            self._previews[work.id] = work
            ended = [p for p in self._previews.values() if p.state in {"done", "failed"}]
            for old in ended[: max(0, len(self._previews) - _MOST_PREVIEWS)]:
                del self._previews[old.id]
                shutil.rmtree(self._previews_folder / old.id, ignore_errors=True)
        self._waiting.put(work)
        return work

    def preview(self, preview_id: str) -> PreviewWork | None:
        """A requested preview, while it is in memory."""
        with self._lock:
            return self._previews.get(preview_id)

    def _make_previews(self) -> None:
        while (work := self._waiting.get()) is not None:
            work.state = "running"
            self._on_preview(work)
            try:
                self._make_preview(work)
                work.state = "done"
            except RefusedError as error:
                work.state, work.error, work.exit_code = "failed", error.text, error.exit_code
            except Exception as error:  # noqa: BLE001 - the next one may do better
                work.state, work.error, work.exit_code = "failed", self._roots.redacted(str(error)), 1
            self._on_preview(work)

    def _make_preview(self, work: PreviewWork) -> None:
        folder = self._previews_folder / work.id
        model = work.settings.get("model")
        models = [f"--models=lanczos,{model}"] if model not in {None, "auto"} else []
        moments = [f"--at={moment:.3f}" for moment in work.moments]
        options = to_options(work.settings, of_run=False, without=("model", "range"))
        events = self._preview_calls(
            "preview",
            str(work.film),
            "-o",
            str(folder),
            *moments,
            *models,
            *options,
            "--json",
            seconds=_PREVIEW_SECONDS,
        )
        found = next(e for e in events if e["event"] == "preview")
        work.models = [{**m, "licence": self._roots.redacted(m["licence"])} for m in found["models"]]
        work.shown = [
            (moment["seconds"], Path(moment["files"][0]), Path(moment["files"][len(work.models) - 1]))
            for moment in found["moments"]
        ]

    def compare_page(self, job: QueuedJob) -> Path | None:
        """The page that compares a finished job's output with its source; None while it is being made.

        Raises RefusedError, BusyError.
        """
        result = result_of(job)
        if result is None or not Path(job.film).is_file():
            raise RefusedError("the result or its film is not there any more; nothing can be compared", 3)
        key = file_key(result)
        page = self._pages_folder / f"{key}.html"
        if page.is_file():
            return page
        with self._lock:
            if key in self._pages:
                error = self._pages[key]
                if error is not None:
                    del self._pages[key]  # the next request tries again
                    raise error
                return None
            if sum(value is None for value in self._pages.values()) >= _MOST_WAITING:
                raise BusyError("too many comparisons are under way; ask again when some are done")
            self._pages[key] = None
        threading.Thread(
            target=self._make_page, args=(key, job.film, str(result), page), name="compare", daemon=True
        ).start()
        return None

    def _make_page(self, key: str, film: str, result: str, page: Path) -> None:
        error: RefusedError | None = None
        try:
            self._compare_calls(
                "compare",
                film,
                result,
                "--report",
                str(page),
                "--json",
                seconds=_COMPARE_SECONDS,
                allowed=(0, _FOUND_DIFFERENCES),
            )
        except RefusedError as refused:
            error = refused
        except Exception as other:  # noqa: BLE001 - reported to the next caller
            error = RefusedError(self._roots.redacted(str(other)), 1)
        with self._lock:
            if error is None:
                self._pages.pop(key, None)
            else:
                self._pages[key] = error

    def findings(self) -> dict[str, Any]:
        """Result of `vsr doctor`, for the first root's disk; cached for ten minutes.

        Raises BusyError, RefusedError.
        """
        with self._doctor.one():
            if self._findings is None or time.monotonic() - self._findings[0] > _FINDINGS_SECONDS:
                folder = next(iter(self._roots.folders.values()))
                events = self._calls(
                    "doctor", str(folder), "--json", seconds=_DOCTOR_SECONDS, allowed=(0, _NOT_FIT)
                )
                found = [
                    {key: self._roots.redacted(str(e[key])) for key in ("subject", "text", "level", "remedy")}
                    for e in events
                    if e["event"] == "finding"
                ]
                works = next(bool(e["works"]) for e in events if e["event"] == "done")
                self._findings = (time.monotonic(), {"works": works, "findings": found})
            return self._findings[1]
