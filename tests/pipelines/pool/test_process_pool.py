"""The map over child processes: real processes, no video. Cases 39, 47."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import MediaError, NoMemoryError, ResourceError
from pipelines.pool import process_pool
from pipelines.pool.interface import (
    Done,
    NoneAdmittedError,
    Task,
    WorkerLost,
    WorkerReady,
    WorkerRejected,
    WorkItem,
)
from pipelines.pool.process_pool import ProcessPool
from pipelines.pool.task_queue import TaskQueue


class Doubler:
    """Gives back every piece twice as large; some payloads ask for trouble."""

    def __init__(self, setup: dict[str, str]) -> None:
        self.facts = {"pid": str(os.getpid()), "word": os.environ.get("VSR_TEST_WORD", ""), **setup}

    def run(self, task: Any, pieces: Iterator[int]) -> Iterator[Any]:
        if isinstance(task, str) and task.startswith("die once "):
            mark = Path(task.removeprefix("die once "))
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "foreseen":
            raise MediaError("no film")
        if task == "bug":
            raise ZeroDivisionError("oops")
        if task == "exhausted":
            raise ResourceError("no memory")
        if task == "lazy":
            return
        if task == "environment":
            yield os.environ["VSR_TEST_WORD"]
        for piece in pieces:
            yield piece * 2


WORKER = "tests.pipelines.pool.test_process_pool:Doubler"
STANDIN = "tests.pipelines.inference.cuda_stub:Standin"


def run(payloads: list[Any], children: int = 1, **more: Any) -> list[Any]:
    tasks = [Task(n, f"task {n}", p) for n, p in enumerate(payloads)]
    return list(
        ProcessPool([{"VSR_TEST_WORD": f"word {n}"} for n in range(children)]).run_tasks(
            tasks, worker=WORKER, setup={}, feed=lambda number, task: range(3), **more
        )
    )  # fmt: skip


def items(events: list[Any], key: int) -> list[Any]:
    return [e.value for e in events if isinstance(e, WorkItem) and e.key == key]


def test_every_task_is_done_once_and_its_items_come_in_order() -> None:
    events = run(["a", "environment", "lazy"])
    (hello,) = [e for e in events if isinstance(e, WorkerReady)]
    assert int(hello.facts["pid"]) == hello.pid != os.getpid()
    assert items(events, 0) == [0, 2, 4]
    assert items(events, 1) == ["word 0", 0, 2, 4]
    assert items(events, 2) == []
    assert sorted(e.key for e in events if isinstance(e, Done)) == [0, 1, 2]
    assert not Path(f"/proc/{hello.pid}").exists()


def test_a_dead_child_is_replaced_and_its_task_tried_again(tmp_path: Path) -> None:
    """Case 39."""
    events = run([f"die once {tmp_path / 'mark'}", "b"])
    (lost,) = [e for e in events if isinstance(e, WorkerLost)]
    assert "signal 9" in lost.reason
    assert items(events, 0) == items(events, 1) == [0, 2, 4]
    assert len([e for e in events if isinstance(e, WorkerReady)]) == 2


@pytest.mark.parametrize(("payload", "words"), [("die", "signal 9"), ("exhausted", "no memory")])
def test_a_task_that_fails_every_time_is_named_and_given_up(payload: str, words: str) -> None:
    """Cases 54 and 56."""
    with pytest.raises(ResourceError, match=f"task 0 failed 3 times.*{words}"):
        run([payload])


def test_a_child_that_the_kernel_ends_for_want_of_memory_is_distinguished_from_one_that_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Case 54. The kernel counts those it ends."""
    ended = iter(range(100))
    monkeypatch.setattr(process_pool, "oom_kills", lambda: next(ended))
    with pytest.raises(NoMemoryError, match="for want of memory"):
        run(["die"])
    monkeypatch.setattr(process_pool, "oom_kills", lambda: 7)
    with pytest.raises(ResourceError) as failed:
        run(["die"])
    assert not isinstance(failed.value, NoMemoryError)


def side_by_side(folder: Path, *payloads: Any) -> list[Any]:
    """Through one child."""
    tasks = [Task(n, f"task {n}", p) for n, p in enumerate(payloads)]
    events: list[Any] = []
    pool = ProcessPool([{}])
    try:
        events.extend(
            pool.run_tasks(
                tasks, worker=STANDIN, setup={"marks": str(folder)}, feed=lambda number, task: [task.key + 1]
            )
        )
    except ResourceError as error:
        events.append(error)
    return events


