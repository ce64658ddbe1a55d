"""The order in which tasks are handed out, and the end of their attempts."""

from __future__ import annotations

from pipelines.pool.interface import Task
from pipelines.pool.task_queue import TaskQueue

A, B, C = (Task(n, f"task {n}", None) for n in range(3))


def test_tasks_are_handed_out_in_order_and_come_back_in_front() -> None:
    ledger = TaskQueue([A, B, C])
    assert [ledger.take(), ledger.take(beside=[A])] == [A, B]
    ledger.put_back([A, B])
    assert [ledger.take() for _ in range(4)] == [A, B, C, None]


def test_a_task_that_failed_is_alone_with_its_worker() -> None:
    ledger = TaskQueue([A, B])
    assert ledger.take() == A
    ledger.blame(A)
    ledger.put_back([A])
    assert ledger.take(beside=[C]) is None
    assert ledger.take() == A
    assert ledger.take(beside=[A]) is None
    assert ledger.take() == B


def test_a_task_that_failed_is_tried_on_another_device_first() -> None:
    ledger = TaskQueue([A])
    one, two = ("host", "0"), ("host", "1")
    ledger.take()
    ledger.blame(A, one)
    ledger.put_back([A])
    assert ledger.take(device=one, devices=[one, two]) is None
    assert ledger.take(device=two, devices=[one, two]) == A
    ledger.blame(A, two)
    ledger.put_back([A])
    assert ledger.take(device=one, devices=[one, two]) == A, "there is no other device left"


def test_three_failures_use_a_task_s_attempts_up_unless_their_machine_is_lost() -> None:
    ledger = TaskQueue([A])
    for device in (("one", "0"), ("one", "1"), ("two", "0")):
        assert not ledger.is_spent(A, {"one", "two"})
        ledger.blame(A, device)
    assert ledger.is_spent(A, {"one", "two"})
    assert not ledger.is_spent(A, {"one"})
    assert not ledger.is_spent(B, {"one", "two"})
