"""The queue on disk: order, states, and recovery after a server was killed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from vsr.server.jobs import job_queue
from vsr.server.jobs.job_queue import JobQueue, QueuedJob, QueueFullError, UnknownJobError, WrongStateError
from vsr.server.roots import OutsideError, Roots
from vsr.server.web.event_hub import EventHub


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "queue.sqlite")


def films(queue: JobQueue) -> list[str]:
    return [job.film for job in queue.jobs()]


def test_jobs_keep_their_order_and_ended_ones_come_behind_the_latest_first(queue: JobQueue) -> None:
    ids = [queue.add(name, {})[0].id for name in "abcd"]
    queue.move(ids[3], ids[1])
    assert films(queue) == list("adbc")
    for one in (ids[1], ids[3]):
        queue.end(one, ["queued"], "cancelled")
    assert films(queue) == list("acdb")
    assert queue.positions() == {ids[0]: 0, ids[2]: 1}
    assert queue.ids() == [job.id for job in queue.jobs()]


def test_a_new_process_finds_what_was_there_and_queues_what_ran(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "queue.sqlite")
    wanted = {}
    for request, state in ((None, "queued"), ("pause", "paused"), ("cancel", "cancelled")):
        job, _ = queue.add(state, {})
        queue.change(job.id, ["queued"], state="running")
        queue.change(job.id, ["running"], request=request)
        wanted[job.id] = state
    queue.show_progress(job.id, {"done": 5}, keep=True)
    again = JobQueue(tmp_path / "queue.sqlite")  # the other was killed, and closed nothing
    again.recover()
    assert {job.id: job.state for job in again.jobs()} == wanted
    assert [job.request for job in again.jobs()] == [None] * 3
    assert again.job(job.id).progress == {"done": 5}


def test_no_two_jobs_of_one_film_run_at_a_time(queue: JobQueue) -> None:
    first, second, third = (queue.add(film, {"crf": n})[0] for n, film in enumerate("aab"))
    assert queue.next_queued(set()) == first
    queue.change(first.id, ["queued"], state="running")
    assert queue.next_queued({"a"}) == third
    assert queue.next_queued({"a", "b"}) is None
    assert queue.next_queued(set()) == second


def test_a_change_from_a_state_it_may_not_come_from_changes_nothing(queue: JobQueue) -> None:
    job, _ = queue.add("a", {})
    with pytest.raises(WrongStateError, match="the job is queued"):
        queue.change(job.id, ["running"], state="paused")
    with pytest.raises(WrongStateError):
        queue.forget(job.id)
    with pytest.raises(UnknownJobError):
        queue.change("none", ["queued"], state="paused")
    with pytest.raises(UnknownJobError):
        queue.move(job.id, "none")
    assert queue.job(job.id) == job


def test_more_jobs_than_a_queue_takes_are_refused(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_queue, "MOST_WAITING", 2)
    one, _ = queue.add("a", {})
    queue.add("b", {})
    with pytest.raises(QueueFullError):
        queue.add("c", {})
    assert queue.add("a", {}) == (one, False)
    queue.end(one.id, ["queued"], "cancelled")
    assert queue.add("a", {})[1]


def test_jobs_that_have_ended_are_remembered_up_to_a_number(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "_MOST_ENDED", 2)
    for film in "abcd":
        queue.end(queue.add(film, {})[0].id, ["queued"], "cancelled")
    assert films(queue) == ["d", "c"]


def test_a_change_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "queue.sqlite")
    job, _ = queue.add("a", {})
    other = sqlite3.connect(tmp_path / "queue.sqlite")
    assert other.execute("SELECT id, state FROM jobs").fetchall() == [(job.id, "queued")]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    queue.close()


def test_changes_are_reported(tmp_path: Path) -> None:
    told: list[QueuedJob | None] = []
    queue = JobQueue(tmp_path / "queue.sqlite", told.append)
    job, _ = queue.add("a", {})
    assert told == [job, None]
    queue.show_progress(job.id, {"done": 1}, keep=False)
    assert told[2] is not None
    assert told[2].progress == {"done": 1}


def test_a_client_that_does_not_keep_up_gets_the_latest_of_each_job_alone() -> None:
    async def play() -> bytes:
        hub = EventHub()
        hub.open(asyncio.get_running_loop())
        client = hub.join(b"first\n\n")
        for number in range(1000):
            hub.publish("job", "x", lambda number=number: number)
            hub.publish("job", "y", lambda number=number: -number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await client.take()

    assert asyncio.run(play()) == b"first\n\nevent: job\ndata: 999\n\nevent: job\ndata: -999\n\n"


def test_text_has_names_in_place_of_roots_and_no_other_absolute_path(tmp_path: Path) -> None:
    root = tmp_path / "a b"
    (root / "c").mkdir(parents=True)
    roots = Roots([root, root / "c"])
    assert roots.redacted(f"{root}/x.mp4: bad; see {root}/c/y.mp4, /etc/vsr/z.toml and 1/2") == (
        "a b/x.mp4: bad; see c/y.mp4, …/z.toml and 1/2"
    )


def test_roots_of_one_name_are_distinguished_and_one_in_another_is_found_first(tmp_path: Path) -> None:
    for name in ("x/films", "y/films"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.mp4").write_bytes(b"")
    roots = Roots([tmp_path / "x" / "films", tmp_path / "y" / "films", tmp_path / "x" / "films"])
    assert list(roots.folders) == ["films", "films-2"]
    assert roots.resolve("films-2/a.mp4") == tmp_path / "y" / "films" / "a.mp4"
    assert roots.shown(tmp_path / "y" / "films" / "a.mp4") == "films-2/a.mp4"
    with pytest.raises(OutsideError):
        roots.resolve("films-3/a.mp4")