def test_the_next_task_begins_while_the_last_one_comes_to_its_end(tmp_path: Path) -> None:
    payloads = [
        ("drain", ("a", "next")),
        ("mark", ("b", "next")),
        ("drain", ("c", "last")),
        ("mark", ("d", "last")),
    ]
    events = side_by_side(tmp_path, *payloads)
    assert sorted(e.key for e in events if isinstance(e, Done)) == [0, 1, 2, 3]
    made = [[v for v in items(events, n) if not isinstance(v, tuple)] for n in range(4)]
    assert made == [["drains"], [4], ["drains"], [8]], "a task's items or input reached another"


def test_what_was_next_to_a_deadly_task_is_then_alone_and_not_given_up_for_it(tmp_path: Path) -> None:
    events = side_by_side(
        tmp_path, ("drain", ("a", "begun", 1.0)), ("mark and die", ("b", "begun")), ("mark", ("c", "begun"))
    )
    assert str(events[-1]).startswith("task 1 failed 3 times")
    assert [e.key for e in events if isinstance(e, Done)] == [0]
    assert [e.key for e in events if isinstance(e, WorkerLost)] == [0, 1, 1]
    attempts = [(tmp_path / name).read_text() if (tmp_path / name).exists() else "" for name in "abc"]
    assert attempts == ["xx", "xxx", ""]


def test_a_task_that_fails_at_its_end_is_the_one_that_is_named(tmp_path: Path) -> None:
    events = side_by_side(tmp_path, ("drain exhausted", ("a", "begun")), ("mark", ("b", "begun")))
    assert str(events[-1]).startswith("task 0 failed 3 times, the last time because no memory at the end")


def test_a_task_that_fails_at_its_end_is_not_blamed_on_the_one_begun_next_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blamed: list[int] = []
    blame = TaskQueue.blame
    monkeypatch.setattr(
        TaskQueue,
        "blame",
        lambda ledger, task, device=(): (blamed.append(task.key), blame(ledger, task, device)),
    )
    events = side_by_side(
        tmp_path,
        ("drain exhausted once", ("a", "begun", "failed")),
        ("mark and hang once", ("b", "begun", "hung")),
    )
    assert sorted(e.key for e in events if isinstance(e, Done)) == [0, 1]
    assert blamed == [0]


def test_a_child_that_says_nothing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 57."""
    monkeypatch.setattr("pipelines.pool.process_pool.SILENCE_SECONDS", 15.0)
    events = side_by_side(tmp_path, ("hang once", "a"), ("mark", ("b", "b")))
    assert [e.reason for e in events if isinstance(e, WorkerLost)] == ["its worker said nothing for 15 s"]
    assert sorted(e.key for e in events if isinstance(e, Done)) == [0, 1]


def test_a_child_that_gets_on_in_silence_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 57: a single frame may take an hour; seen by its pulse, which here comes every 5 s."""
    receive, silence = process_pool._Child.receive, iter([600.0])
    monkeypatch.setattr(process_pool._Child, "receive", _impatient(receive, silence))
    events = side_by_side(tmp_path, ("get on in silence", 18.0))
    assert not [e for e in events if isinstance(e, WorkerLost)]
    assert [e.key for e in events if isinstance(e, Done)] == [0]


def _impatient(receive: Any, first: Iterator[float]) -> Any:
    """Wait for the child to begin as long as it takes, and 12 s for everything else."""

    def impatient(child: Any) -> Any:
        usual = process_pool.SILENCE_SECONDS
        process_pool.SILENCE_SECONDS = next(first, 12.0)  # type: ignore[misc]
        try:
            return receive(child)
        finally:
            process_pool.SILENCE_SECONDS = usual  # type: ignore[misc]

    return impatient


