"""Makes the chunks that a plan still lacks, with fewer workers or smaller tiles if memory runs out."""

from __future__ import annotations

import functools
import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Container, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import Interrupted, NoMemoryError, OutputError, ResourceError, UsageError, counted
from pipelines.codec.encoder import EncodedChunk
from pipelines.encoders.encoder_crf import with_target_crf
from pipelines.output.journal import Journal
from pipelines.plan.events import Advanced, ChunkFinished, Event, Note, Planned
from pipelines.plan.plan import Plan
from pipelines.planner.plan_builder import cut_otherwise, with_smaller_tiles
from pipelines.planner.video_planner import plan_video
from pipelines.pool.interface import (
    ATTEMPTS,
    Done,
    NoneAdmittedError,
    WorkerLost,
    WorkerRejected,
    WorkItem,
)
from pipelines.probe.frame_times import count
from pipelines.run.chunk_tasks import SpanRun
from pipelines.run.crf_search import SAMPLES, find_crf
from pipelines.run.execution import Execution
from pipelines.settings.option_values import tile_text
from pipelines.workers.messages import NO_ENCODER, ChunkProgress

if TYPE_CHECKING:
    from pipelines.output.chunk_record import ChunkRecord
    from pipelines.output.journal import WorkFolderPlan
    from pipelines.pool.interface import Outcome
    from pipelines.settings.crf_target import CrfTarget
    from pipelines.settings.run_settings import EncodeSettings, RunSettings

__all__ = [
    "MadeChunks",
    "adopt_plan",
    "make_chunks",
    "plan_as_begun",
    "replan_with_smaller_tiles",
    "settle_crf",
    "with_found_crf",
]


_LEAST_FREE_BYTES = 32 << 20
_LEAD = 2
"""By how many chunks a header has to lead those of the kept chunks, to replace them."""


def plan_as_begun(
    begun: WorkFolderPlan, planned: Planned, source: Path, output: Path | None, settings: RunSettings
) -> Generator[Note, None, Planned]:
    """The plan that an earlier run of the same command was using when it ended.

    It may have the CRF for a target, counted frames, and smaller tiles.
    """
    plans = _of_all_tiles(with_found_crf(planned.plan, begun.target, settings.encode))
    if begun.id not in plans:
        counted = count(planned.info)
        yield Note(f"continues with frames counted by decoding, as before: {counted.frame_count}")
        planned = plan_video(source, output, settings, counted)
        plans = _of_all_tiles(with_found_crf(planned.plan, begun.target, settings.encode))
    plan = plans.get(begun.id, planned.plan)
    if plan.tile_px != planned.plan.tile_px:
        yield Note(
            f"continues with tiles of {tile_text(plan.tile_px)}, as memory ran out before; --fresh starts"
            " over with larger ones"
        )
    return replace(planned, plan=plan)


def with_found_crf(plan: Plan, found: CrfTarget | None, encode: EncodeSettings) -> Plan:
    """The plan with the CRF from an earlier search for the same target; unchanged if there is none."""
    if found is None or found.is_open or plan.target is None or found.asked != plan.target.asked:
        return plan
    return with_target_crf(plan, found, encode)


def settle_crf(
    planned: Planned, journal: Journal, encode: EncodeSettings, execution: Execution, *, fresh: bool
) -> Generator[Event, None, Planned]:
    """Find the CRF for a target that has none yet; the work directory is assigned to that plan.

    Chunks of another command are refused first.
    """
    if planned.plan.target is None or not planned.plan.target.is_open:
        return planned
    if fresh:
        journal.clear()
    plan = planned.plan
    cut = functools.partial(cut_otherwise, plan, planned.info)
    journal.adopt(plan.id, plan.to_json(), planned.input, cut=cut)
    _short_of_disk(journal.folder, planned)  # raises before samples are encoded
    found = yield from find_crf(planned, encode, journal.folder / SAMPLES, execution)
    return adopt_plan(found.plan, found, journal)


def _of_all_tiles(plan: Plan) -> dict[str, Plan]:
    """The plan, and those that differ only by smaller tiles, by their ids."""
    return {one.id: one for one in (plan, *with_smaller_tiles(plan))}


def adopt_plan(plan: Plan, planned: Planned, journal: Journal) -> Planned:
    """Switch to another plan.

    The work directory is assigned to it, so that a later run resumes from it.
    """
    journal.adopt(plan.id, plan.to_json(), planned.input, supersede=True)
    return replace(planned, plan=plan)


def replan_with_smaller_tiles(planned: Planned, journal: Journal, error: NoMemoryError) -> Planned:
    """The plan with the next smaller tiles. Raises NoMemoryError if there is none."""
    smaller = next(with_smaller_tiles(planned.plan), None)
    if smaller is None:
        raise error
    if not journal.is_empty:  # chunks of one result are of one plan
        raise NoMemoryError(
            f"{error}, or start over with --fresh --tile {tile_text(smaller.tile_px)}"
        ) from error
    return adopt_plan(smaller, planned, journal)


