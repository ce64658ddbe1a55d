"""Which actors a cluster gets, and which of them get no work. Ray is not started.

Cases 54, 55.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import NoMemoryError, ResourceError
from pipelines.cluster.pending_calls import Actor, PendingCall, RunningTask
from pipelines.pool.interface import ATTEMPTS, NoneAdmittedError, Task, WorkerLost
from pipelines.pool.task_queue import TaskQueue
from tests.helpers.ray_processes import load_ray

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True, scope="module")
def ray() -> None:
    load_ray()


@pytest.fixture
def machines() -> Any:
    from pipelines.cluster.nodes import NodeActors

    found = NodeActors(most=100, gpus=1.0, cpus=None, device="auto", environment={})
    found.alive = {"a": node(CPU=16, GPU=2), "b": node(CPU=24, GPU=4)}
    return found


def node(**resources: float) -> dict[str, Any]:
    return {"Resources": resources}


def actor(machines: Any, where: str = "a", gpu: str = "0", code: str | None = None) -> tuple[Actor, str]:
    """One that has just said hello, and why it gets no work."""
    made = Actor(len(machines.actors), where, f"host-{where}", None, None, None)
    machines.actors.append(made)
    return made, machines.greet(made, {"code": code or machines._code, "devices": [gpu] if gpu else []})


def call() -> PendingCall:
    return PendingCall(TaskQueue([]), "", None, {}, lambda number, task: [], None, threading.Event())


def test_cores_are_shared_out_by_gpus_and_fractions_of_gpus_put_more_workers_on_one(machines: Any) -> None:
    from pipelines.cluster.nodes import NodeActors, _capacity

    assert machines.needs() == (6, 1.0)
    assert [_capacity(n, machines.needs()) for n in machines.alive.values()] == [2, 4]
    halves = NodeActors(most=100, gpus=0.5, cpus=None, device="auto", environment={})
    halves.alive = machines.alive
    assert halves.needs() == (3, 0.5)
    assert [_capacity(n, halves.needs()) for n in halves.alive.values()] == [4, 8]
    cpu = NodeActors(most=100, gpus=1.0, cpus=None, device="cpu", environment={})
    cpu.alive = machines.alive
    assert cpu.needs() == (8, 0)


def test_a_gpu_that_fails_three_times_in_a_row_gets_no_more_work(machines: Any) -> None:
    for _ in range(ATTEMPTS):
        ill, reason = actor(machines, gpu="1")
        assert not reason
        machines.strike(ill)
        machines.actors.remove(ill)
    ill, reason = actor(machines, gpu="1")
    assert reason == "GPU 1 of host-a failed 3 times in a row and gets no more work"
    assert ill.parked, "the broken GPU was given back, for the next worker to get"
    well, reason = actor(machines, gpu="0")
    assert not reason
    assert machines.why_none(call()) is None
    machines.actors.remove(well)
    assert "every GPU of the cluster failed" in str(machines.why_none(call()))


def test_a_gpu_that_did_its_work_in_between_is_kept(machines: Any) -> None:
    for _ in range(2 * ATTEMPTS):
        moody, reason = actor(machines)
        assert not reason
        machines.strike(moody)
        machines.clear(moody)


def test_a_machine_without_gpus_is_never_parked(machines: Any) -> None:
    for _ in range(2 * ATTEMPTS):
        plain, reason = actor(machines, gpu="")
        assert not reason
        machines.strike(plain)


def test_a_machine_where_no_worker_starts_is_given_up_and_named(machines: Any) -> None:
    dead = Actor(0, "a", "host-a", None, None, None)
    assert [machines.failed_to_start(dead, "no module named av") for _ in range(ATTEMPTS)][:-1] == ["", ""]
    assert machines.benched == {"a": "no worker starts on host-a: no module named av"}
    assert machines.why_none(call()) is None, "there is another machine"
    machines.benched["b"] = "too"
    assert "no worker starts on host-a" in str(machines.why_none(call()))


def test_a_start_that_worked_forgives_the_ones_before(machines: Any) -> None:
    dead = Actor(0, "a", "host-a", None, None, None)
    for _ in range(ATTEMPTS):
        assert machines.failed_to_start(dead, "x") == machines.failed_to_start(dead, "x") == ""
        machines.has_started(actor(machines)[0])


def test_an_actor_that_speaks_but_can_not_be_made_ready_has_not_started(machines: Any) -> None:
    for _ in range(ATTEMPTS):
        machines.failed_to_start(actor(machines)[0], "no room for the weights")
    assert machines.benched


def test_a_machine_with_another_version_gets_no_workers(machines: Any) -> None:
    _, reason = actor(machines, code="0123")
    assert reason.startswith("host-a has another version of vsr (code 0123, here ")
    assert list(machines.benched) == ["a"]


def test_that_nobody_was_admitted_is_said_only_when_nobody_was(machines: Any) -> None:
    one, two = (actor(machines)[0] for _ in range(2))
    asked = call()
    asked.refused[one.number] = "other bits"
    assert machines.why_none(asked) is None
    asked.refused[two.number] = "other bits too"
    assert isinstance(machines.why_none(asked), NoneAdmittedError)


def test_a_cluster_without_a_fitting_machine_is_waited_for_a_while(
    machines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines.alive = {}
    assert machines.why_none(call()) is None
    monkeypatch.setattr("pipelines.cluster.nodes._PATIENCE_SECONDS", -1.0)
    found = machines.why_none(call())
    assert isinstance(found, ResourceError)
    assert "no machine with 8 CPU" in str(found)


@pytest.mark.parametrize("more", [True, False])
def test_machines_that_are_lost_long_after_a_call_began_are_waited_for_as_well(
    machines: Any, monkeypatch: pytest.MonkeyPatch, more: bool
) -> None:
    """Case 40: a spot machine that is taken away.

    Another one may be there within a minute. more: there are tasks that nobody had yet.
    """
    from pipelines.cluster.scheduler import Scheduler

    monkeypatch.setattr("pipelines.cluster.nodes.kill_actor", lambda actor: None)
    monkeypatch.setattr(Scheduler, "_serve", lambda scheduler: None)
    object_refs: Any = SimpleNamespace(
        is_full=True, release=lambda run: None, keep=lambda run: None, forget=lambda call: None
    )
    scheduler = Scheduler(machines, object_refs, says_host=False)
    worker, _ = actor(machines)
    worker.call = asked = PendingCall(
        TaskQueue([Task(n, "", None) for n in range(1 + more)]),
        "",
        None,
        {},
        lambda number, task: [],
        None,
        threading.Event(),
    )
    task = asked.task_queue.take(beside=[])
    assert task is not None
    run = RunningTask(0, asked, task, worker, None, [], 0)
    worker.runs.append(run)
    asked.running.add(run)
    asked.hungry_since -= 3600  # it began an hour ago
    scheduler._calls.append(asked)
    scheduler._hand_out()
    machines.alive = {}
    scheduler._dismiss(worker)
    scheduler._hand_out()
    assert scheduler._calls == [asked]
    asked.hungry_since -= 3600
    scheduler._hand_out()
    assert scheduler._calls == []
    lost, why = asked.out.get(), asked.out.get()
    assert isinstance(lost, WorkerLost)
    assert "no machine with" in str(why)


def test_memory_that_ran_out_is_distinguished_from_a_death_of_another_kind() -> None:
    from ray.exceptions import OutOfMemoryError, RayActorError

    from pipelines.cluster.nodes import loss_reason

    short = loss_reason(OutOfMemoryError("Task was killed due to the node running low on memory."), "host")
    assert (type(short), str(short)) == (NoMemoryError, "memory ran out on host")
    assert str(loss_reason(RayActorError(), "host")) == "its worker on host died"
