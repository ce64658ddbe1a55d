"""The map over Ray actors: a private cluster, no video. Cases 39, 41, 54 to 57."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from models.errors import MediaError, ResourceError
from pipelines.pool.interface import (
    Done,
    NoneAdmittedError,
    Task,
    WorkerLost,
    WorkerReady,
    WorkerRejected,
    WorkItem,
)
from pipelines.pool.task_queue import TaskQueue
from tests import media
from tests.helpers.inline import H264, finished_of

if TYPE_CHECKING:
    from pipelines.cluster.ray_pool import RayPool

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

WORKER = "tests.pipelines.inference.cuda_stub:Standin"


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from pipelines.cluster.ray_session import RaySession

    memory = {"VSR_TEST_TILE": str(144 * 240)}  # of workers that look at it
    with RaySession("local", cpus=3, gpus=1, environment=memory) as found:  # GPUs are but a number to Ray
        yield found


@pytest.fixture
def cluster(session: Any) -> Iterator[RayPool]:
    """Two workers."""
    from pipelines.cluster.ray_pool import RayPool

    with RayPool(session, workers=2, cpus_per_worker=1, device="cpu") as found:
        yield found


def tasks_of(*payloads: tuple[str, Any]) -> list[Task]:
    return [Task(n, f"task {n}", p) for n, p in enumerate(payloads)]


def run(
    cluster: RayPool,
    *payloads: tuple[str, Any],
    setup: dict[str, Any] | None = None,
    pieces: Any = (1, 2),
    **more: Any,
) -> list[Any]:
    return list(
        cluster.run_tasks(
            tasks_of(*payloads),
            worker=WORKER,
            setup=setup or {},
            feed=lambda number, task: iter(pieces),
            **more,
        )
    )


def items(events: list[Any], key: int) -> list[Any]:
    return [
        e.value for e in events if isinstance(e, WorkItem) and e.key == key and not isinstance(e.value, tuple)
    ]


def keys_done(events: list[Any]) -> list[int]:
    return sorted(e.key for e in events if isinstance(e, Done))


def test_every_task_is_done_once_by_workers_that_are_named(cluster: RayPool) -> None:
    events = run(cluster, *[("work", None)] * 7)
    assert keys_done(events) == list(range(7))
    assert all(items(events, n) == [2, 4] for n in range(7))
    hosts = {e.host for e in events}
    assert hosts == {os.uname().nodename}
    assert {e.pid for e in events if isinstance(e, WorkerReady)} >= {
        e.value[1] for e in events if isinstance(e, WorkItem) and isinstance(e.value, tuple)
    }


def test_a_long_input_is_fed_while_it_is_worked_on(cluster: RayPool) -> None:
    asked = []

    def feed(number: int, task: Task) -> Iterator[bytes]:
        for n in range(60):
            asked.append(n)
            yield bytes([n]) * 1000

    first = None
    found = []
    for event in cluster.run_tasks(tasks_of(("work", None)), worker=WORKER, setup={}, feed=feed):
        if isinstance(event, WorkItem) and isinstance(event.value, bytes):
            first = first or len(asked)
            found.append(event.value)
    assert found == [bytes([n]) * 2000 for n in range(60)]
    assert first is not None
    assert first < 60, "all of it was handed over before the first result"


def test_a_killed_actor_is_replaced_and_its_task_tried_again(cluster: RayPool, tmp_path: Path) -> None:
    """Case 39."""
    events = run(cluster, ("die once", "a"), *[("work", None)] * 3, setup={"marks": str(tmp_path)})
    (lost,) = [e for e in events if isinstance(e, WorkerLost)]
    assert (lost.key, lost.host) == (0, os.uname().nodename)
    assert "died" in lost.reason
    assert keys_done(events) == [0, 1, 2, 3]
    assert all(items(events, n) == [2, 4] for n in range(4))


@pytest.mark.parametrize(("word", "reason"), [("die", "died"), ("exhausted", "no memory")])
def test_a_task_that_fails_every_time_is_named_and_given_up(cluster: RayPool, word: str, reason: str) -> None:
    """Cases 54 and 56."""
    with pytest.raises(ResourceError, match=f"task 1 failed 3 times.*{reason}"):
        run(cluster, ("work", None), (word, None))
    assert keys_done(run(cluster, ("work", None))) == [0], "the cluster is of no use afterwards"


def on_one_worker(session: Any, folder: Path, *payloads: Any, events: list[Any] | None = None) -> list[Any]:
    from pipelines.cluster.ray_pool import RayPool

    made = [] if events is None else events
    with RayPool(session, workers=1, cpus_per_worker=1, device="cpu") as cluster:
        stream = cluster.run_tasks(
            tasks_of(*payloads),
            worker=WORKER,
            setup={"marks": str(folder)},
            feed=lambda number, task: iter([task.key + 1]),
        )
        made.extend(stream)
    return made


def test_the_task_that_waited_behind_a_poisonous_one_is_not_blamed(session: Any, tmp_path: Path) -> None:
    """Case 56: it fails twice by itself, so one more would be the end of it."""
    events = on_one_worker(session, tmp_path, ("die once", "a"), ("die times", ("b", 2)))
    assert keys_done(events) == [0, 1]
    assert [e.key for e in events if isinstance(e, WorkerLost)] == [0, 1, 1]


def test_the_next_task_begins_while_the_last_one_comes_to_its_end(session: Any, tmp_path: Path) -> None:
    payloads = [
        ("drain", ("a", "next")),
        ("mark", ("b", "next")),
        ("drain", ("c", "last")),
        ("mark", ("d", "last")),
    ]
    events = on_one_worker(session, tmp_path, *payloads)
    assert keys_done(events) == [0, 1, 2, 3]
    assert [items(events, n) for n in range(4)] == [["drains"], [4], ["drains"], [8]], (
        "a task's items or input reached another"
    )


def test_what_was_next_to_a_deadly_task_is_then_alone_and_not_given_up_for_it(
    session: Any, tmp_path: Path
) -> None:
    events: list[Any] = []
    with pytest.raises(ResourceError, match="task 1 failed 3 times"):
        on_one_worker(
            session,
            tmp_path,
            ("drain", ("a", "begun", 1.0)),
            ("mark and die", ("b", "begun")),
            ("mark", ("c", "c")),
            events=events,
        )
    assert keys_done(events) == [0]
    attempts = [(tmp_path / name).read_text() if (tmp_path / name).exists() else "" for name in "abc"]
    # A death that comes before the word that the task had begun counts for the one in front of it alone.
    assert attempts in (["xx", "xxx", ""], ["xx", "xxxx", ""])


def test_a_task_that_fails_at_its_end_is_the_one_that_is_named(session: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ResourceError, match="task 0 failed 3 times, the last time because no memory at the end"
    ):
        on_one_worker(session, tmp_path, ("drain exhausted", ("a", "begun")), ("mark", ("b", "begun")))


def test_a_task_that_fails_at_its_end_is_not_blamed_on_the_one_begun_next_to_it(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blamed: list[int] = []
    blame = TaskQueue.blame
    monkeypatch.setattr(
        TaskQueue,
        "blame",
        lambda ledger, task, device=(): (blamed.append(task.key), blame(ledger, task, device)),
    )
    events = on_one_worker(
        session,
        tmp_path,
        ("drain exhausted once", ("a", "begun", "failed")),
        ("mark and hang once", ("b", "begun", "hung")),
    )
    assert keys_done(events) == [0, 1]
    assert blamed == [0]


def test_no_two_inputs_are_read_by_the_same_reader_at_a_time(cluster: RayPool, tmp_path: Path) -> None:
    """A short input that is done with must not set free the number of a long one that is still being read."""
    reading: set[int] = set()
    clashes: list[tuple[int, int]] = []

    def feed(number: int, task: Task) -> Iterator[bytes]:
        if number in reading:
            clashes.append((number, task.key))
        reading.add(number)
        try:
            for n in range(1 if task.key == 0 else 40):
                yield bytes([n]) * 1000
        finally:
            reading.discard(number)

    payloads = [("work", None), ("wait for", "go"), *[("work", None)] * 3]
    done = 0
    for event in cluster.run_tasks(
        tasks_of(*payloads), worker=WORKER, setup={"marks": str(tmp_path)}, feed=feed
    ):
        done += isinstance(event, Done)
        if done == 2:
            (tmp_path / "go").touch()
    assert not clashes


def test_a_broken_cuda_context_replaces_the_process(cluster: RayPool, tmp_path: Path) -> None:
    """Case 55."""
    events = run(cluster, ("exhausted once", "a"), ("work", None), setup={"marks": str(tmp_path)})
    (lost,) = [e for e in events if isinstance(e, WorkerLost)]
    assert "illegal memory access" in lost.reason
    assert keys_done(events) == [0, 1]


def test_a_gpu_that_failed_too_often_gets_no_more_work(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 55. It is the only one, so the work is given up."""
    from pipelines.cluster.ray_pool import RayPool

    monkeypatch.setattr("pipelines.cluster.nodes.ATTEMPTS", 1)
    events: list[Any] = []
    with (
        RayPool(session, workers=1, cpus_per_worker=1) as cluster,
        pytest.raises(ResourceError, match="every GPU of the cluster failed"),
    ):
        stream = cluster.run_tasks(
            tasks_of(("exhausted once", "a")),
            worker=WORKER,
            setup={"marks": str(tmp_path)},
            feed=lambda n, t: iter([1]),
        )
        events.extend(stream)
    assert [e.reason for e in events if isinstance(e, WorkerRejected)] == [
        f"GPU 0 of {os.uname().nodename} failed 1 times in a row and gets no more work"
    ]


