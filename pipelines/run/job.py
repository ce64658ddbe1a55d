"""`Job` and `upscale_video`: one video from file to file; yields events, prints nothing."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from models.errors import (
    CorruptError,
    MediaError,
    NoMemoryError,
    UsageError,
    VerificationError,
    VsrError,
    counted,
)
from pipelines.codec.expected_frames import IndexMismatchError
from pipelines.hardware.resources import with_fewer_workers
from pipelines.output.journal import Journal, work_folder, work_folder_plan
from pipelines.output.verification import verify_again
from pipelines.plan.events import AlreadyDone, Event, Note, Planned
from pipelines.plan.output_names import report_path
from pipelines.plan.plan import Plan
from pipelines.planner.container_choice import refuse_own_input
from pipelines.planner.video_planner import expected_output, plan_video
from pipelines.probe.frame_times import count
from pipelines.run.chunk_loop import (
    MadeChunks,
    adopt_plan,
    make_chunks,
    plan_as_begun,
    replan_with_smaller_tiles,
    settle_crf,
    with_found_crf,
)
from pipelines.run.execution import Execution
from pipelines.run.kept_work import finished_output
from pipelines.run.publishing import complete_naming, publish_result, refuse_foreign, refuse_taken
from pipelines.settings.option_values import tile_text
from pipelines.workers.messages import WorkerKind

if TYPE_CHECKING:
    from pipelines.media.video_info import VideoInfo
    from pipelines.pool.interface import WorkerPool
    from pipelines.settings.run_settings import RunSettings

__all__ = ["Job", "JobOptions", "upscale_video"]


class JobOptions(TypedDict, total=False):
    """Options of a job besides its settings; see `Job`."""

    overwrite: bool
    fresh: bool
    stop: threading.Event | None
    worker: str
    workers: WorkerPool | None
    claim: Callable[[Path], None] | None


def upscale_video(
    source: Path, output: Path | None, settings: RunSettings, **options: Unpack[JobOptions]
) -> Iterator[Event]:
    """Upscale one video; resumes an earlier run of the same command.

    output: file or folder; None puts it next to the input. options: the other fields of `Job`. Raises the
    errors of `models.errors`; the output gets its name only after verification.
    """
    return Job(source, output, settings, **options).run()


@dataclass
class Job:
    """One video from file to file: its settings, plan and journal.

    If memory runs out, it continues with fewer workers, if there are several; else, before the first chunk is
    stored, it starts again with smaller tiles, which is another plan with other bytes.
    """

    source: Path
    output: Path | None
    """File or folder; None puts it next to the input."""
    settings: RunSettings
    overwrite: bool = False
    """Replace an existing file in the place of the output."""
    fresh: bool = False
    """Discard earlier work."""
    stop: threading.Event | None = None
    """When set, current chunks are finished and kept, and Interrupted is raised."""
    worker: str = WorkerKind.CHUNK_UPSCALER
    """"module:Class" that makes chunks; another for tests."""
    workers: WorkerPool | None = None
    """Pool to use; None: child processes, or the cluster of the settings."""
    claim: Callable[[Path], None] | None = None
    """Called with the output's path before anything is done; raises if the path is not allowed."""
    planned: Planned = field(init=False)
    """Made by `prepare`."""
    journal: Journal = field(init=False)
    execution: Execution = field(init=False)
    _seen: tuple[int, int] | None = field(init=False)
    """State of the source when it was planned."""
    _is_prepared: bool = field(default=False, init=False)

    def prepare(self, *, may_replace: bool | None = None) -> Planned:
        """Plan the video; `run` then goes on from this plan.

        may_replace: whether an existing file at the output's path may be replaced; None: as overwrite and
        fresh say. Raises the errors of `plan_video`.
        """
        may_replace = self.may_replace if may_replace is None else may_replace
        self._seen = _state(self.source)
        self.planned = plan_video(
            self.source,
            self.output,
            self.settings,
            check=functools.partial(refuse_foreign, may_replace=may_replace),
        )
        self._is_prepared = True
        return self.planned

    def expected_output(self) -> Path | None:
        """The path that the output will get, if the facts of its source are enough to know it.

        Raises the errors of `pipelines.planner.video_planner.expected_output`.
        """
        return expected_output(self.source, self.output, self.settings)

    @property
    def may_replace(self) -> bool:
        """Whether an existing file in the place of the output may be replaced."""
        return self.overwrite or self.fresh

    def run(self) -> Iterator[Event]:
        """Plan, make the missing chunks, mux them and verify the output."""
        began = time.monotonic()
        self.execution = Execution(self.settings.execution, self.worker, self.workers, self.stop)
        refuse_own_input(self.source, self.output)
        refuse_foreign(self.output, may_replace=self.may_replace)
        if not self._is_prepared:
            self.prepare()
        asked, target = self.planned.plan.id, Path(self.planned.output)
        if self.claim is not None:
            self.claim(target)
        if not self.fresh:
            complete_naming(target, self.planned.plan)
            done = yield from self._finished_before(target)
            if done is not None:
                _forget(work_folder(target), asked)
                yield done
                return
            yield from self._as_begun(target)
        refuse_taken(target, self.planned.plan, may_replace=self.may_replace)
        self.journal = Journal(work_folder(target), asked)
        finished = is_refused = False
        try:
            made = yield from self._make_chunks()
            _refuse_changed(self.source, self._seen)
            result = yield from publish_result(
                self.planned,
                made,
                self.journal,
                verify_all=self.settings.verify == "full",
                may_replace=self.may_replace,
                stop=self.stop,
            )
            finished = True
            yield replace(result, seconds=time.monotonic() - began)
        except UsageError:
            is_refused = self.journal.is_empty
            raise
        except MediaError as error:
            if str(self.source) in str(error):
                raise
            raise type(error)(f"{self.source}: {error}") from error
        finally:
            if finished or is_refused:
                self.journal.remove()
            else:
                self.journal.close()

    def _finished_before(self, target: Path) -> Generator[Event, None, AlreadyDone | None]:
        """The output of an earlier run, if it is intact."""
        plan, look = self.planned.plan, self.settings.verify == "full"
        done = finished_output(target, plan, of_any_size=look)
        if done is not None and look:
            done = yield from _seen_again(done, target, plan, overwrite=self.overwrite, stop=self.stop)
        return done

    def _as_begun(self, target: Path) -> Iterator[Event]:
        """Switch to the plan that an earlier run of the same command was using when it ended."""
        plan = self.planned.plan
        begun = work_folder_plan(work_folder(target))
        if begun is not None and begun.asked in plan.ids and begun.id != plan.id:
            self.planned = yield from plan_as_begun(
                begun, self.planned, self.source, self.output, self.settings
            )

    def _make_chunks(self) -> Generator[Event, None, MadeChunks]:
        """Make all chunks, with another plan if the file's index or the memory requires it."""
        fresh = self.fresh
        while True:
            try:
                self.planned = yield from settle_crf(
                    self.planned, self.journal, self.settings.encode, self.execution, fresh=fresh
                )
                fresh = fresh and self.planned.plan.target is None
                return (yield from make_chunks(self.planned, self.journal, self.execution, fresh=fresh))
            except IndexMismatchError as error:
                yield self._plan_with_counted_frames(error)
            except NoMemoryError as error:
                yield self._plan_for_less_memory(error)
            fresh = False

    def _plan_with_counted_frames(self, error: IndexMismatchError) -> Note:
        before, counted = self.planned.plan, _counted(self.planned.info, error)
        planned = plan_video(self.source, self.output, self.settings, counted)
        plan = with_found_crf(
            replace(planned.plan, tile_px=before.tile_px), before.target, self.settings.encode
        )
        self.planned = adopt_plan(plan, planned, self.journal)
        return Note(f"{error}; the frames were counted by decoding: {counted.frame_count}")

    def _plan_for_less_memory(self, error: NoMemoryError) -> Note:
        own = self.execution.settings
        fewer = with_fewer_workers(own, self.planned.plan) if self.workers is None else None
        if fewer is not None:
            self.execution = replace(self.execution, settings=fewer)
            return Note(
                f"memory ran out; continues with fewer workers: {fewer.workers}, as --workers"
                f" {fewer.workers} would"
            )
        self.planned = replan_with_smaller_tiles(self.planned, self.journal, error)
        return Note(f"memory ran out; started again with tiles of {tile_text(self.planned.plan.tile_px)}")


