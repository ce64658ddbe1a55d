"""A bounded, fault-tolerant map over Ray actors, for several callers at once; it knows nothing of video.

One thread of the driver does everything: it looks which nodes there are, keeps an actor on every share of them, hands each two
tasks, so that the input of the second is there when the first is done, and takes what comes. An actor that dies, hangs or whose
node is gone is replaced and its task tried again. Actors hold nothing that is needed after their death, so Ray's own restarts
and retries, which would hide a death from the count of attempts, are off. Callers that came first are served first; the
others get what is left, so that no worker idles while one job ends and the next begins.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import queue
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from models.errors import ResourceError, VsrError
from pipelines.actor import Station, code_digest
from pipelines.work import ATTEMPTS, SILENCE_SECONDS, Done, Hello, Item, Lost, NoneAdmittedError, Outcome, Refused, Task, exhausted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipelines.session import Session

__all__ = ["Cluster"]

_SLOTS = 2
_PARTS = 16
"""Parts of an input that are handed over with the task; the rest of a longer one is fed while it is worked on."""
_RESULTS = 8
"""Results a caller may have waiting; then no more are fetched for it."""
_STORE_SHARE = 0.4
"""Of the driver's object store, for inputs; beyond, no second task is handed out."""
_LOOK_SECONDS = 1.0
_POLL_SECONDS = 0.25
"""How long a new caller, or a wish to stop, may go unnoticed; every look costs a millisecond or two."""
_PATIENCE_SECONDS = 60.0
"""How long a cluster may be without any worker before the work is given up."""
_MOST_CPUS = 8
"""Of a worker without a GPU, unless told otherwise."""


@dataclass(eq=False)
class _Job:
    """One call of `run_tasks`."""

    waiting: deque[Task]
    worker: str
    setup: Any
    """Reference to the pickled setup."""
    files: dict[str, list[Any]]
    feed: Callable[[int, Task], Iterable[Any]]
    admit: Callable[[dict[str, str]], str] | None
    stop: threading.Event
    out: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    abandoned: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    running: set[_Run] = field(default_factory=set)
    failures: dict[int, list[str]] = field(default_factory=dict)
    """Task -> nodes on which an attempt failed."""
    refused: dict[int, str] = field(default_factory=dict)
    """Actor -> why it takes no part."""
    kept: dict[int, tuple[list[Any], int]] = field(default_factory=dict)
    """Task that goes back -> its input in the object store, which need not be read again, and its bytes."""
    greeted: set[int] = field(default_factory=set)
    feeding: set[int] = field(default_factory=set)
    """Numbers of feeds that are not at their end."""
    hungry_since: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class _Run:
    """A task in an actor's hands."""

    number: int
    job: _Job
    task: Task
    actor: _Actor
    stream: Any
    parts: list[Any]
    """References to its input, or to the beginning of it."""
    size: int
    """Their bytes."""
    feed: int = 0
    pieces: Iterator[Any] | None = None
    """What is left of the input, where it is long."""
    withdrawing: bool = False


@dataclass(eq=False)
class _Actor:
    """An actor, from its order on."""

    number: int
    node: str
    host: str
    handle: Any
    heard: float = field(default_factory=time.monotonic)
    hello: dict[str, Any] | None = None
    runs: list[_Run] = field(default_factory=list)
    """In the order in which it works on them."""
    job: _Job | None = None
    """The one it is prepared for."""
    preparing: bool = False
    parked: bool = False
    """Holds a broken device, so that nobody else gets it."""

    @property
    def device(self) -> tuple[str, ...]:
        return (self.node, *(self.hello or {}).get("devices", ()))