def test_a_gpu_that_is_too_small_gets_smaller_tiles_and_is_not_taken_for_broken(
    session: Any, tmp_path: Path
) -> None:
    """Cases 53 and 55: it is the only one, and fails three times."""
    from pipelines.cluster.ray_pool import RayPool
    from pipelines.plan.events import Note
    from pipelines.run.job import upscale_video
    from vsr.api import run_settings

    film = media.cfr(tmp_path / "film.mp4", frames=8, size=(320, 160))
    settings = run_settings(**{**H264, "model": "deconvolution-x1"})
    with RayPool(session, workers=1, cpus_per_worker=1) as cluster:
        events = list(
            upscale_video(
                film,
                tmp_path / "out.mp4",
                settings,
                worker="tests.pipelines.pool.fast_workers:Cramped",
                workers=cluster,
            )
        )
    told = [e.text for e in events if isinstance(e, Note)]
    assert len(told) == 3
    assert all(
        f"memory ran out in the worker (MemoryError) on {os.uname().nodename}" in text for text in told[:2]
    )
    assert told[2] == "memory ran out; started again with tiles of 240x144"
    assert finished_of(events).report["tile"] == [240, 144]


def test_a_worker_may_die_twice(cluster: RayPool, tmp_path: Path) -> None:
    events = run(cluster, ("die times", ("a", 2)), ("work", None), setup={"marks": str(tmp_path)})
    assert [e.key for e in events if isinstance(e, WorkerLost)] == [0, 0]
    assert keys_done(events) == [0, 1]


