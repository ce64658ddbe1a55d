"""`JobProcess`: one job as a child process of the ordinary command."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipelines.plan.output_names import report_path
from vsr.server.child import ask_to_stop, end_now, start
from vsr.server.jobs.job_queue import UnknownJobError, WrongStateError
from vsr.server.settings_form import to_options
from vsr.views.report_words import report_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from vsr.server.jobs.job_queue import JobQueue, QueuedJob
    from vsr.server.roots import Roots

__all__ = ["Commands", "JobProcess", "result_of"]


_MOST_CRASHES = 3
"""Crashes in a row without a finished chunk after which a job fails."""
_TELL_SECONDS = 0.5
"""Interval between two reports of progress."""
_LONGEST_LINE = 1 << 20
_CANCEL_SECONDS = 10.0
_INTERRUPTED = (130, 143)


@dataclass(frozen=True)
class Commands:
    """How commands are started."""

    folder: Path
    """Working directory of the commands; it is empty."""
    cluster: str | None = None
    lock: int | None = None
    """A descriptor that they keep open while they run; the next server waits until all are closed."""


class JobProcess:
    """Runs a job to its end in its own thread; the queue is updated before `on_end` is called."""

    def __init__(
        self,
        queue: JobQueue,
        roots: Roots,
        job: QueuedJob,
        commands: Commands,
        on_end: Callable[[JobProcess], None],
    ) -> None:
        """Start the command.

        Raises OutsideError if the output path is invalid, OSError if no process can be started.
        """
        self._queue, self._roots, self._on_end = queue, roots, on_end
        self.job_id, self.film = job.id, job.film
        self._told = 0.0
        self._progress: dict[str, Any] = _first_progress(job)
        self._error: tuple[str, int] | None = None
        self._is_done = self._is_leaving = self._is_stopped = False
        self._stopping = threading.Lock()
        output = roots.resolve_new(job.settings["output"]) if "output" in job.settings else None
        arguments = [
            "run",
            job.film,
            *(["-o", str(output)] if output is not None else []),
            *to_options(job.settings),
            "--json",
        ]
        arguments += [f"--cluster={commands.cluster}"] if commands.cluster is not None else []
        self._errors: IO[bytes] = tempfile.TemporaryFile(dir=commands.folder)  # noqa: SIM115 - closed when it has ended
        lock = [commands.lock] if commands.lock is not None else []
        self._process = start(arguments, folder=commands.folder, errors=self._errors.fileno(), inherited=lock)
        threading.Thread(target=self._follow, name=f"job-{job.id}").start()

    @property
    def pid(self) -> int:
        """Process id of the command."""
        return self._process.pid

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the command after its current chunk, or at once; finished chunks are kept."""
        self._is_stopped = True
        with self._stopping:
            ask_to_stop(self._process)
        if at_once:
            threading.Thread(target=self._stop_at_once, name="job-stop", daemon=True).start()

    def leave(self, *, at_once: bool = False) -> None:
        """Stop the command because the server ends; the job stays queued."""
        self._is_leaving = True
        self.stop(at_once=at_once)

    def _stop_at_once(self) -> None:
        """Send a second request to stop, and if that does not help, kill it."""
        time.sleep(0.2)
        with self._stopping:
            ask_to_stop(self._process)
        try:
            self._process.wait(_CANCEL_SECONDS)
        except subprocess.TimeoutExpired:
            end_now(self._process)

    def _follow(self) -> None:
        """Read its lines to the end, then set the final state of the job."""
        try:
            stream = self._process.stdout
            assert stream is not None
            while line := stream.readline(_LONGEST_LINE):
                with contextlib.suppress(ValueError, KeyError, TypeError, UnknownJobError, WrongStateError):
                    self._read(json.loads(line))
            code = self._process.wait()
            with contextlib.suppress(UnknownJobError, WrongStateError):
                self._settle(code)
        finally:
            end_now(self._process)
            for file in (self._process.stdin, self._process.stdout, self._errors):
                with contextlib.suppress(OSError):
                    if file is not None:
                        file.close()
            self._on_end(self)

    def _read(self, line: dict[str, Any]) -> None:
        reader = {
            "plan": self._planned,
            "progress": self._advanced,
            "chunk": self._chunk_finished,
            "phase": self._phase,
            "note": self._note,
            "done": self._done,
            "error": self._failed,
        }.get(line["event"])
        if reader is not None:
            reader(line)

    def _planned(self, line: dict[str, Any]) -> None:
        self._queue.change(self.job_id, ["running"], output=line["output"])
        self._progress.update(done=line.get("frames_done", 0), frames=line["frames"], chunks=line["chunks"],
                              chunks_done=line["chunks_done"], phase="making frames")  # fmt: skip
        self._tell(keep=False)
        for text in (*line["notes"], *(f"left out: {text}" for text in line["dropped"])):
            self._queue.add_note(self.job_id, self._roots.redacted(text))

    def _advanced(self, line: dict[str, Any]) -> None:
        self._progress.update(
            done=line["frames"],
            frames=line["total"],
            fps=line["fps"],
            seconds_left=line["left_seconds"],
            bottleneck=line["limiting"],
            phase="making frames",
        )
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._tell(keep=False)

    def _chunk_finished(self, line: dict[str, Any]) -> None:
        self._progress.update(chunks_done=line["chunks_done"], chunks=line["chunks"])
        self._tell(keep=True)

    def _phase(self, line: dict[str, Any]) -> None:
        self._progress.update(phase=line["text"], seconds_left=None)
        self._tell(keep=False)

    def _note(self, line: dict[str, Any]) -> None:
        self._queue.add_note(self.job_id, self._roots.redacted(line["text"]))

    def _done(self, line: dict[str, Any]) -> None:
        self._is_done = True
        now = self._progress
        now.update(done=now["frames"], chunks_done=now["chunks"], seconds_left=0.0, phase="done")
        self._queue.change(self.job_id, ["running"], output=line["output"], progress=now)

    def _failed(self, line: dict[str, Any]) -> None:
        self._error = (self._roots.redacted(line["message"]), int(line["exit_code"]))

    def _tell(self, *, keep: bool) -> None:
        self._told = time.monotonic()
        self._queue.show_progress(self.job_id, dict(self._progress), keep=keep)

    def _settle(self, code: int) -> None:
        """Set the final state of the job, from the exit code."""
        job = self._queue.job(self.job_id)
        if code == 0 and self._is_done:
            words = report_words(_report(job.output))
            self._queue.end(
                job.id,
                ["running"],
                "finished",
                error=None,
                exit_code=0,
                verification=[self._roots.redacted(w) for w in words],
            )
        elif job.request == "cancel":
            self._queue.end(job.id, ["running"], "cancelled")
        elif code > 0 and code not in _INTERRUPTED:
            text, exit_code = self._error or (self._roots.redacted(_last_line(self._errors)), code)
            text = _in_settings(text)
            self._queue.end(job.id, ["running"], "failed", error=text, exit_code=exit_code)
        elif job.request == "pause":
            self._queue.change(job.id, ["running"], state="paused", request=None)
        elif (
            self._is_leaving or self._is_stopped
        ):  # to be resumed: by the next server, or because the user resumed it at once
            self._queue.change(job.id, ["running"], state="queued")
        elif job.crashes + 1 >= _MOST_CRASHES:
            text = (
                f"the command was ended {_MOST_CRASHES} times by {_ended_by(code)} without finishing a"
                " chunk; free memory, or see the system's log"
            )
            self._queue.end(job.id, ["running"], "failed", error=text, exit_code=6)
        else:
            self._queue.change(job.id, ["running"], state="queued", crashes=job.crashes + 1)


