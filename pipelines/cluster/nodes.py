"""`NodeActors`: the nodes of a cluster, and the actors on them."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from models.errors import NoMemoryError, ResourceError
from pipelines.cluster.actor import WorkerActor
from pipelines.cluster.code_version import code_digest
from pipelines.cluster.pending_calls import Actor
from pipelines.pool.interface import ATTEMPTS, NoneAdmittedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.cluster.pending_calls import PendingCall
    from pipelines.pool.task_queue import Device

__all__ = ["NodeActors", "kill_actor", "loss_reason", "node_lost_error"]


_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0
"""How long a cluster may be without any worker before the work is given up."""
_MOST_CPUS = 8
"""CPUs of a worker without a GPU, by default."""


class NodeActors:
    """Keeps an actor on every share of a node, as far as there is work, and records failures."""

    def __init__(
        self, *, most: int, gpus: float, cpus: float | None, device: str, environment: dict[str, str]
    ) -> None:
        """most: actors at a time. gpus: share of a GPU for each. cpus: None: the available ones, divided.

        device: "cpu" leaves GPUs unused.
        """
        self._most, self._gpus, self._cpus, self._device, self._environment = (
            most,
            gpus,
            cpus,
            device,
            environment,
        )
        self._code = code_digest()
        self._numbers = itertools.count()
        self._looked = 0.0
        self.alive: dict[str, dict[str, Any]] = {}
        """Nodes that were alive at the last look, by their id."""
        self.actors: list[Actor] = []
        self.benched: dict[str, str] = {}
        """Node -> why no worker is started there."""
        self._strikes: Counter[Device] = Counter()
        self._starts: Counter[str] = Counter()
        self._remote: Any = None

    # --- machines

    def look(self) -> bool:
        """Update the list of nodes at intervals; returns whether it was updated."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        self.alive = _alive()
        return True

    def look_soon(self) -> None:
        """Update the list of nodes at the next call."""
        self._looked = 0.0

    def is_lost(self, node: str) -> bool:
        """Whether a node is gone at this moment."""
        return node not in _alive()

    def needs(self) -> tuple[float, float]:
        """(CPUs, GPUs) that a worker needs."""
        nodes = [n["Resources"] for n in self.alive.values()]
        with_gpu = [r for r in nodes if r.get("GPU", 0) >= self._gpus] if self._device != "cpu" else []
        if with_gpu:
            return (
                self._cpus or max(1.0, min(r.get("CPU", 0) // (r["GPU"] / self._gpus) for r in with_gpu)),
                self._gpus,
            )
        return (
            self._cpus or max(1.0, min([_MOST_CPUS, *(r["CPU"] for r in nodes if r.get("CPU", 0) >= 1)])),
            0,
        )

    def why_none(self, call: PendingCall) -> Exception | None:
        """Why no actor can work on a call; None if one can, or may soon."""
        if any(not a.parked and a.number not in call.refused for a in self.actors):
            call.hungry_since = time.monotonic()
            return None
        if (
            self.actors
            and call.refused
            and all(a.number in call.refused for a in self.actors if not a.parked)
        ):
            return NoneAdmittedError(next(iter(call.refused.values())))
        if self.alive and all(node in self.benched for node in self.alive):
            return ResourceError(f"{next(iter(self.benched.values()))}; what is done is kept")
        if self.actors:
            return ResourceError("every GPU of the cluster failed; what is done is kept")
        if time.monotonic() - call.hungry_since > _PATIENCE_SECONDS:
            cpus, gpus = self.needs()
            need = f"{gpus:g} GPU and {cpus:g} CPU" if gpus else f"{cpus:g} CPU"
            return ResourceError(
                f"the cluster has no machine with {need} for a worker; see `ray status`; what is done is kept"
            )
        return None

    # --- actors

    def fill(self, wanted: int) -> Iterator[Actor]:
        """Start actors until there are enough, as far as resources allow.

        Yields the new ones.
        """
        needs = self.needs()
        places = {key: _capacity(node, needs) for key, node in self.alive.items() if key not in self.benched}
        places.update({key: places[key] - sum(a.node == key for a in self.actors) for key in places})
        while len(self.actors) < min(wanted, self._most) and places:
            node = max(places, key=places.__getitem__)
            if places[node] < 1:
                return
            places[node] -= 1
            actor = self._begin(node, needs)
            self.actors.append(actor)
            yield actor

    def _begin(self, node: str, needs: tuple[float, float]) -> Actor:
        options: dict[str, Any] = (
            {"runtime_env": {"env_vars": self._environment}} if self._environment else {}
        )
        if self._remote is None:  # once: every new one is sent to the cluster
            remote: Any = ray.remote(
                max_restarts=0, max_task_retries=0, concurrency_groups=WorkerActor.THREADS
            )  # type: ignore[call-overload]
            self._remote = remote(WorkerActor)
        handle = self._remote.options(
            num_cpus=needs[0],
            num_gpus=needs[1],
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            **options,
        ).remote()
        host = self.alive[node].get("NodeManagerHostname", node[:8])
        return Actor(next(self._numbers), node, host, handle, handle.hello.remote(), handle.stay.remote())

    def gone(self) -> list[tuple[Actor, RayError | ResourceError]]:
        """Actors that were lost with their node or process, even while idle, with the reasons."""
        found: list[tuple[Actor, RayError | ResourceError]] = [
            (a, node_lost_error(a)) for a in self.actors if a.node not in self.alive
        ]
        here = {actor.stay: actor for actor in self.actors if actor.node in self.alive}
        ended, _ = ray.wait(list(here), num_returns=len(here), timeout=0) if here else ([], [])
        for stay in ended:
            try:
                ray.get(stay)
            except RayError as error:
                found.append((here[stay], error))
        return found

    def greet(self, actor: Actor, facts: dict[str, Any]) -> str:
        """Process an actor's facts; returns why it gets no work, if it gets none."""
        actor.facts, actor.silent = facts, 0.0
        if facts["code"] != self._code:
            reason = (
                f"{actor.host} has another version of vsr (code {facts['code']}, here {self._code}); install"
                " the same there"
            )
            self.benched[actor.node] = reason
            return reason
        if len(actor.device) > 1 and self._strikes[actor.device] >= ATTEMPTS:
            actor.parked = True
            return (
                f"GPU {', '.join(facts['devices'])} of {actor.host} failed {ATTEMPTS} times in a row and gets"
                " no more work"
            )
        return ""

    def failed_to_start(self, actor: Actor, reason: str) -> str:
        """Record that an actor ended before it reported, or could not be prepared.

        If this has happened too often, its node gets no more actors, and the reason is returned.
        """
        self._starts[actor.node] += 1
        if self._starts[actor.node] >= ATTEMPTS:
            self.benched[actor.node] = f"no worker starts on {actor.host}: {reason}"
        return self.benched.get(actor.node, "")

    def has_started(self, actor: Actor) -> None:
        """Record that an actor is ready: reset the count of failed starts on its node."""
        self._starts.pop(actor.node, None)

    def devices(self, call: PendingCall) -> Iterator[Device]:
        """Devices of the actors that could work on a call."""
        return (
            a.device
            for a in self.actors
            if a.facts is not None and not a.parked and a.number not in call.refused
        )

    def strike(self, actor: Actor) -> None:
        """Record a failure of an actor."""
        self._strikes[actor.device] += 1

    def clear(self, actor: Actor) -> None:
        """Record a success of an actor, so its device works."""
        self._strikes.pop(actor.device, None)

    def dismiss(self, actor: Actor) -> None:
        """Remove an actor and kill it."""
        self.actors.remove(actor)
        self.look_soon()
        kill_actor(actor)


def kill_actor(actor: Actor) -> None:
    """Kill an actor's process."""
    with contextlib.suppress(Exception):  # it may be gone already, and Ray with it
        ray.kill(actor.handle, no_restart=True)


def node_lost_error(actor: Actor) -> ResourceError:
    """The error for an actor on a lost node."""
    return ResourceError(f"the machine {actor.host} was lost")


def loss_reason(error: RayError, host: str) -> ResourceError:
    """Why an actor is gone, in one clause."""
    text = str(error)
    if "low on memory" in text or "OutOfMemory" in type(error).__name__:
        return NoMemoryError(f"memory ran out on {host}")
    if isinstance(error, RayTaskError) or (isinstance(error, RayActorError) and error.actor_init_failed):
        return ResourceError(text.strip().splitlines()[-1].strip())
    return ResourceError(f"its worker on {host} died")


def _alive() -> dict[str, dict[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return {n["NodeID"]: n for n in nodes if n["Alive"]}


def _capacity(node: dict[str, Any], needs: tuple[float, float]) -> int:
    cpus, gpus = needs
    room = node["Resources"].get("CPU", 0) // cpus
    return int(min(room, node["Resources"].get("GPU", 0) / gpus) if gpus else room)