def test_a_child_that_hangs_while_it_makes_its_worker_is_ended_before_the_next_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Case 57: two that load at a time may not fit on a device."""
    begun: list[subprocess.Popen[bytes]] = []
    begin, receive = subprocess.Popen, process_pool._Child.receive

    def counted(*given: Any, **more: Any) -> Any:
        assert all(child.poll() is not None for child in begun), "the last one is still there"
        begun.append(begin(*given, **more))
        return begun[-1]

    def hear(child: Any) -> Any:
        if len(begun) == 1:
            raise process_pool._ChildLostError("its worker said nothing")
        return receive(child)

    monkeypatch.setattr("pipelines.pool.process_pool.subprocess.Popen", counted)
    monkeypatch.setattr(process_pool._Child, "receive", hear)
    events = run(["a"])
    assert [e.reason for e in events if isinstance(e, WorkerLost)] == ["its worker said nothing"]
    assert items(events, 0) == [0, 2, 4]


def test_an_error_that_was_foreseen_comes_as_it_is() -> None:
    with pytest.raises(MediaError, match="no film"):
        run(["foreseen"])


def test_a_worker_that_is_not_admitted_is_named_and_the_others_do_its_work() -> None:
    events = run(
        [f"task {n}" for n in range(4)],
        children=2,
        admit=lambda facts: "other bits" if facts["word"] == "word 0" else "",
    )
    (refused,) = [e for e in events if isinstance(e, WorkerRejected)]
    assert (refused.worker, refused.reason) == (0, "other bits")
    assert sorted(e.key for e in events if isinstance(e, Done)) == [0, 1, 2, 3]
    assert {e.worker for e in events if isinstance(e, WorkItem)} == {1}


def test_a_surplus_worker_gets_no_tasks_even_after_crashes_and_skips_admission(
    tmp_path: Path,
) -> None:
    asked: list[str] = []
    tasks = [Task(n, f"task {n}", f"die once {tmp_path / str(n)}") for n in range(3)]
    pool = ProcessPool(
        [{"VSR_TEST_WORD": f"word {n}"} for n in range(2)], lambda number, facts: "too many" if number else ""
    )
    more: Any = {"admit": lambda facts: asked.append(facts["word"]) or ""}
    events = list(pool.run_tasks(tasks, worker=WORKER, setup={}, feed=lambda number, task: range(3), **more))
    assert [(e.worker, e.reason) for e in events if isinstance(e, WorkerRejected)] == [(1, "too many")]
    assert sorted(e.key for e in events if isinstance(e, Done)) == [0, 1, 2]
    assert asked == ["word 0"] * 4


def test_where_no_worker_is_admitted_the_first_reason_is_given() -> None:
    with pytest.raises(NoneAdmittedError, match="other bits"):
        run(["a", "b"], children=2, admit=lambda facts: "other bits")


def test_a_bug_comes_with_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*test_process_pool.*ZeroDivisionError: oops"):
        run(["bug"])


def test_a_worker_that_can_t_be_made_says_why() -> None:
    with pytest.raises(RuntimeError, match="no_such_module"):
        list(
            ProcessPool([{}]).run_tasks(
                [Task(0, "t", 0)], worker="no_such_module:X", setup={}, feed=lambda n, t: []
            )
        )


@pytest.mark.parametrize(
    "error", [MediaError("the file went away"), OSError(errno.EIO, "it went away"), ValueError("went away")]
)
def test_a_failing_feed_ends_the_run_with_its_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Also with those that a line to a child that is gone would raise."""
    monkeypatch.setattr("pipelines.pool.process_pool.SILENCE_SECONDS", 15.0)

    def feed(number: int, task: Task) -> Iterator[int]:
        yield 1
        raise error

    with pytest.raises(type(error), match="went away"):
        list(ProcessPool([{}]).run_tasks([Task(0, "t", "x")], worker=WORKER, setup={}, feed=feed))


def test_a_stop_lets_the_task_under_way_finish_and_begins_no_other() -> None:
    stop = threading.Event()
    done = []
    tasks = [Task(n, f"task {n}", "x") for n in range(5)]

    def feed(number: int, task: Task) -> Iterator[int]:
        yield 1
        stop.set()
        yield 2

    for event in ProcessPool([{}]).run_tasks(tasks, worker=WORKER, setup={}, feed=feed, stop=stop):
        if isinstance(event, Done):
            done.append(event.key)
    assert done == [0]


def test_leaving_early_leaves_no_child_behind() -> None:
    """Case 47."""
    events = ProcessPool([{}]).run_tasks(
        [Task(0, "t", "x")], worker=WORKER, setup={}, feed=lambda n, t: iter(range(10**9))
    )
    pid = next(e.pid for e in events if isinstance(e, WorkerReady))
    next(events)
    events.close()  # type: ignore[attr-defined]
    end = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_leaving_early_begins_no_new_child_for_the_task_that_was_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []
    original = subprocess.Popen

    def counted(*args: Any, **more: Any) -> Any:
        begun.append(1)
        return original(*args, **more)

    monkeypatch.setattr("pipelines.pool.process_pool.subprocess.Popen", counted)
    before = set(threading.enumerate())
    events = ProcessPool([{}]).run_tasks(
        [Task(0, "task", "a")], worker=WORKER, setup={}, feed=lambda number, task: iter(int, 1)
    )
    next(e for e in events if isinstance(e, WorkItem))
    events.close()  # type: ignore[attr-defined]
    assert len(begun) == 1
    for thread in set(threading.enumerate()) - before:  # the others are of former tests, and stay
        thread.join(30)
        assert not thread.is_alive(), thread.name