class Cluster:
    """A `work.Map` over the actors of a Ray cluster, until `close`."""

    def __init__(
        self,
        session: Session,
        *,
        workers: int | None = None,
        gpus_per_worker: float = 1.0,
        cpus_per_worker: float | None = None,
        device: str = "auto",
        environment: dict[str, str] | None = None,
    ) -> None:
        """Put workers on the nodes of a session's cluster.

        workers: at most so many. gpus_per_worker: share of a GPU, where there are any. cpus_per_worker: None: what there is,
        shared out. device: "cpu" leaves GPUs alone. environment: variables of the workers.
        """
        self._session = session
        self._most = workers or 1 << 20
        self._gpus, self._cpus, self._device = gpus_per_worker, cpus_per_worker, device
        self._environment = dict(environment or {})
        self._code = code_digest()
        self._numbers = itertools.count()
        self._actors: list[_Actor] = []
        self._jobs: list[_Job] = []
        self._inbox: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._heard: dict[Any, Callable[[], None]] = {}
        """What is waited for -> what is done when it is there."""
        self._stays: dict[Any, _Actor] = {}
        """Calls that never return, unless the actor is gone."""
        self._nodes: dict[str, dict[str, Any]] = {}
        self._looked = 0.0
        self._strikes: Counter[tuple[str, ...]] = Counter()
        self._benched: dict[str, str] = {}
        """Node -> why no worker is started there."""
        self._starts: Counter[str] = Counter()
        self._files: dict[str, list[Any]] = {}
        self._stored = 0
        self.bytes_in, self.bytes_out = 0, 0
        """Through the object store so far: inputs, and what is known of results."""
        self._store = self._input_budget()
        self._closing = threading.Event()
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="cluster", daemon=True)
        self._thread.start()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the actors."""
        self._closing.set()
        self._thread.join()
        for actor in self._actors:
            _end(actor)
        self._actors.clear()
        self._heard.clear()
        self._stays.clear()

    def run_tasks(
        self,
        tasks: Sequence[Task],
        *,
        worker: str,
        setup: Any,
        feed: Callable[[int, Task], Iterable[Any]],
        admit: Callable[[dict[str, str]], str] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Outcome]:
        """As `work.Map` says; may be called from several threads. A setup that has `files` and `placed` gets its files carried along."""
        if not tasks:
            return
        files = {name: self._file(name, path) for name, path in setup.files().items()} if hasattr(setup, "files") else {}
        job = _Job(deque(tasks), worker, ray.put(pickle.dumps(setup)), files, feed, admit, stop or threading.Event())
        self._inbox.put(job)
        try:
            while True:
                try:
                    event = job.out.get(timeout=1.0)
                except queue.Empty:
                    if not self._thread.is_alive():
                        raise self._broken or ResourceError("the cluster was left") from None
                    continue
                if event is None:
                    return
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            job.abandoned.set()
            while not job.over.wait(0.5) and self._thread.is_alive():
                pass  # until nobody calls `feed` any more

    def waiting(self) -> int:
        """Tasks that no worker has taken yet, of all callers."""
        return self._inbox.qsize() + sum(len(job.waiting) for job in list(self._jobs))

    def _file(self, name: str, path: Any) -> list[Any]:
        """A file in the object store, put there once; in a list, so that it is not fetched where it is not needed."""
        if name not in self._files:
            with open(path, "rb") as file:
                self._files[name] = [ray.put(file.read())]
        return self._files[name]

    def _input_budget(self) -> int:
        here = ray.get_runtime_context().get_node_id()
        store = next((n["Resources"].get("object_store_memory", 0) for n in _nodes() if n["NodeID"] == here), 0)
        return int(store * _STORE_SHARE) or 256 << 20

    # --- the loop

    def _serve(self) -> None:
        try:
            while not self._closing.is_set():
                self._take_jobs()
                self._look_around()
                self._hand_out()
                self._listen()
                self._watch()
        except BaseException as error:  # noqa: BLE001 - carried to the callers
            self._broken = error
            for job in list(self._jobs):
                self._end_job(job, error)

    def _take_jobs(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.append(self._inbox.get_nowait())
                self._looked = 0.0
        for job in list(self._jobs):
            if job.abandoned.is_set():
                self._end_job(job, None)
            elif job.stop.is_set():
                job.waiting.clear()
                for run in list(job.running):
                    if run.actor.runs[0] is not run:
                        self._withdraw(run)
                if not job.running:
                    self._end_job(job, None)

    def _end_job(self, job: _Job, last: BaseException | None) -> None:
        if job not in self._jobs:
            return
        self._jobs.remove(job)
        for actor in {run.actor for run in job.running}:
            self._dismiss(actor)  # nobody wants what it is at
        job.out.put(last)
        job.over.set()

    def _listen(self) -> None:
        full = {job for job in self._jobs if job.out.qsize() >= _RESULTS}
        waited = [w for w, then in self._heard.items() if not (full and getattr(then, "job", None) in full)]
        if not waited:
            self._closing.wait(0.02)
            return
        ready, _ = ray.wait(waited, num_returns=len(waited), timeout=0)
        if not ready:
            ready, _ = ray.wait(waited, num_returns=1, timeout=_POLL_SECONDS)
        for item in ready:
            then = self._heard.get(item)  # may be gone by what another one led to
            if then is not None:
                then()

    def _watch(self) -> None:
        now = time.monotonic()
        for actor in list(self._actors):
            if (actor.runs or actor.preparing) and now - actor.heard > SILENCE_SECONDS:
                self._lose(actor, f"its worker on {actor.host} said nothing for {SILENCE_SECONDS:.0f} s")

    # --- actors

    def _look_around(self) -> None:
        """Which nodes there are; an actor on every share of them, as far as there is work."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        self._nodes = {n["NodeID"]: n for n in _nodes() if n["Alive"]}
        for actor in [a for a in self._actors if a.node not in self._nodes]:
            self._lose(actor, f"the machine {actor.host} was lost")
        self._find_the_dead()
        useless = sum(a.parked or any(a.number in job.refused for job in self._jobs) for a in self._actors)
        wanted = min(self._most, useless + sum(len(job.waiting) + len(job.running) for job in self._jobs))
        needs = self._needs()
        places = {key: self._capacity(node, needs) for key, node in self._nodes.items() if key not in self._benched}
        places.update({key: places[key] - sum(a.node == key for a in self._actors) for key in places})
        while len(self._actors) < wanted and places:
            key = max(places, key=places.__getitem__)
            if places[key] < 1:
                break
            places[key] -= 1
            self._actors.append(self._begin(key, needs))

    def _needs(self) -> tuple[float, float]:
        """(CPUs, GPUs) of a worker."""
        nodes = [n["Resources"] for n in self._nodes.values()]
        with_gpu = [r for r in nodes if r.get("GPU", 0) >= self._gpus] if self._device != "cpu" else []
        if with_gpu:
            return self._cpus or max(1.0, min(r.get("CPU", 0) // (r["GPU"] / self._gpus) for r in with_gpu)), self._gpus
        return self._cpus or max(1.0, min([_MOST_CPUS, *(r["CPU"] for r in nodes if r.get("CPU", 0) >= 1)])), 0

    @staticmethod
    def _capacity(node: dict[str, Any], needs: tuple[float, float]) -> int:
        cpus, gpus = needs
        room = node["Resources"].get("CPU", 0) // cpus
        return int(min(room, node["Resources"].get("GPU", 0) / gpus) if gpus else room)

    def _begin(self, node: str, needs: tuple[float, float]) -> _Actor:
        options: dict[str, Any] = {"runtime_env": {"env_vars": self._environment}} if self._environment else {}
        remote: Any = ray.remote(max_restarts=0, max_task_retries=0, concurrency_groups={"work": 1, "side": 2, "stay": 1})  # type: ignore[call-overload]
        handle = remote(Station).options(
            num_cpus=needs[0], num_gpus=needs[1], scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False), **options
        ).remote()  # fmt: skip
        actor = _Actor(next(self._numbers), node, self._nodes[node].get("NodeManagerHostname", node[:8]), handle)
        hello, stay = (getattr(handle, name).options(concurrency_group=group).remote() for name, group in (("hello", "side"), ("stay", "stay")))
        self._heard[hello] = lambda: self._on_hello(actor, hello)
        self._stays[stay] = actor
        return actor

    def _on_hello(self, actor: _Actor, ref: Any) -> None:
        answer = self._answer(actor, ref)
        if answer is None:
            return
        actor.hello, actor.heard = answer, time.monotonic()
        self._starts[actor.node] = 0
        if answer["code"] != self._code:
            self._bench(actor.node, f"{actor.host} has another version of vsr (code {answer['code']}, here {self._code}); install the same there")
        elif len(actor.device) > 1 and self._strikes[actor.device] >= ATTEMPTS:
            actor.parked = True
            reason = f"GPU {', '.join(answer['devices'])} of {actor.host} failed {ATTEMPTS} times in a row and gets no more work"
            self._tell_all(Refused(actor.number, reason, actor.host))

    def _bench(self, node: str, reason: str) -> None:
        self._benched[node] = reason
        for actor in [a for a in self._actors if a.node == node]:
            self._tell_all(Refused(actor.number, reason, actor.host))
            self._dismiss(actor)

    def _tell_all(self, event: Outcome) -> None:
        for job in self._jobs:
            job.out.put(event)

    def _find_the_dead(self) -> None:
        """An actor that died idle is not blamed on the task it would have got next."""
        if self._stays:
            ended, _ = ray.wait(list(self._stays), num_returns=len(self._stays), timeout=0)
            for stay in ended:
                actor = self._stays[stay]
                try:
                    ray.get(stay)
                except RayError as error:
                    self._lose(actor, error)
            self._stays = {stay: actor for stay, actor in self._stays.items() if actor in self._actors}

    def _answer(self, actor: _Actor, ref: Any) -> Any:
        """What an actor returned; None, and the actor is replaced, where it could not."""
        self._heard.pop(ref, None)
        try:
            return ray.get(ref)
        except RayError as error:
            if isinstance(error, RayTaskError) and not isinstance(error, RayActorError) and actor.hello is not None:
                raise  # a bug of ours
            self._lose(actor, error)
            return None

    def _lose(self, actor: _Actor, why: RayError | str) -> None:
        """Replace an actor that is dead, hung or lost; the task it was at is tried again, and counted where its node still lives."""
        if actor not in self._actors:
            return
        head = actor.runs[0] if actor.runs else None
        gone = actor.node not in {n["NodeID"] for n in _nodes() if n["Alive"]} or getattr(why, "preempted", False)
        reason = why if isinstance(why, str) else f"the machine {actor.host} was lost" if gone else _told(why, actor.host)
        started = actor.hello is not None
        self._dismiss(actor, keep_head=True)
        if not started and not gone:
            self._starts[actor.node] += 1
            if self._starts[actor.node] >= ATTEMPTS:
                self._bench(actor.node, f"no worker starts on {actor.host}: {reason}")
        if head is None:
            return
        job, task = head.job, head.task
        self._forget(head)
        job.failures.setdefault(task.key, []).append("" if gone else actor.node)
        self._strikes[actor.device] += not gone
        # A node may be found dead only after its workers were, so those that are gone by now are left out again.
        if sum(node in self._nodes for node in job.failures[task.key]) >= ATTEMPTS:
            self._end_job(job, exhausted(task, reason))
            return
        self._put_back(head)
        job.out.put(Lost(actor.number, task.key, reason, actor.host))

    def _dismiss(self, actor: _Actor, *, keep_head: bool = False) -> None:
        """End an actor; what it had not begun goes back, and without `keep_head` also what it had."""
        if actor not in self._actors:
            return
        self._actors.remove(actor)
        self._looked = 0.0
        for run in actor.runs[::-1][: len(actor.runs) - keep_head]:
            self._forget(run)
            self._put_back(run)
        _end(actor)

    # --- work

    def _hand_out(self) -> None:
        if not any(job.waiting for job in self._jobs):
            self._share_the_rest()
            return
        for taken in range(_SLOTS):
            for actor in [a for a in self._actors if a.hello is not None and not a.parked and not a.preparing and len(a.runs) == taken]:
                if taken and self._stored > self._store:
                    break
                job = next((j for j in self._jobs if j.waiting and actor.number not in j.refused), None)
                if job is None:
                    continue
                if actor.job is job:
                    self._submit(actor, job, job.waiting.popleft())
                else:
                    self._prepare(actor, job)
        for job in [j for j in self._jobs if j.waiting and not j.running]:
            self._judge_hunger(job)

    def _judge_hunger(self, job: _Job) -> None:
        """Give a job up that nobody can work on."""
        if any(not a.parked and a.number not in job.refused for a in self._actors):
            job.hungry_since = time.monotonic()
        elif self._actors and all(a.number in job.refused for a in self._actors if not a.parked) and job.refused:
            self._end_job(job, NoneAdmittedError(next(iter(job.refused.values()))))
        elif self._nodes and all(node in self._benched for node in self._nodes):
            self._end_job(job, ResourceError(f"{next(iter(self._benched.values()))}; what is done is kept"))
        elif self._actors:
            self._end_job(job, ResourceError("every GPU of the cluster failed; what is done is kept"))
        elif time.monotonic() - job.hungry_since > _PATIENCE_SECONDS:
            cpus, gpus = self._needs()
            need = f"{gpus:g} GPU and {cpus:g} CPU" if gpus else f"{cpus:g} CPU"
            self._end_job(job, ResourceError(f"the cluster has no machine with {need} for a worker; see `ray status`; what is done is kept"))

    def _share_the_rest(self) -> None:
        """Where nothing waits any more, an idle actor gets the second task of one that is still at its first."""
        idle = [a for a in self._actors if a.hello is not None and not a.parked and not a.preparing and not a.runs]
        moving = sum(run.withdrawing for a in self._actors for run in a.runs)
        for run in [a.runs[1] for a in self._actors if len(a.runs) > 1 and not a.runs[1].withdrawing][: max(0, len(idle) - moving)]:
            self._withdraw(run)

    def _prepare(self, actor: _Actor, job: _Job) -> None:
        actor.preparing, actor.job = True, job
        if not actor.runs:
            actor.heard = time.monotonic()
        ref = actor.handle.prepare.options(concurrency_group="work").remote(job.worker, job.setup, job.files)
        self._heard[ref] = lambda: self._on_prepared(actor, job, ref)

    def _on_prepared(self, actor: _Actor, job: _Job, ref: Any) -> None:
        answer = self._answer(actor, ref)
        if answer is None:
            return
        actor.preparing, actor.heard = False, time.monotonic()
        if job not in self._jobs:
            return
        kind, value = answer
        if kind == "error":
            self._on_error(actor, job, value)
            return
        try:
            reason = job.admit(value) if job.admit is not None else ""
        except Exception as error:  # noqa: BLE001 - the caller's own
            self._end_job(job, error)
            return
        if reason:
            job.refused[actor.number] = f"{actor.host}: {reason}"
            job.out.put(Refused(actor.number, f"{actor.host}: {reason}", actor.host))
        elif actor.number not in job.greeted:
            job.greeted.add(actor.number)
            job.out.put(Hello(actor.number, (actor.hello or {}).get("pid", 0), value, actor.host))

    def _on_error(self, actor: _Actor, job: _Job, error: Exception) -> None:
        """A worker said that it can't go on."""
        if isinstance(error, ResourceError):
            self._lose(actor, f"{error} on {actor.host}")
        elif isinstance(error, VsrError):
            self._end_job(job, type(error)(f"{error} (on {actor.host})" if not self._session.private else str(error)))
        else:
            self._end_job(job, error)

    def _submit(self, actor: _Actor, job: _Job, task: Task) -> None:
        line, pieces, whole = 0, None, True
        if task.key in job.kept:
            parts, size = job.kept.pop(task.key)
        else:
            line = next(n for n in itertools.count() if n not in job.feeding)
            try:
                pieces = iter(job.feed(line, task))
                data = [pickle.dumps(piece, pickle.HIGHEST_PROTOCOL) for piece in itertools.islice(pieces, _PARTS)]
            except Exception as error:  # noqa: BLE001 - the caller's own
                self._end_job(job, error)
                return
            whole, size = len(data) < _PARTS, sum(map(len, data))
            parts = [ray.put(part) for part in data]
            self.bytes_in += size
        self._stored += size
        number = next(self._numbers)
        stream = actor.handle.run.options(concurrency_group="work", num_returns="streaming").remote(number, task.payload, whole, *parts)
        run = _Run(number, job, task, actor, stream, parts, size, line, None if whole else pieces)
        if not actor.runs:
            actor.heard = time.monotonic()
        actor.runs.append(run)
        job.running.add(run)
        self._listen_to(actor)
        if not whole:
            job.feeding.add(line)
            self._feed(run)

    def _feed(self, run: _Run, part: Any = None, last: bool = False) -> None:
        """Send the next part of a long input, or the same again that was not taken."""
        if part is None:
            assert run.pieces is not None
            try:
                piece = next(run.pieces, None)
            except Exception as error:  # noqa: BLE001 - the caller's own
                self._end_job(run.job, error)
                return
            last = piece is None
            data = b"" if last else pickle.dumps(piece, pickle.HIGHEST_PROTOCOL)
            self.bytes_in += len(data)
            part = ray.put(data)
        ref = run.actor.handle.feed.options(concurrency_group="side").remote(run.number, last, part)
        self._heard[ref] = lambda: self._on_fed(run, ref, part, last)

    def _on_fed(self, run: _Run, ref: Any, part: Any, last: bool) -> None:
        taken = self._answer(run.actor, ref)
        if taken is None or run not in run.job.running:
            return
        if not taken:
            self._feed(run, part, last)
        elif last:
            run.job.feeding.discard(run.feed)
        else:
            self._feed(run)

    def _withdraw(self, run: _Run) -> None:
        if run.withdrawing:
            return
        run.withdrawing = True
        ref = run.actor.handle.withdraw.options(concurrency_group="side").remote(run.number)
        self._heard[ref] = lambda: self._on_withdrawn(run, ref)

    def _on_withdrawn(self, run: _Run, ref: Any) -> None:
        if self._answer(run.actor, ref) and run in run.job.running:
            self._forget(run)
            self._put_back(run)

    def on_step(self, run: _Run) -> None:
        """Something came of a run."""
        actor, job = run.actor, run.job
        try:
            kind, value = ray.get(next(run.stream))
        except StopIteration:  # it was withdrawn before it began, as the answer to that call will say
            self._heard.pop(run.stream, None)
            return
        except RayError as error:
            self._lose(actor, error)
            return
        actor.heard = time.monotonic()
        if kind == "error":
            self._on_error(actor, job, value)
            return
        if kind != "done":
            job.out.put(Item(actor.number, run.task.key, value, actor.host))
        if kind != "item":
            self._forget(run)
            self._strikes[actor.device] = 0
            job.out.put(Done(actor.number, run.task.key, actor.host))
            if not job.waiting and not job.running:
                self._end_job(job, None)

    def _listen_to(self, actor: _Actor) -> None:
        """Only of the first of an actor's tasks can anything come."""
        if actor.runs and actor in self._actors:
            run = actor.runs[0]
            if run.stream not in self._heard:
                self._heard[run.stream] = _Step(self, run)

    def _put_back(self, run: _Run) -> None:
        """Let a task be taken again, its input with it."""
        if run.job in self._jobs and not run.job.stop.is_set():
            run.job.waiting.appendleft(run.task)
            if run.pieces is None:
                run.job.kept[run.task.key] = run.parts, run.size

    def _forget(self, run: _Run) -> None:
        """Take a run off the books; whatever still comes of it is dropped."""
        self._heard.pop(run.stream, None)
        if run in run.actor.runs:
            run.actor.runs.remove(run)
            self._stored -= run.size
            self._listen_to(run.actor)
        run.job.running.discard(run)
        run.job.feeding.discard(run.feed)


@dataclass(frozen=True)
class _Step:
    """What is done when something came of a run."""

    cluster: Cluster
    run: _Run

    @property
    def job(self) -> _Job:
        return self.run.job

    def __call__(self) -> None:
        self.cluster.on_step(self.run)


def _nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


def _end(actor: _Actor) -> None:
    with contextlib.suppress(Exception):  # it may be gone already, and Ray with it
        ray.kill(actor.handle, no_restart=True)


def _told(error: RayError, host: str) -> str:
    """Why an actor is gone, in one clause."""
    text = str(error)
    if "low on memory" in text or "OutOfMemory" in type(error).__name__:
        return f"memory ran out on {host}"
    if isinstance(error, RayTaskError) or (isinstance(error, RayActorError) and error.actor_init_failed):
        return text.strip().splitlines()[-1].strip()
    return f"its worker on {host} died"
