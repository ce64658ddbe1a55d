"""`kept_work`: what earlier runs have left for a plan, read without a lock and without changing anything."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UsageError
from pipelines.output.journal import read_job, refuse_other_chunks, work_folder, work_folder_plan
from pipelines.plan.events import AlreadyDone
from pipelines.plan.output_names import output_pattern, report_path
from pipelines.planner.plan_builder import cut_otherwise
from pipelines.run.chunk_loop import plan_as_begun
from pipelines.run.publishing import refuse_taken

if TYPE_CHECKING:
    from collections.abc import Generator

    from pipelines.plan.events import Note, Planned
    from pipelines.plan.plan import Plan
    from pipelines.settings.run_settings import RunSettings

__all__ = ["KeptWork", "finished_output", "kept_work"]


@dataclass(frozen=True, eq=False)
class KeptWork:
    """Work of earlier runs that a run of a plan would find."""

    planned: Planned
    """With the chunks that are finished, and the choices that an earlier run of the same command had made."""
    done: AlreadyDone | None = None
    """The output, if an earlier run has finished it."""
    refusal: str = ""
    """Why a run would stop before work; empty if it would not."""


def kept_work(planned: Planned, source: Path, output: Path | None, settings: RunSettings) -> KeptWork:
    """Look for the output, and for finished chunks. source, output, settings: those of the plan."""
    target = Path(planned.output)
    done = finished_output(target, planned.plan)
    if done is not None:
        return KeptWork(planned, done)
    begun = work_folder_plan(work_folder(target))
    if begun is not None and begun.asked in planned.plan.ids and begun.id != planned.plan.id:
        planned = _end_of(plan_as_begun(begun, planned, source, output, settings))
    plan = planned.plan
    try:
        refuse_taken(target, plan, may_replace=False)
        if begun is not None and begun.id != plan.id:
            cut = functools.partial(cut_otherwise, plan, planned.info)
            refuse_other_chunks(work_folder(target), plan.id, plan.to_json(), cut)
    except UsageError as error:
        return KeptWork(planned, refusal=str(error))
    if begun is None or begun.id != plan.id:
        return KeptWork(planned)
    made = [plan.chunks[index] for index in read_job(work_folder(target)).done if index < len(plan.chunks)]
    frames = sum(map(plan.results_of, made))
    return KeptWork(replace(planned, chunks_done=len(made), frames_done=frames))


def finished_output(target: Path, plan: Plan, *, of_any_size: bool = False) -> AlreadyDone | None:
    """The output of an earlier run of the same command, or of another with the same plan, if it exists.

    of_any_size: accept another size than recorded, for callers that verify the whole file.
    """
    try:
        report = json.loads(report_path(target).read_bytes())
        pattern = output_pattern(target, plan)
        size = pattern.bytes(plan.numbers) if pattern is not None else target.stat().st_size
        same = not plan.ids.isdisjoint({report["plan"], report.get("asked")}) and (
            of_any_size or report["bytes"] == size
        )
        return AlreadyDone(str(target), int(report["frames"]), size) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _end_of(following: Generator[Note, None, Planned]) -> Planned:
    """The value that a generator returns."""
    while True:
        try:
            next(following)
        except StopIteration as end:
            planned: Planned = end.value
            return planned
