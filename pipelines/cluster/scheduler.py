"""`Scheduler`: the thread that keeps the actors of a cluster busy for all callers of `ray_pool.RayPool`.

It lists the nodes, keeps an actor on each share of them, and collects results. Each actor gets two tasks, so
that the input of the second is there when the first is done. An actor that dies, hangs or loses its node is
replaced, and its tasks are tried again.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from models.errors import NoMemoryError, ResourceError, VsrError
from pipelines.cluster.hang_detector import HangDetector
from pipelines.cluster.input_feeder import InputFeeder
from pipelines.cluster.nodes import kill_actor, loss_reason, node_lost_error
from pipelines.cluster.pending_answers import PendingAnswers
from pipelines.cluster.pending_calls import PendingCall, RunningTask
from pipelines.pool.interface import (
    Done,
    Outcome,
    Task,
    WorkerLost,
    WorkerReady,
    WorkerRejected,
    WorkItem,
    attempts_exhausted,
)

if TYPE_CHECKING:
    from pipelines.cluster.nodes import NodeActors
    from pipelines.cluster.object_refs import ObjectRefs
    from pipelines.cluster.pending_calls import Actor

__all__ = ["Scheduler"]


_SLOTS = 2
"""Tasks that an actor holds: one in work, and the next with its input."""


class Scheduler:
    """Serves calls, first come first served, until `close`; events go to the queue of each call."""

    def __init__(self, nodes: NodeActors, object_refs: ObjectRefs, *, says_host: bool) -> None:
        """says_host: name the machine in errors that workers raise."""
        self._nodes, self._object_refs, self._says_host = nodes, object_refs, says_host
        self._calls: list[PendingCall] = []
        self._inbox: queue.SimpleQueue[PendingCall] = queue.SimpleQueue()
        self._answers = PendingAnswers(self._on_step)
        self._feeder = InputFeeder(object_refs, self._answers, self._answer, self._end_call)
        self._silence = HangDetector()
        self._closing = threading.Event()
        self.broken: BaseException | None = None
        """The exception that stopped the thread (an internal error)."""
        self._thread = threading.Thread(target=self._serve, name="cluster", daemon=True)
        self._thread.start()

    def take(self, call: PendingCall) -> None:
        """Serve a call: events come through its `out`, finally None or an error, until it is abandoned."""
        self._inbox.put(call)

    @property
    def is_alive(self) -> bool:
        """Whether calls are served."""
        return self._thread.is_alive()

    def waiting(self) -> int:
        """Number of pending tasks, of all calls."""
        return self._inbox.qsize() + sum(len(call.task_queue) for call in list(self._calls))

    def close(self) -> None:
        """End the actors."""
        self._closing.set()
        self._thread.join()
        for actor in self._nodes.actors:
            kill_actor(actor)
        self._nodes.actors.clear()
        self._answers.clear()

    def _serve(self) -> None:
        try:
            while not self._closing.is_set():
                self._take_calls()
                self._look_around()
                self._hand_out()
                self._answers.handle_next(self._calls, self._closing)
                self._watch()
        except BaseException as error:  # noqa: BLE001 - carried to the callers
            self.broken = error
            for call in list(self._calls):
                self._end_call(call, error)

    def _take_calls(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._calls.append(self._inbox.get_nowait())
                self._nodes.look_soon()
        for call in list(self._calls):
            if call.abandoned.is_set():
                self._end_call(call, None)
            elif call.stop.is_set():
                call.task_queue.clear()
                for run in list(call.running):
                    if run not in run.actor.begun:
                        self._withdraw(run)
                if not call.running:
                    self._end_call(call, None)

    def _end_call(self, call: PendingCall, last: BaseException | None) -> None:
        if call not in self._calls:
            return
        self._calls.remove(call)
        for actor in {run.actor for run in call.running}:
            self._dismiss(actor)  # nobody needs its current task
        self._object_refs.forget(call)
        call.out.put(last)
        call.over.set()

    def _look_around(self) -> None:
        """Update nodes, replace lost actors, and start actors as far as there is work."""
        if not self._nodes.look():
            return
        for actor, why in self._nodes.gone():
            self._lose(actor, why)
        useless = sum(
            a.parked or any(a.number in call.refused for call in self._calls) for a in self._nodes.actors
        )
        for actor in self._nodes.fill(
            useless + sum(len(call.task_queue) + len(call.running) for call in self._calls)
        ):
            self._answers.expect(actor.hello, partial(self._on_hello, actor))

    def _watch(self) -> None:
        to_ask, silent = self._silence.look(self._nodes.actors, self._answers.unheard)
        for actor in to_ask:
            self._ask_for_pulse(actor)
        for actor in silent:
            self._lose(actor, self._silence.reason(actor))

    def _ask_for_pulse(self, actor: Actor) -> None:
        """Ask an actor that has not reported for its progress: a single frame may take an hour."""
        actor.asked = True
        ref = actor.handle.pulse.remote()
        self._answers.expect(ref, partial(self._on_pulse, actor, ref))

    def _on_pulse(self, actor: Actor, ref: Any) -> None:
        pulse = self._answer(actor, ref)
        actor.asked = False
        if pulse is not None and pulse != actor.pulse:
            actor.pulse, actor.silent = pulse, 0.0

    def _on_hello(self, actor: Actor) -> None:
        facts = self._answer(actor, actor.hello)
        if facts is None:
            return
        reason = self._nodes.greet(actor, facts)
        if actor.parked:
            self._tell_all(WorkerRejected(actor.number, reason, actor.host))
        elif reason:
            self._leave(actor.node, reason)

    def _leave(self, node: str, reason: str) -> None:
        """Exclude a node and end its actors."""
        for actor in [a for a in self._nodes.actors if a.node == node]:
            self._tell_all(WorkerRejected(actor.number, reason, actor.host))
            self._dismiss(actor)

    def _tell_all(self, event: Outcome) -> None:
        for call in self._calls:
            call.out.put(event)

    def _answer(self, actor: Actor, ref: Any) -> Any:
        """An actor's answer; after a failure None, and the actor is replaced."""
        self._answers.drop(ref)
        try:
            return ray.get(ref)
        except RayError as error:
            if (
                isinstance(error, RayTaskError)
                and not isinstance(error, RayActorError)
                and actor.facts is not None
            ):
                raise  # a bug of ours
            self._lose(actor, error)
            return None

    def _lose(self, actor: Actor, why: RayError | ResourceError, failed: RunningTask | None = None) -> None:
        """Replace an actor that is dead, hung or lost.

        Its tasks are tried again; the attempt counts if its node is still alive. failed: the task that ended
        it, if known; else all its running tasks are blamed.
        """
        if actor not in self._nodes.actors:
            return
        begun = actor.begun
        gone = self._nodes.is_lost(actor.node) or getattr(why, "preempted", False)
        if isinstance(why, RayError):
            why = node_lost_error(actor) if gone else loss_reason(why, actor.host)
        # a device that is too small is not broken
        if begun and not gone and not isinstance(why, NoMemoryError):
            self._nodes.strike(actor)
        for run in [] if gone else begun if failed is None else [failed]:
            run.call.task_queue.blame(run.task, actor.device)
            # A machine may be found dead only after its workers were, so those that are gone by now are left
            # out.
            if run.call.task_queue.is_spent(run.task, self._nodes.alive):
                self._end_call(run.call, attempts_exhausted(run.task, why))
        self._dismiss(actor, str(why))
        if actor.facts is None and not gone:
            benched = self._nodes.failed_to_start(actor, str(why))
            if benched:
                self._leave(actor.node, benched)

    def _dismiss(self, actor: Actor, reason: str = "it was at something else") -> None:
        """End an actor, and return its tasks."""
        if actor not in self._nodes.actors:
            return
        self._nodes.dismiss(actor)
        for run in [r for r in actor.begun if r.call in self._calls]:
            run.call.out.put(WorkerLost(actor.number, run.task.key, reason, actor.host))
        for run in actor.runs[::-1]:
            self._put_back(run)

    def _hand_out(self) -> None:
        if any(len(call.task_queue) for call in self._calls):
            self._hand_out_waiting()
        else:
            self._share_the_rest()
        # Calls that are being worked on are included: their waiting time begins when their last actor is
        # lost.
        for call in [c for c in self._calls if len(c.task_queue) or c.running]:
            hopeless = self._nodes.why_none(call)
            if hopeless is not None:
                self._end_call(call, hopeless)

    def _hand_out_waiting(self) -> None:
        for taken in range(_SLOTS):
            for actor in [a for a in self._nodes.actors if a.is_ready and len(a.runs) == taken]:
                if taken and self._object_refs.is_full:
                    break
                call = next(
                    (c for c in self._calls if len(c.task_queue) and actor.number not in c.refused), None
                )
                if call is None:
                    continue
                if actor.call is not call:
                    self._prepare(actor, call)
                    continue
                beside = [run.task for run in actor.runs if run.call is call]
                task = call.task_queue.take(
                    beside=beside, device=actor.device, devices=self._nodes.devices(call)
                )
                if task is not None:
                    self._submit(actor, call, task)

    def _share_the_rest(self) -> None:
        """If no task is pending, move second tasks to idle actors."""
        actors = self._nodes.actors
        idle = sum(a.is_ready and not a.runs for a in actors)
        moving = sum(run.withdrawing for a in actors for run in a.runs)
        waiting = [run for a in actors for run in a.runs if run not in a.begun and not run.withdrawing]
        for run in waiting[: max(0, idle - moving)]:
            self._withdraw(run)

    def _prepare(self, actor: Actor, call: PendingCall) -> None:
        actor.preparing, actor.call = True, call
        ref = actor.handle.prepare.remote(next(actor.turns), call.worker, call.setup, call.files)
        self._answers.expect(ref, partial(self._on_prepared, actor, call, ref))

    def _on_prepared(self, actor: Actor, call: PendingCall, ref: Any) -> None:
        answer = self._answer(actor, ref)
        if answer is None:
            return
        actor.preparing, actor.silent = False, 0.0
        if call not in self._calls:
            return
        kind, value = answer
        if kind == "error":
            if isinstance(value, ResourceError):  # no task is to blame
                self._nodes.failed_to_start(actor, str(value))
            self._on_error(actor, call, value)
            return
        self._nodes.has_started(actor)
        try:
            reason = call.admit(value) if call.admit is not None else ""
        except Exception as error:  # noqa: BLE001 - the caller's own
            self._end_call(call, error)
            return
        if reason:
            call.refused[actor.number] = f"{actor.host}: {reason}"
            call.out.put(WorkerRejected(actor.number, f"{actor.host}: {reason}", actor.host))
        elif actor.number not in call.greeted:
            call.greeted.add(actor.number)
            call.out.put(WorkerReady(actor.number, (actor.facts or {}).get("pid", 0), value, actor.host))

    def _on_error(
        self, actor: Actor, call: PendingCall, error: Exception, failed: RunningTask | None = None
    ) -> None:
        """Handle an error that a worker reports."""
        if isinstance(error, ResourceError):
            self._lose(actor, type(error)(f"{error} on {actor.host}"), failed)
        elif isinstance(error, VsrError):
            self._end_call(call, type(error)(f"{error} (on {actor.host})" if self._says_host else str(error)))
        else:
            self._end_call(call, error)

    def _submit(self, actor: Actor, call: PendingCall, task: Task) -> None:
        try:
            parts, size, pieces, feed = self._object_refs.first(call, task)
        except Exception as error:  # noqa: BLE001 - the caller's own
            self._end_call(call, error)
            return
        turn = next(actor.turns)
        stream = actor.handle.run.remote(turn, task.payload, pieces is None, *parts)
        run = RunningTask(turn, call, task, actor, stream, parts, size, feed, pieces)
        actor.runs.append(run)
        call.running.add(run)
        self._answers.listen_to(actor)
        if pieces is not None:
            self._feeder.feed(run)

    def _withdraw(self, run: RunningTask) -> None:
        if run.withdrawing:
            return
        run.withdrawing = True
        ref = run.actor.handle.withdraw.remote(run.turn)
        self._answers.expect(ref, partial(self._on_withdrawn, run, ref))

    def _on_withdrawn(self, run: RunningTask, ref: Any) -> None:
        if self._answer(run.actor, ref) and run in run.call.running:
            self._put_back(run)

    def _on_step(self, run: RunningTask) -> None:
        """Handle a result of a task."""
        actor, call = run.actor, run.call
        try:
            kind, value = ray.get(next(run.stream))
        except StopIteration:  # it was withdrawn before it began, as the answer to that call will say
            self._answers.drop_stream(run)
            return
        except RayError as error:
            self._lose(actor, error)
            return
        actor.silent = 0.0
        if kind == "error":
            self._on_error(actor, call, value, run)
            return
        if kind != "done":
            call.out.put(WorkItem(actor.number, run.task.key, value, actor.host))
        if kind == "free":
            run.free = True
            if actor in self._nodes.actors:
                self._answers.listen_to(actor)
        elif kind != "item":
            self._forget(run)
            self._nodes.clear(actor)
            call.out.put(Done(actor.number, run.task.key, actor.host))
            if not len(call.task_queue) and not call.running:
                self._end_call(call, None)

    def _put_back(self, run: RunningTask) -> None:
        """Return a task to the queue, with its input."""
        self._forget(run)
        if run.call in self._calls and not run.call.stop.is_set():
            run.call.task_queue.put_back([run.task])
            self._object_refs.keep(run)

    def _forget(self, run: RunningTask) -> None:
        """Drop a run and all further results of it."""
        self._answers.drop_stream(run)
        if run in run.actor.runs:
            run.actor.runs.remove(run)
            self._object_refs.release(run)
            if run.actor in self._nodes.actors:
                self._answers.listen_to(run.actor)
        run.call.running.discard(run)
