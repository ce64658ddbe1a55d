"""The classes that run in an actor's process: the order of turns, and counting.

They are called directly here; Ray is not started.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.pool.interface import ReadyForNext
from pipelines.workers.messages import ChunkProgress
from tests.helpers.ray_processes import load_ray

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True, scope="module")
def ray() -> None:
    load_ray()


class Reporting:
    """Reports once while it works, and once where the next task may begin."""

    def __init__(self, setup: Any) -> None:
        self.facts: dict[str, str] = {}

    def run(self, task: Any, pieces: Iterator[Any]) -> Iterator[Any]:
        yield ChunkProgress(3, {"decode wait": 0.25, "network": 0.5})
        yield ReadyForNext(ChunkProgress(2, {"encode wait": 1.0}))
        yield task


def station(worker: type = Reporting) -> Any:
    from pipelines.cluster.actor import WorkerActor

    made = WorkerActor()
    assert made.prepare(0, f"{__name__}:{worker.__name__}", pickle.dumps(None), {})[0] == "facts"
    return made


def in_thread(work: Any, *arguments: Any) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work(*arguments)), daemon=True)
    thread.start()
    return thread, results


def test_calls_go_in_the_order_of_their_numbers_whatever_order_they_arrive_in() -> None:
    from pipelines.cluster.actor import _Turns

    turns, order = _Turns(), []

    def call(number: int) -> None:
        assert turns.begin(number)
        order.append(number)
        turns.end(number)

    threads = [in_thread(call, number)[0] for number in (2, 1)]
    call(0)
    for thread in threads:
        thread.join(60)
    assert order == [0, 1, 2]


def test_the_next_call_begins_where_the_last_one_frees_the_way_and_a_lone_one_waits_for_its_end() -> None:
    from pipelines.cluster.actor import _Turns

    turns = _Turns()
    assert turns.begin(0)
    second, begun = in_thread(turns.begin, 1)
    assert not begun
    turns.free(0)
    second.join(60)
    assert begun == [True]
    turns.end(1)
    lone, prepared = in_thread(lambda: turns.begin(2, alone=True))
    lone.join(0.2)
    assert not prepared, "a worker was made anew while a task was at its end"
    turns.end(0)
    lone.join(60)
    assert prepared == [True]


def test_a_call_is_taken_back_until_it_has_begun() -> None:
    from pipelines.cluster.actor import _Turns

    turns = _Turns()
    assert turns.begin(0)
    waiting, begun = in_thread(turns.begin, 1)
    assert not turns.skip(0)
    assert turns.skip(1)
    waiting.join(60)
    assert begun == [False]
    assert turns.skip(2), "one that has not arrived yet"
    turns.end(0)
    assert turns.begin(3)
    assert not turns.begin(2)
    assert not turns.skip(3)


def test_results_say_where_the_next_task_may_begin_and_which_was_the_last() -> None:
    made = list(station().run(1, "result", True, pickle.dumps([])))
    assert [kind for kind, _ in made] == ["item", "free", "last"]
    assert made[-1] == ("last", "result")


def test_frames_and_seconds_by_step_are_counted_for_the_cluster_s_monitoring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[tuple[str, tuple[str, ...], float, dict[str, str]]] = []

    class Counter:
        def __init__(self, name: str, tag_keys: tuple[str, ...]) -> None:
            self.name, self.keys = name, tag_keys

        def inc(self, amount: float, tags: dict[str, str]) -> None:
            counted.append((self.name, self.keys, amount, tags))

    monkeypatch.setattr("pipelines.cluster.actor.Counter", Counter)
    list(station().run(1, "result", True))
    assert sum(amount for name, _, amount, _ in counted if name == "vsr_frames") == 5
    seconds = {
        tags["step"]: amount
        for name, keys, amount, tags in counted
        if name == "vsr_seconds" and keys == ("step",)
    }
    assert seconds == {"decode_wait": 0.25, "network": 0.5, "encode_wait": 1.0}


def test_a_file_is_kept_once_on_a_machine_and_fetched_anew_where_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    from pipelines.cluster.actor import _kept

    data = b"weights"
    fetched: list[int] = []
    monkeypatch.setenv("VSR_RAY_FOLDER", str(tmp_path))
    monkeypatch.setattr("pipelines.cluster.actor.ray.get", lambda ref: fetched.append(ref) or data)
    name = f"{hashlib.sha256(data).hexdigest()}.safetensors"
    assert _kept(name, 1).read_bytes() == data
    assert _kept(name, 2).read_bytes() == data
    (tmp_path / "files" / name).write_bytes(b"other")
    assert _kept(name, 3).read_bytes() == data
    assert fetched == [1, 3]


@pytest.mark.parametrize("package", ["models", "pipelines"])
def test_the_digest_of_our_code_covers_every_folder_however_deep(tmp_path: Path, package: str) -> None:
    """Case 42: workers of another version take no part, whatever file it is that differs."""
    from pipelines.cluster.code_version import code_digest

    deep = tmp_path / package / "a" / "b" / "c.py"
    deep.parent.mkdir(parents=True)
    deep.write_text("x = 1")
    (tmp_path / package / "__init__.py").write_text("")
    seen = [code_digest(tmp_path)]

    def changes() -> bool:
        seen.append(code_digest(tmp_path))
        return seen[-1] not in seen[:-1]

    deep.write_text("x = 2")
    assert changes(), "a file three levels down is another"
    deep = deep.rename(deep.parent / "d.py")
    assert changes(), "it has another name"
    deep = deep.rename(deep.parent.parent / "d.py")
    assert changes(), "it lies in another folder"
    (tmp_path / package / "a" / "e.py").write_text("")
    assert changes(), "another file lies beside it"
    (tmp_path / package / "a" / "b" / "c.pyc").write_bytes(b"compiled")
    assert code_digest(tmp_path) == seen[-1]


def test_the_digest_of_our_code_is_that_of_where_it_lies() -> None:
    from pipelines.cluster.code_version import code_digest
    from tests.helpers.command import ROOT

    assert code_digest() == code_digest(ROOT)