def make_chunks(
    planned: Planned, journal: Journal, execution: Execution, *, fresh: bool
) -> Generator[Event, None, MadeChunks]:
    """Make and store every chunk of the plan; returns its records."""
    plan = planned.plan
    if fresh:
        journal.clear()
    cut = functools.partial(cut_otherwise, plan, planned.info)
    done, changed = journal.adopt(plan.id, plan.to_json(), planned.input, cut=cut)
    records = {r.index: r for r in done}
    short = _short_of_disk(journal.folder, planned)
    frames = sum(plan.results_of(plan.chunks[i]) for i in records)
    yield replace(planned, chunks_done=len(records), frames_done=frames, changed=tuple(changed))
    if short:
        yield Note(short)
    loop = _ChunkLoop(planned, journal, execution, records)
    return (yield from loop.run())


class _ChunkLoop:
    """Turns reports of workers into records of the journal, and events."""

    def __init__(
        self,
        planned: Planned,
        journal: Journal,
        execution: Execution,
        records: dict[int, ChunkRecord],
    ) -> None:
        self._plan, self._info, self._journal = planned.plan, planned.info, journal
        self._execution, self._records = execution, records
        self._frames = sum(planned.plan.results_of(planned.plan.chunks[i]) for i in records)
        self._made = 0
        self._seconds: dict[str, float] = {}
        self._told: Counter[str] = Counter()
        self._refusals: set[str] = set()
        self._assumed: deque[str] = deque()
        self._partly: dict[int, int] = {}
        """Span -> finished frames of its unfinished chunks."""
        self._ends = False
        self._rejected: Counter[int] = Counter()
        """Chunk -> times that it had another header than the others."""
        self._headers = Counter(record.header_sha256 for record in records.values())
        """Header -> chunks of hardware that had it, whether they were kept or not."""

    def run(self) -> Generator[Event, None, MadeChunks]:
        """Make the chunks that are not recorded yet. Raises Interrupted if it was stopped before."""
        chunks = self._plan.chunks
        while len(self._records) < len(chunks):
            yield from self._pass()
            if self._execution.is_stopped and len(self._records) < len(chunks):
                raise Interrupted(
                    f"stopped; {len(self._records)} of {counted(len(chunks), 'chunk')} are kept, the same"
                    " command continues from there"
                )
        for text, times in self._told.items():
            if times > 1:
                yield Note(f"{times} times: {text}")
        return MadeChunks([self._records[c.index] for c in chunks], self._seconds, self._made)

    def _pass(self) -> Iterator[Event]:
        """Run the remaining chunks once.

        If no worker was admitted, allow another numerics class if possible.
        """
        self._partly, self._ends = {}, False
        execution = self._execution
        admit = _admission(self._journal, self._assumed, mixed=execution.settings.mixed_hardware)
        run = SpanRun(
            self._plan,
            self._info,
            execution.settings,
            execution.worker,
            done=set(self._records),
            stop=execution.stop,
            workers=execution.workers,
            admit=admit,
        )
        try:
            for outcome in run.outcomes():
                while self._assumed:
                    yield Note(self._assumed.popleft())
                yield from self._events(outcome)
                if self._ends:
                    break
        except NoMemoryError:
            raise
        except ResourceError as error:
            if not self._plan.encoder.vendor:
                raise
            raise ResourceError(
                f"{error}; if {self._plan.encoder.name} is at fault: --encoder software --fresh does without"
                " it"
            ) from error
        except NoneAdmittedError as error:
            self._admit_others(error)

    def _admit_others(self, error: NoneAdmittedError) -> None:
        """Forget the numerics class if no chunk depends on it. Raises if one does, or none was set."""
        if self._records:
            raise UsageError(
                f"{self._journal.folder}: {len(self._records)} of"
                f" {counted(len(self._plan.chunks), 'chunk')} are kept, and no worker can continue with"
                f" them: {error}; name the --device they were made on, install what was there then, mix them"
                " with --mixed-hardware, or throw them away with --fresh"
            ) from error
        if not self._journal.forget_numerics():
            raise ResourceError(f"no worker takes part: {error}") from error

    def _events(self, outcome: Outcome) -> Iterator[Event]:
        """Events for one outcome of a worker."""
        if isinstance(outcome, WorkerRejected):
            if outcome.reason not in self._refusals:
                self._refusals.add(outcome.reason)
                yield Note(f"a worker takes no part: {outcome.reason}")
        elif isinstance(outcome, WorkerLost):
            self._frames -= self._partly.pop(outcome.key, 0)
            yield Note(f"{outcome.reason}; its work is done again")
        elif isinstance(outcome, WorkItem) and isinstance(outcome.value, ChunkProgress):
            yield from self._progress(outcome, outcome.value)
        elif isinstance(outcome, WorkItem) and isinstance(outcome.value, EncodedChunk):
            yield from self._chunk(outcome, outcome.value)
        elif isinstance(outcome, Done):
            self._partly.pop(outcome.key, None)

    def _progress(self, item: WorkItem, progress: ChunkProgress) -> Iterator[Event]:
        self._partly[item.key] = self._partly.get(item.key, 0) + progress.frames
        self._frames += progress.frames
        for name, spent in progress.seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + spent
        for text in progress.notes:
            self._told[text] += 1
            if self._told[text] == 1:
                yield Note(text)
        yield Advanced(
            self._frames,
            self._plan.frame_count,
            dict(self._seconds),
            item.worker,
            item.host,
            progress.frames,
            _until_stop(self._plan, self._partly, self._records),
        )

    def _chunk(self, item: WorkItem, chunk: EncodedChunk) -> Iterator[Event]:
        chunks = self._plan.chunks
        count = self._plan.results_of(chunks[chunk.index])
        # They are stored now; the next chunk of the same decoder may already be in progress.
        self._partly[item.key] = self._partly.get(item.key, 0) - count
        if chunk.index in self._records:
            # made again with the other unfinished chunks of a lost worker; the first result counts
            self._frames -= count
            return
        if self._has_another_header(chunk):
            self._frames -= count
            yield Note(f"chunk {chunk.index} has another header than the others; it is made again")
            return
        self._records[chunk.index] = self._journal.commit(self._plan.id, chunk)
        self._made += count
        yield ChunkFinished(chunk.index, len(self._records), len(chunks), count, item.worker, item.host)
        # Its decoder may feed more chunks, possibly the whole film; chunks that were begun are made again.
        self._ends = self._execution.is_stopped and len(self._plan.spans[item.key].chunks) > 1

    def _has_another_header(self, chunk: EncodedChunk) -> bool:
        """Whether a chunk of a hardware encoder can't be joined with the others, and has to be made again.

        Raises ResourceError if that was so at every attempt.
        """
        if not self._plan.encoder.vendor:
            return False
        own = chunk.header_sha256
        self._headers[own] += 1
        others = [record for record in self._records.values() if record.header_sha256 != own]
        # the chunks that came first may be the wrong ones
        if all(self._headers[own] >= self._headers[one.header_sha256] + _LEAD for one in others):
            for record in others:
                del self._records[record.index]
                self._frames -= self._plan.results_of(self._plan.chunks[record.index])
                record.delete()
            return False
        self._rejected[chunk.index] += 1
        if self._rejected[chunk.index] >= ATTEMPTS:
            raise ResourceError(
                f"chunk {chunk.index}: the encoder wrote another header than for other chunks, {ATTEMPTS}"
                " times"
            )
        return True