@pytest.mark.parametrize("loss", ["found dead", "taken away"])
def test_the_loss_of_a_machine_does_not_use_up_an_attempt(
    cluster: RayPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    """The machine stays, and only its loss is made believe. Case 40."""
    monkeypatch.setattr("pipelines.pool.task_queue.ATTEMPTS", 1)
    if loss == "found dead":
        monkeypatch.setattr("pipelines.cluster.nodes.NodeActors.is_lost", lambda machines, node: True)
    else:
        monkeypatch.setattr("ray.exceptions.RayActorError.preempted", property(lambda error: True))
    events = run(cluster, ("die times", ("a", 2)), setup={"marks": str(tmp_path)})
    assert [e.reason for e in events if isinstance(e, WorkerLost)] == [
        f"the machine {os.uname().nodename} was lost"
    ] * 2
    assert keys_done(events) == [0]


def test_a_machine_where_no_worker_starts_is_named(cluster: RayPool, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.pipelines.pool.failing_start import Stillborn

    monkeypatch.setattr("pipelines.cluster.nodes.WorkerActor", Stillborn)
    with pytest.raises(
        ResourceError, match=f"no worker starts on {os.uname().nodename}: its worker on .* died"
    ):
        run(cluster, ("work", None))


def test_a_machine_where_no_worker_can_be_made_ready_is_named(cluster: RayPool) -> None:
    """Case 53: memory for the weights, a CUDA context.

    No task is to blame, and it is not tried without end.
    """
    with pytest.raises(
        ResourceError, match=f"no worker starts on {os.uname().nodename}: no room for the weights"
    ):
        run(cluster, ("work", None), setup={"unready": True})


def test_a_hanging_worker_is_replaced(
    cluster: RayPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 57."""
    monkeypatch.setattr("pipelines.cluster.hang_detector.SILENCE_SECONDS", 3.0)
    events = run(cluster, ("hang once", "a"), ("work", None), setup={"marks": str(tmp_path)})
    (lost,) = [e for e in events if isinstance(e, WorkerLost)]
    assert "said nothing" in lost.reason
    assert keys_done(events) == [0, 1]


def test_a_worker_that_gets_on_in_silence_is_waited_for(
    cluster: RayPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 57: a single frame may take an hour."""
    monkeypatch.setattr("pipelines.cluster.hang_detector.SILENCE_SECONDS", 3.0)
    events = run(cluster, ("get on in silence", 8.0))
    assert not [e for e in events if isinstance(e, WorkerLost)]
    assert keys_done(events) == [0]


def test_time_in_which_the_driver_itself_was_stopped_is_no_silence_of_its_workers(
    cluster: RayPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 57: Ctrl-Z, or the lid of a laptop; seen by its clock."""
    stopped = 0.0
    monkeypatch.setattr(
        "pipelines.cluster.hang_detector.time", SimpleNamespace(monotonic=lambda: time.monotonic() + stopped)
    )
    events = []
    for event in cluster.run_tasks(
        tasks_of(("talk", (3, 1.0))), worker=WORKER, setup={"silent": True}, feed=lambda n, t: iter([1])
    ):
        events.append(event)
        if isinstance(event, WorkItem):
            stopped += 10_000  # in the midst of a task, which says nothing for a while yet
    assert not [e for e in events if isinstance(e, WorkerLost)]
    assert keys_done(events) == [0]


def test_a_worker_to_whom_nobody_listens_is_not_taken_for_hung(
    cluster: RayPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it makes is not fetched while the caller has enough to read, as one whose output is looked at in a
    pager.
    """
    monkeypatch.setattr("pipelines.cluster.hang_detector.SILENCE_SECONDS", 3.0)
    events = []
    for event in cluster.run_tasks(
        tasks_of(("talk", (40, 0.01))), worker=WORKER, setup={"silent": True}, feed=lambda n, t: iter([1])
    ):
        events.append(event)
        if len(events) == 3:
            time.sleep(5)
    assert not [e for e in events if isinstance(e, WorkerLost)]
    assert keys_done(events) == [0]


def test_an_actor_that_dies_idle_is_blamed_on_nobody(cluster: RayPool) -> None:
    pids = [e.pid for e in run(cluster, *[("work", None)] * 4) if isinstance(e, WorkerReady)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    events = run(cluster, *[("work", None)] * 4)
    assert keys_done(events) == [0, 1, 2, 3]
    assert not [e for e in events if isinstance(e, WorkerLost)]


def test_errors_that_were_foreseen_and_bugs_come_as_they_are(cluster: RayPool) -> None:
    with pytest.raises(MediaError, match="no film"):
        run(cluster, ("foreseen", None))
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*cuda_stub.*ZeroDivisionError: oops"):
        run(cluster, ("bug", None))
    with pytest.raises(MediaError, match="no such weights"):
        run(cluster, ("work", None), setup={"broken": True})


def test_a_failing_feed_ends_the_run_with_its_error(cluster: RayPool) -> None:
    def feed(number: int, task: Task) -> Iterator[int]:
        yield 1
        raise MediaError("the file went away")

    with pytest.raises(MediaError, match="went away"):
        list(cluster.run_tasks(tasks_of(("work", None)), worker=WORKER, setup={}, feed=feed))


def test_a_worker_that_is_not_admitted_is_named_and_the_others_do_its_work(cluster: RayPool) -> None:
    seen: list[str] = []

    def admit(facts: dict[str, str]) -> str:
        seen.append(facts["pid"])
        return "other bits" if len(seen) == 1 else ""

    events = run(cluster, *[("wait", 0.2)] * 5, admit=admit)
    (refused,) = [e for e in events if isinstance(e, WorkerRejected)]
    assert refused.reason == f"{os.uname().nodename}: other bits"
    assert keys_done(events) == list(range(5))
    with pytest.raises(NoneAdmittedError, match="other bits"):
        run(cluster, *[("work", None)] * 3, admit=lambda facts: "other bits")


def test_a_stop_lets_the_tasks_under_way_finish_and_begins_no_other(cluster: RayPool) -> None:
    stop = threading.Event()
    events = []
    for event in cluster.run_tasks(
        tasks_of(*[("wait", 0.5)] * 9), worker=WORKER, setup={}, feed=lambda n, t: iter([1]), stop=stop
    ):
        events.append(event)
        if isinstance(event, WorkerReady):
            stop.set()
    assert len(keys_done(events)) <= 3


def test_leaving_early_ends_what_is_under_way(cluster: RayPool) -> None:
    events = cluster.run_tasks(
        tasks_of(*[("wait", 600)] * 4), worker=WORKER, setup={}, feed=lambda n, t: iter([1])
    )
    pid = next(e.pid for e in events if isinstance(e, WorkerReady))
    events.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}/fd").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert keys_done(run(cluster, ("work", None))) == [0]


def test_a_second_caller_gets_the_worker_that_the_first_has_nothing_for(
    cluster: RayPool, tmp_path: Path
) -> None:
    setup = {"marks": str(tmp_path)}
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.extend(run(cluster, ("wait for", "go"), setup=setup)))
    thread.start()
    try:
        assert keys_done(run(cluster, *[("work", None)] * 3, setup=setup)) == [0, 1, 2]
        assert not first or not keys_done(first), "the first was done before the second began"
    finally:
        (tmp_path / "go").touch()
        thread.join(60)
    assert keys_done(first) == [0]


def test_the_last_tasks_are_shared_with_whoever_is_idle(cluster: RayPool, tmp_path: Path) -> None:
    """One actor is stuck at its first task; the one that waits behind it must not wait with it."""
    events = cluster.run_tasks(
        tasks_of(("wait for", "go"), ("work", None), ("work", None), ("work", None)),
        worker=WORKER,
        setup={"marks": str(tmp_path)},
        feed=lambda n, t: iter([1]),
    )
    done = []
    for event in events:
        if isinstance(event, Done):
            done.append(event.key)
            if sorted(done) == [1, 2, 3]:
                (tmp_path / "go").touch()
    assert done[-1] == 0


def test_what_goes_through_the_object_store_is_input_and_output(cluster: RayPool) -> None:
    before = written_to_the_store()
    run(cluster, *[("work", None)] * 6, pieces=[b"x" * 300_000] * 3)
    sent, made = 6 * 900_000, 6 * 2 * 900_000
    assert sent + made <= written_to_the_store() - before <= 1.1 * (sent + made)


def written_to_the_store() -> int:
    """Bytes, as the store itself counts them."""
    import ray
    from ray._private.internal_api import node_stats

    (node,) = [n for n in ray.nodes() if n["Alive"]]
    return int(
        node_stats(node["NodeManagerAddress"], node["NodeManagerPort"]).store_stats.cumulative_created_bytes
    )


def test_a_cluster_that_has_no_room_for_a_worker_says_so(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.cluster.ray_pool import RayPool

    monkeypatch.setattr("pipelines.cluster.nodes._PATIENCE_SECONDS", 1.5)
    with (
        RayPool(session, cpus_per_worker=64, device="cpu") as cluster,
        pytest.raises(ResourceError, match="no machine with 64 CPU"),
    ):
        run(cluster, ("work", None))
