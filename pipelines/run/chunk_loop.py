"""Runs the chunks a plan still lacks, with fewer workers or smaller tiles where memory runs out."""

from __future__ import annotations

import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Container, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import Interrupted, NoMemoryError, OutputError, ResourceError, UsageError
from pipelines.codec.encoder import EncodedChunk
from pipelines.output.journal import Journal
from pipelines.plan.events import Advanced, ChunkFinished, Event, Note, Planned
from pipelines.plan.plan import Plan
from pipelines.plan.settings import tile_text
from pipelines.planner.plan_builder import with_smaller_tiles
from pipelines.planner.video_planner import plan_video
from pipelines.pool.interface import Done, NoneAdmittedError, WorkerLost, WorkerRejected, WorkItem
from pipelines.probe.frame_times import count
from pipelines.run.chunk_tasks import run_spans
from pipelines.workers.messages import NO_ENCODER, ChunkProgress

if TYPE_CHECKING:
    from pipelines.output.journal import ChunkRecord
    from pipelines.plan.settings import RunSettings
    from pipelines.pool.interface import WorkerPool

__all__ = ["LIMITS", "MadeChunks", "adopt_plan", "make_chunks", "plan_as_begun", "replan_with_smaller_tiles"]


_LEAST_FREE_BYTES = 32 << 20


def plan_as_begun(
    plan_id: str,
    planned: Planned,
    dropped: frozenset[int],
    source: Path,
    output: Path | None,
    settings: RunSettings,
) -> Generator[Note, None, tuple[Planned, frozenset[int]]]:
    """The plan of that id, which an earlier run of the same command had come to: with counted frames, with
    smaller tiles, or both.
    """
    plans = _of_all_tiles(planned.plan)
    if plan_id not in plans:
        counted = count(planned.info)
        yield Note(f"goes on with frames counted by decoding, as before: {counted.frame_count}")
        planned, dropped = plan_video(source, output, settings, counted)
        plans = _of_all_tiles(planned.plan)
    plan = plans.get(plan_id, planned.plan)
    if plan.tile_px != planned.plan.tile_px:
        yield Note(
            f"goes on with tiles of {tile_text(plan.tile_px)}, for memory ran out before; --fresh begins anew"
            " with larger ones"
        )
    return replace(planned, plan=plan), dropped


def _of_all_tiles(plan: Plan) -> dict[str, Plan]:
    """The plan, and those that differ from it by smaller tiles alone, by their ids."""
    return {one.id: one for one in (plan, *with_smaller_tiles(plan))}


def adopt_plan(plan: Plan, planned: Planned, journal: Journal) -> Planned:
    """With another plan that the run has come to.

    The work directory becomes that one's, so that a later run resumes from it.
    """
    journal.adopt(plan.id, plan.to_json(), planned.input, supersede=True)
    return replace(planned, plan=plan)


def replan_with_smaller_tiles(planned: Planned, journal: Journal, error: NoMemoryError) -> Planned:
    """The next plan. Raises NoMemoryError where there is none."""
    smaller = next(with_smaller_tiles(planned.plan), None)
    if smaller is None:
        raise error
    if not journal.is_empty:  # chunks of one result are of one plan
        raise NoMemoryError(
            f"{error}, or begin anew with --fresh --tile {tile_text(smaller.tile_px)}"
        ) from None
    return adopt_plan(smaller, planned, journal)