def _first_progress(job: QueuedJob) -> dict[str, Any]:
    first = {
        "done": 0,
        "frames": 0,
        "fps": 0.0,
        "bottleneck": "",
        "seconds_left": None,
        "phase": "starting",
        "chunks_done": 0,
        "chunks": 0,
    }
    return {**first, **(job.progress or {}), "fps": 0.0, "seconds_left": None, "phase": "starting"}


def _report(output: str | None) -> dict[str, Any]:
    try:
        table = json.loads(report_path(Path(output or "")).read_bytes())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def result_of(job: QueuedJob) -> Path | None:
    """The output of a finished job, if it still exists."""
    path = Path(job.output) if job.state == "finished" and job.output else None
    return path if path is not None and path.is_file() else None


_IN_SETTINGS = (
    ("give --overwrite", "submit it with overwrite=true"),
    ("another -o", "another output=ROOT/NAME"),
)
"""Remedies of the command that a job does not have -> the settings that it has."""


def _in_settings(text: str) -> str:
    """Replace remedies of the command in an error by those that a job has."""
    for option, setting in _IN_SETTINGS:
        text = text.replace(option, setting)
    return text


def _last_line(file: IO[bytes]) -> str:
    """The last line of standard error; after a bug it follows the traceback."""
    file.seek(max(0, file.seek(0, 2) - 4096))
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "the command ended without a word"


def _ended_by(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
