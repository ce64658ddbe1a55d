"""Runs a whole job in this process, without child processes.

For tests that are not about the process boundary; a child takes seconds to import torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.errors import MediaError
from pipelines.plan.events import Event, Finished, Planned
from pipelines.pool.interface import (
    Done,
    NoneAdmittedError,
    ReadyForNext,
    Task,
    WorkerReady,
    WorkItem,
    attempts_exhausted,
    to_sendable_error,
)
from pipelines.run import worker_pools
from pipelines.run.job import upscale_video
from vsr.api import run_settings

QUICK: dict[str, Any] = {"scale": 1, "model": "identity", "codec": "ffv1", "device": "cpu"}
"""Lossless and fast."""
H264: dict[str, Any] = {
    "scale": 1,
    "model": "identity",
    "codec": "h264",
    "crf": 18.0,
    "preset": "ultrafast",
    "device": "cpu",
}


class WorkersHere:
    """A `work.Map` without processes."""

    def waiting(self) -> int:
        return 0

    def run_tasks(
        self,
        tasks: Sequence[Task],
        *,
        worker: str,
        setup: Any,
        feed: Callable[[int, Task], Iterable[Any]],
        admit: Callable[[dict[str, str]], str] | None = None,
        stop: Any = None,
    ) -> Iterator[WorkerReady | WorkItem | Done]:
        if not tasks:
            return
        module, _, name = worker.partition(":")
        made = getattr(importlib.import_module(module), name)(setup)
        reason = admit(made.facts) if admit is not None else ""
        if reason:
            raise NoneAdmittedError(reason)
        yield WorkerReady(0, 0, made.facts)
        for task in tasks:
            if stop is not None and stop.is_set():
                return
            pieces = iter(feed(0, task))
            try:
                for item in made.run(task.payload, pieces):
                    yield WorkItem(0, task.key, item.value if isinstance(item, ReadyForNext) else item)
            except MemoryError as error:
                raise attempts_exhausted(task, to_sendable_error(error)) from None
            for _ in pieces:
                pass
            yield Done(0, task.key)


def without_processes(patch: pytest.MonkeyPatch) -> None:
    """Let the job run its workers in this process."""
    patch.setattr(worker_pools, "local_workers", lambda *_: WorkersHere())


def upscaled(
    source: Path,
    output: Path,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    worker: str | None = None,
    **settings: Any,
) -> list[Event]:
    """The events of one run with flat settings on top of `QUICK`."""
    more = {"worker": worker} if worker else {}
    return list(
        upscale_video(
            source, output, run_settings(**{**QUICK, **settings}), overwrite=overwrite, fresh=fresh, **more
        )
    )


def planned_of(events: list[Event]) -> Planned:
    """The (last) plan among events."""
    return next(e for e in reversed(events) if isinstance(e, Planned))


def finished_of(events: list[Event]) -> Finished:
    """The closing event."""
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def without_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Describe files of others in this process: starting one for each takes seconds."""
    import json
    from dataclasses import asdict

    from models.catalog import lookup, third_party
    from pipelines.model_files import install

    def foreign(path: Path, *target: str) -> str:
        try:
            if target:
                third_party.write_tensors(str(path.resolve()), *target)
                return ""
            return json.dumps(asdict(third_party.describe(str(path.resolve()))))
        except MediaError as error:
            raise MediaError(f"{path}: is not a network we can load ({error})") from None

    monkeypatch.setattr(lookup, "read_third_party", foreign)
    monkeypatch.setattr(install, "read_third_party", foreign)