def make_chunks(
    planned: Planned,
    journal: Journal,
    settings: RunSettings,
    *,
    fresh: bool,
    stop: threading.Event | None,
    worker: str,
    workers: WorkerPool | None,
) -> Generator[Event, None, MadeChunks]:
    """Bring every chunk of the plan to the disk; its records come back as the generator's value."""
    plan, info = planned.plan, planned.info
    if fresh:
        journal.clear()
    done, changed = journal.adopt(plan.id, plan.to_json(), planned.input)
    records = {r.index: r for r in done}
    short = _short_of_disk(journal.folder, planned)
    frames = sum(plan.chunks[i].frame_count for i in records) * plan.per_frame
    yield replace(planned, chunks_done=len(records), frames_done=frames, changed=tuple(changed))
    if short:
        yield Note(short)
    made = 0
    total = plan.frame_count
    seconds: dict[str, float] = {}
    told: Counter[str] = Counter()
    refusals: set[str] = set()
    assumed: deque[str] = deque()
    admit = _admission(journal, assumed, mixed=settings.mixed_hardware)
    while len(records) < len(plan.chunks):
        partly: dict[int, int] = {}
        try:
            for event in run_spans(
                plan, info, set(records), settings, worker, stop, workers=workers, admit=admit
            ):
                while assumed:
                    yield Note(assumed.popleft())
                if isinstance(event, WorkerRejected):
                    if event.reason not in refusals:
                        refusals.add(event.reason)
                        yield Note(f"a worker takes no part: {event.reason}")
                elif isinstance(event, WorkerLost):
                    frames -= partly.pop(event.key, 0)
                    yield Note(f"{event.reason}; its work is done again")
                elif isinstance(event, WorkItem) and isinstance(event.value, ChunkProgress):
                    partly[event.key] = partly.get(event.key, 0) + event.value.frames
                    frames += event.value.frames
                    for name, spent in event.value.seconds.items():
                        seconds[name] = seconds.get(name, 0.0) + spent
                    for text in event.value.notes:
                        told[text] += 1
                        if told[text] == 1:
                            yield Note(text)
                    yield Advanced(
                        frames,
                        total,
                        dict(seconds),
                        event.worker,
                        event.host,
                        event.value.frames,
                        _until_stop(plan, partly, records),
                    )
                elif isinstance(event, WorkItem) and isinstance(event.value, EncodedChunk):
                    chunk = event.value
                    count = plan.chunks[chunk.index].frame_count * plan.per_frame
                    # They are safe now; the next chunk of the same decoder may be well under way.
                    partly[event.key] = partly.get(event.key, 0) - count
                    if chunk.index in records:
                        # done again with the rest of what a lost worker was at; the first result counts
                        frames -= count
                        continue
                    records[chunk.index] = journal.commit(plan.id, chunk)
                    made += count
                    yield ChunkFinished(
                        chunk.index, len(records), len(plan.chunks), count, event.worker, event.host
                    )
                    if stop is not None and stop.is_set() and len(plan.spans[event.key].chunks) > 1:
                        # this decoder feeds more chunks, maybe the whole film; what it has begun is done
                        # again
                        break
                elif isinstance(event, Done):
                    partly.pop(event.key, None)
        except NoMemoryError:
            raise
        except ResourceError as error:
            if not plan.encoder.maker:
                raise
            raise ResourceError(
                f"{error}; if {plan.encoder.name} is at fault: --encoder software --fresh does without it"
            ) from None
        except NoneAdmittedError as error:
            if records:
                raise UsageError(
                    f"{journal.folder}: {len(records)} of {len(plan.chunks)} chunks are kept, and no worker"
                    f" goes on with them: {error}; name the --device they were made on, install what was"
                    " there then, mix them with --mixed-hardware, or throw them away with --fresh"
                ) from None
            if not journal.forget_numerics():
                raise ResourceError(f"no worker takes part: {error}") from None
            continue
        if stop is not None and stop.is_set() and len(records) < len(plan.chunks):
            raise Interrupted(
                f"stopped; {len(records)} of {len(plan.chunks)} chunks are kept, the same command goes on"
                " from there"
            )
    for text, times in told.items():
        if times > 1:
            yield Note(f"{times} times: {text}")
    return MadeChunks([records[c.index] for c in plan.chunks], seconds, made)


def _until_stop(plan: Plan, partly: Mapping[int, int], done: Container[int]) -> int:
    """Frames that the chunks under way still lack.

    partly: span -> frames made of its chunks that are not done.
    """
    lacking = 0
    for key, frames in partly.items():
        chunk = next((c for c in plan.spans[key].chunks if c.index not in done), None)
        if chunk is not None and frames > 0:
            lacking += max(0, chunk.frame_count * plan.per_frame - frames)
    return lacking


@dataclass(frozen=True, eq=False)
class MadeChunks:
    """All chunks of a plan, and where the time went."""

    records: list[ChunkRecord]
    seconds: dict[str, float]
    frames: int
    """Those that this call made."""


def _admission(journal: Journal, assumed: deque[str], *, mixed: bool) -> Callable[[dict[str, str]], str]:
    """Admits workers of the numerics class the chunks are made in; the first one sets it. What differs, else.

    assumed: gets what a person should be told of chunks that don't say all about their class.
    """
    lock = threading.Lock()

    def admit(facts: dict[str, str]) -> str:
        if facts.get("encoder") == NO_ENCODER:
            return (
                "the GPU whose encoder the plan names is not there; --encoder software --fresh does"
                " without it"
            )
        with lock:
            differences, unknown = journal.adopt_numerics(facts)
        if unknown:
            said = ", ".join(f"{name} {facts[name]}" for name in unknown)
            assumed.append(
                f"the earlier run's chunks don't say what they were made with of: {said}; taken to be the"
                " same, --fresh begins anew"
            )
        return f"it would give other bits ({'; '.join(differences)})" if differences and not mixed else ""

    return admit


_SURELY = 8
"""Of what a run takes at most, most take more than one part of so many."""


def _short_of_disk(folder: Path, planned: Planned) -> str:
    """What to say where the disk may turn out too small; nothing where it can't.

    Raises OutputError where it is too small for any film.
    """
    free, most = shutil.disk_usage(folder).free, planned.estimated_bytes
    if free < max(_LEAST_FREE_BYTES, most // _SURELY):
        raise OutputError(
            f"{folder.parent}: {free / 1e9:.2f} GB free, up to {most / 1e9:.2f} GB needed; free some space or"
            f" choose another -o (vsr plan {planned.input} --measure says how much it takes)"
        )
    if free < most:
        return (
            f"{free / 1e9:.2f} GB are free, and up to {most / 1e9:.2f} GB may be needed; vsr plan"
            f" {planned.input} --measure says how much"
        )
    return ""


LIMITS = {"decode wait": "decoding", "network": "the network", "encode wait": "encoding"}
"""Where a worker's middle thread spent most of its time -> what limits the run."""