def _until_stop(plan: Plan, partly: Mapping[int, int], done: Container[int]) -> int:
    """Frames that the current chunks still need.

    partly: span -> finished frames of its unfinished chunks.
    """
    lacking = 0
    for key, frames in partly.items():
        chunk = next((c for c in plan.spans[key].chunks if c.index not in done), None)
        if chunk is not None and frames > 0:
            lacking += max(0, plan.results_of(chunk) - frames)
    return lacking


@dataclass(frozen=True, eq=False)
class MadeChunks:
    """All chunks of a plan, and how the time was spent."""

    records: list[ChunkRecord]
    seconds: dict[str, float]
    frames: int
    """Frames made by this call."""


def _admission(journal: Journal, assumed: deque[str], *, mixed: bool) -> Callable[[dict[str, str]], str]:
    """Admits workers of the chunks' numerics class, which the first worker sets; returns differences.

    assumed: receives messages about chunks with incomplete records of their class.
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
                " same; --fresh starts over"
            )
        return f"it would give other bits ({'; '.join(differences)})" if differences and not mixed else ""

    return admit


_SURELY = 8
"""Most runs need more than this fraction of their upper bound."""


def _short_of_disk(folder: Path, planned: Planned) -> str:
    """A warning if the disk may be too small; empty if it can't.

    Raises OutputError if it is too small for any film.
    """
    free, most = shutil.disk_usage(folder).free, planned.estimated_bytes
    if free < max(_LEAST_FREE_BYTES, most // _SURELY):
        raise OutputError(
            f"{folder.parent}: {free / 1e9:.2f} GB free, up to {max(most, _LEAST_FREE_BYTES) / 1e9:.2f} GB"
            f" needed; free some space or choose another -o (vsr plan {planned.input} --measure says how much"
            " it takes)"
        )
    if free < most:
        return (
            f"{free / 1e9:.2f} GB are free, and up to {most / 1e9:.2f} GB may be needed; vsr plan"
            f" {planned.input} --measure says how much"
        )
    return ""
