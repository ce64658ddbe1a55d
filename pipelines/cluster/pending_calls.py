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

__all__ = ["Actor", "PendingCall", "RunningTask"]


@dataclass(eq=False)
class PendingCall:
    """One call of `run_tasks`."""

    task_queue: TaskQueue
    worker: str
    setup: Any
    """Reference to the pickled setup."""
    files: dict[str, list[Any]]
    """Name of a file -> reference to its bytes, in a list, so that Ray does not fetch it if it is not
    needed."""
    feed: Callable[[int, Task], Iterable[Any]]
    admit: Callable[[dict[str, str]], str] | None
    stop: threading.Event
    out: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    abandoned: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    running: set[RunningTask] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)
    """Actor -> why it is excluded."""
    greeted: set[int] = field(default_factory=set)
    feeding: set[int] = field(default_factory=set)
    """Numbers of feeds that have not ended."""
    hungry_since: float = field(default_factory=time.monotonic)
    """When there was last an actor that could work on it."""


@dataclass(eq=False)
class Actor:
    """An actor, from the moment it is requested."""

    number: int
    node: str
    host: str
    handle: Any
    hello: Any
    """Reference to its facts."""
    stay: Any
    """Reference to a call that never returns, unless the actor is gone."""
    silent: float = 0.0
    """Seconds without a report while it had work and its results were fetched."""
    pulse: int = 0
    """Progress of the actor's worker when it was last asked."""
    asked: bool = False
    """Whether the actor is being asked for its progress."""
    facts: dict[str, Any] | None = None
    """Facts that it reported."""
    runs: list[RunningTask] = field(default_factory=list)
    """In the order of execution."""
    call: PendingCall | None = None
    """The call it is prepared for."""
    preparing: bool = False
    parked: bool = False
    """Holds a broken device, so that no other actor gets it."""
    turns: Iterator[int] = field(default_factory=itertools.count)

    @property
    def device(self) -> Device:
        """The device of the actor."""
        return (self.node, *(self.facts or {}).get("devices", ()))

    @property
    def begun(self) -> list[RunningTask]:
        """The tasks that may be running: the first, and the second if the first allows it."""
        return [
            run
            for place, run in enumerate(self.runs)
            if place == 0 or (self.runs[0].free and run.call is self.runs[0].call)
        ]

    @property
    def is_ready(self) -> bool:
        """Whether the actor can be given tasks, or be prepared for a call."""
        return self.facts is not None and not self.parked and not self.preparing


@dataclass(eq=False)
class RunningTask:
    """A task that an actor holds."""

    turn: int
    """Number of this call among the actor's calls."""
    call: PendingCall
    task: Task
    actor: Actor
    stream: Any
    parts: list[Any]
    """References to its input, or to the first parts of it."""
    size: int
    """Size of these parts."""
    feed: int | None = None
    """Number of the feed, if it has not ended."""
    pieces: Iterator[Any] | None = None
    """The rest of a long input."""
    free: bool = False
    """The actor has begun the next task too."""
    withdrawing: bool = False
