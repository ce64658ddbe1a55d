"""State of the scheduler: pending calls, actors, and the tasks that actors hold."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines.pool.interface import Task
from pipelines.pool.task_queue import Device, TaskQueue

__all__ = ["Actor", "PendingCall", "Run"]


@dataclass(eq=False)
class PendingCall:
    """One call of `run_tasks`."""

    task_queue: TaskQueue
    worker: str
    setup: Any
    """Reference to the pickled setup."""
    files: dict[str, list[Any]]
    """Name of a file -> reference to its bytes, in a list, so that it is not fetched where it is not
    needed."""
    feed: Callable[[int, Task], Iterable[Any]]
    admit: Callable[[dict[str, str]], str] | None
    stop: threading.Event
    out: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    abandoned: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    running: set[Run] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)
    """Actor -> why it takes no part."""
    greeted: set[int] = field(default_factory=set)
    feeding: set[int] = field(default_factory=set)
    """Numbers of feeds that are not at their end."""
    hungry_since: float = field(default_factory=time.monotonic)
    """When there was somebody last who could work on it."""


@dataclass(eq=False)
class Actor:
    """An actor, from its order on."""

    number: int
    node: str
    host: str
    handle: Any
    hello: Any
    """Reference to what it says of itself."""
    stay: Any
    """Reference to what never comes, unless the actor is gone."""
    silent: float = 0.0
    """Seconds for which it said nothing while it had something to do and was listened to."""
    pulse: int = 0
    """How far its worker had got when it was last asked."""
    asked: bool = False
    """It is being asked for its pulse."""
    facts: dict[str, Any] | None = None
    """What it said."""
    runs: list[Run] = field(default_factory=list)
    """In the order in which it works on them."""
    call: PendingCall | None = None
    """The one it is prepared for."""
    preparing: bool = False
    parked: bool = False
    """Holds a broken device, so that nobody else gets it."""
    turns: Iterator[int] = field(default_factory=itertools.count)

    @property
    def device(self) -> Device:
        """Where it computes."""
        return (self.node, *(self.facts or {}).get("devices", ()))

    @property
    def begun(self) -> list[Run]:
        """The tasks it may be working on: the first, and the one behind that from where it is free for it."""
        return [
            run
            for place, run in enumerate(self.runs)
            if place == 0 or (self.runs[0].free and run.call is self.runs[0].call)
        ]

    @property
    def is_ready(self) -> bool:
        """Whether it can be given tasks, or something to prepare for."""
        return self.facts is not None and not self.parked and not self.preparing


@dataclass(eq=False)
class Run:
    """A task in an actor's hands."""

    turn: int
    """Its number among the actor's calls."""
    call: PendingCall
    task: Task
    actor: Actor
    stream: Any
    parts: list[Any]
    """References to its input, or to the beginning of it."""
    size: int
    """Their bytes."""
    feed: int | None = None
    """Number of the feed that is not at its end."""
    pieces: Iterator[Any] | None = None
    """What is left of the input, where it is long."""
    free: bool = False
    """The actor has begun the next task beside it."""
    withdrawing: bool = False