def _state(source: Path) -> tuple[int, int] | None:
    """Identifies the state of a file that may still be written: size and modification time.

    None if it is not a single file.
    """
    try:
        found = source.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _refuse_changed(source: Path, seen: tuple[int, int] | None) -> None:
    if _state(source) != seen:
        raise MediaError(
            f"{source}: was changed while it was read; when it is complete, give the same command again"
        )


def _seen_again(
    done: AlreadyDone, target: Path, plan: Plan, *, overwrite: bool, stop: threading.Event | None
) -> Generator[Event, None, AlreadyDone | None]:
    """Verify a finished output completely; None if it is damaged and may be made again.

    Raises VerificationError if it may not.
    """
    try:
        _look_again(done, target, plan, stop)
    except (VerificationError, MediaError) as error:
        if not overwrite:
            raise VerificationError(f"{target}: {error}; give --overwrite to make it again") from error
        yield Note(f"{target}: {error}; made again")
        return None
    yield Note(f"{target}: decoded all of it again, {counted(done.frames, 'frame')}")
    return done


def _look_again(done: AlreadyDone, target: Path, plan: Plan, stop: threading.Event | None) -> None:
    report = json.loads(report_path(target).read_bytes())
    if report["bytes"] != done.bytes:
        raise VerificationError(f"is no longer what was verified: {done.bytes} bytes, not {report['bytes']}")
    verify_again(target, plan, frames=done.frames, sha256=str(report.get("sha256", "")), stop=stop)


def _forget(folder: Path, asked: str) -> None:
    """Remove the work directory of a run that was killed after its output had got its name."""
    # another run uses it, or the disk is not writable; this is not necessary for the result
    with contextlib.suppress(VsrError):
        if folder.is_dir():
            journal = Journal(folder, asked)
            journal.remove() if journal.is_over else journal.close()


def _counted(info: VideoInfo, error: IndexMismatchError) -> VideoInfo:
    """The info with counted frames, if that explains the mismatch; otherwise the file is damaged."""
    counted = info if info.linear else count(info)
    if counted is info or counted.damage:
        raise CorruptError(
            f"{info.path}: {error}; the file is damaged; --on-corrupt conceal repairs what it can and keeps"
            " the number of frames"
        ) from error
    return counted
