"""`JobQueue`: the jobs of a server in SQLite (WAL), so that they survive a killed server.

A change is on disk before it is answered. Each change of a state names the states it may come from, in one
statement.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "ENDED",
    "WAITING",
    "JobQueue",
    "QueueFullError",
    "QueuedJob",
    "UnknownJobError",
    "WrongStateError",
]


ENDED = ("finished", "failed", "cancelled")
WAITING = ("queued", "running", "paused")
MOST_WAITING = 10_000
_MOST_ENDED = 1000
"""Ended jobs that are kept in the list."""
_MOST_NOTES = 20
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
id TEXT PRIMARY KEY, state TEXT NOT NULL, film TEXT NOT NULL, settings TEXT NOT NULL, place INTEGER NOT NULL,
created REAL NOT NULL, started REAL, ended REAL, output TEXT, request TEXT, progress TEXT, notes TEXT NOT NULL
DEFAULT '[]', error TEXT, exit_code INTEGER, verification TEXT NOT NULL DEFAULT '[]', attempts INTEGER NOT
NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0 ); CREATE INDEX IF NOT EXISTS jobs_by_place ON jobs (state,
place); CREATE INDEX IF NOT EXISTS jobs_by_film ON jobs (film, state);
"""
_JSON = ("settings", "progress", "notes", "verification")
_ORDER = "ORDER BY ended IS NOT NULL, CASE WHEN ended IS NULL THEN place ELSE -ended END, place"


class UnknownJobError(Exception):
    """There is no job with that id."""


class WrongStateError(Exception):
    """The action is not possible in the state of the job."""


class QueueFullError(Exception):
    """The queue accepts no more jobs."""


@dataclass(frozen=True)
class QueuedJob:
    """A job in the queue."""

    id: str
    state: str
    film: str
    """Real path."""
    settings: dict[str, Any]
    place: int
    created: float
    started: float | None = None
    ended: float | None = None
    output: str | None = None
    """Real path, once the command has reported it."""
    request: str | None = None
    progress: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    exit_code: int | None = None
    verification: list[str] = field(default_factory=list)
    attempts: int = 0
    crashes: int = 0
    """Crashes of the command in a row, without a finished chunk between."""


class JobQueue:
    """The jobs of a server in SQLite; all methods may be called from any thread."""

    def __init__(self, file: Path, on_change: Callable[[QueuedJob | None], None] = lambda _: None) -> None:
        """on_change: called with a job that is new or has changed.

        It is called with None if the order or the set of jobs changed.
        """
        self._lock = threading.RLock()
        self._on_change = on_change
        self._live: dict[str, dict[str, Any]] = {}
        """Progress of running jobs, newer than on disk."""
        self._table = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._table.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
            self._table.execute(f"PRAGMA {pragma}")
        self._table.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._table.close()

    def add(self, film: str, settings: dict[str, Any]) -> tuple[QueuedJob, bool]:
        """Add a job at the end, or return the unfinished one of the same film and settings.

        Also returns whether it is new. Raises QueueFullError.
        """
        text = json.dumps(settings, sort_keys=True)
        with self._lock:
            same = self._table.execute(
                (
                    "SELECT * FROM jobs WHERE film = ? AND settings = ? AND state IN ('queued',"
                    " 'running', 'paused')"
                ),
                (film, text),
            ).fetchone()
            if same is not None:
                return self._job(same), False
            (waiting,) = self._table.execute("SELECT count(*) FROM jobs WHERE ended IS NULL").fetchone()
            if waiting >= MOST_WAITING:
                raise QueueFullError(f"{MOST_WAITING} jobs are waiting; cancel some, or wait for them")
            job_id = secrets.token_hex(8)
            self._table.execute(
                "INSERT INTO jobs (id, state, film, settings, place, created) "
                "SELECT ?, 'queued', ?, ?, coalesce(max(place), 0) + 1, ? FROM jobs",
                (job_id, film, text, time.time()),
            )
            job = self.job(job_id)
        self._on_change(job)
        self._on_change(None)
        return job, True

    def job(self, job_id: str) -> QueuedJob:
        """One job. Raises UnknownJobError."""
        with self._lock:
            row = self._table.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                raise UnknownJobError(job_id)
            return self._job(row)

    def jobs(self, state: str | None = None, limit: int = -1, offset: int = 0) -> list[QueuedJob]:
        """Jobs that have not ended in their order, then the others, latest first."""
        with self._lock:
            where, values = ("WHERE state = ?", [state]) if state is not None else ("", [])
            rows = self._table.execute(
                f"SELECT * FROM jobs {where} {_ORDER} LIMIT ? OFFSET ?",  # noqa: S608 - constants
                (*values, limit, offset),
            ).fetchall()
            return [self._job(row) for row in rows]

    def unfinished(self, word: str) -> list[QueuedJob]:
        """Jobs that have not ended, and have a word in the film's path or name their output."""
        with self._lock:
            rows = self._table.execute(
                (
                    "SELECT * FROM jobs WHERE ended IS NULL AND (instr(film, ?) OR instr(settings,"
                    " '\"output\"')) ORDER BY place"
                ),
                (word,),
            ).fetchall()
            return [self._job(row) for row in rows]

    def ids(self) -> list[str]:
        """Ids of all jobs, in the same order."""
        with self._lock:
            return [row[0] for row in self._table.execute(f"SELECT id FROM jobs {_ORDER}")]  # noqa: S608 - a constant

    def positions(self) -> dict[str, int]:
        """Positions of jobs that have not ended; 0 runs first."""
        with self._lock:
            rows = self._table.execute("SELECT id FROM jobs WHERE ended IS NULL ORDER BY place")
            return {row[0]: number for number, row in enumerate(rows)}

    def next_queued(self, busy_films: set[str]) -> QueuedJob | None:
        """The first queued job of a film without a running job, as two could have the same output."""
        with self._lock:
            for row in self._table.execute("SELECT * FROM jobs WHERE state = 'queued' ORDER BY place"):
                if row["film"] not in busy_films:
                    return self._job(row)
        return None

    def change(self, job_id: str, states: Sequence[str], **values: Any) -> QueuedJob:
        """Set columns of a job that is in one of these states. Raises UnknownJobError, WrongStateError."""
        columns = ", ".join(f"{name} = ?" for name in values)
        given = [json.dumps(v) if name in _JSON and v is not None else v for name, v in values.items()]
        marks = ", ".join("?" * len(states))
        with self._lock:
            done = self._table.execute(
                f"UPDATE jobs SET {columns} WHERE id = ? AND state IN ({marks})",  # noqa: S608 - names of ours
                (*given, job_id, *states),
            )
            job = self.job(job_id)
            if not done.rowcount:
                raise WrongStateError(f"the job is {job.state}; that takes one that is {' or '.join(states)}")
            if "progress" in values or job.state != "running":
                self._live.pop(job_id, None)
                job = self.job(job_id)
        self._on_change(job)
        if {"state", "place"} & values.keys():
            self._on_change(None)
        return job

    def end(self, job_id: str, states: Sequence[str], state: str, **values: Any) -> QueuedJob:
        """End a job, and remove the oldest if too many have ended."""
        with self._lock:
            job = self.change(job_id, states, state=state, ended=time.time(), request=None, **values)
            self._table.execute(
                (
                    "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE ended IS NOT NULL ORDER BY"
                    " ended DESC LIMIT -1 OFFSET ?)"
                ),
                (_MOST_ENDED,),
            )
            return job

    def show_progress(self, job_id: str, progress: dict[str, Any], *, keep: bool) -> None:
        """Set the progress of a running job. keep: also on disk."""
        with self._lock:
            self._live[job_id] = progress
            if keep:
                self._table.execute(
                    "UPDATE jobs SET progress = ?, crashes = 0 WHERE id = ?", (json.dumps(progress), job_id)
                )
            job = self.job(job_id)
        self._on_change(job)

    def add_note(self, job_id: str, text: str) -> None:
        """Store a note of the command, once; only the latest ones are kept."""
        with self._lock:
            job = self.job(job_id)
            if text not in job.notes:
                self.change(job_id, WAITING, notes=[*job.notes, text][-_MOST_NOTES:])

    def move(self, job_id: str, before: str | None) -> QueuedJob:
        """Move an unfinished job in front of another unfinished one, or to the end of the queue.

        Raises UnknownJobError, WrongStateError.
        """
        with self._lock:
            order = list(self.positions())
            for one in (job_id, *([before] if before is not None else [])):
                if one not in order:
                    raise WrongStateError(
                        f"the job is {self.job(one).state}; only jobs that have not ended have an order"
                    )
            if before != job_id:
                order.remove(job_id)
                order.insert(order.index(before) if before is not None else len(order), job_id)
                with self._transaction():
                    self._table.executemany(
                        "UPDATE jobs SET place = ? WHERE id = ?",
                        [(n + 1, one) for n, one in enumerate(order)],
                    )
            job = self.job(job_id)
        self._on_change(job)
        self._on_change(None)
        return job

    def forget(self, job_id: str) -> None:
        """Remove a job that has ended from the list; its files stay.

        Raises UnknownJobError, WrongStateError.
        """
        with self._lock:
            job = self.job(job_id)
            if job.state not in ENDED:
                raise WrongStateError(f"the job is {job.state}; cancel it first")
            self._table.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        self._on_change(None)

    def recover(self) -> list[QueuedJob]:
        """Settle jobs that were running when a server was killed.

        They are queued again at their place, or get the state they were being stopped for.
        """
        found = []
        for job in self.jobs("running"):
            if job.request == "cancel":
                found.append(self.end(job.id, ["running"], "cancelled"))
            else:
                state = "paused" if job.request == "pause" else "queued"
                found.append(self.change(job.id, ["running"], state=state, request=None))
        return found

    def _job(self, row: sqlite3.Row) -> QueuedJob:
        values = dict(row)
        for name in _JSON:
            text = values[name]
            values[name] = [] if text == "[]" else json.loads(text) if text is not None else None
        job = QueuedJob(**values)
        live = self._live.get(job.id)
        return replace(job, progress=live) if live is not None else job

    def _transaction(self) -> _Transaction:
        return _Transaction(self._table)

    def __iter__(self) -> Iterator[QueuedJob]:
        return iter(self.jobs())


class _Transaction:
    """A transaction; `sqlite3` itself begins none in autocommit mode."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def __enter__(self) -> None:
        self._table.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._table.execute("COMMIT" if kind is None else "ROLLBACK")
