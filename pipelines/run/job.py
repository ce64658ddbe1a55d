"""`upscale_video`: one video from file to file.

Reads like the way through the house; yields events, prints nothing.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CorruptError, MediaError, NoMemoryError, VerificationError, VsrError
from pipelines.codec.decoder import IndexMismatchError
from pipelines.media.image_sequence import pattern_of
from pipelines.output.journal import Journal, begun_plan, work_folder
from pipelines.output.verification import verify_again
from pipelines.plan.events import AlreadyDone, Event, Note, Planned
from pipelines.plan.output_names import report_path
from pipelines.plan.plan import Plan
from pipelines.plan.settings import tile_text
from pipelines.planner.resources import with_fewer_workers
from pipelines.planner.video_planner import plan_video
from pipelines.probe.frame_times import count
from pipelines.run.chunk_loop import adopt_plan, make_chunks, plan_as_begun, replan_with_smaller_tiles
from pipelines.run.publishing import publish_result, refuse_taken

if TYPE_CHECKING:
    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.settings import RunSettings
    from pipelines.pool.interface import WorkerPool

__all__ = ["Prepared", "prepare", "upscale_video"]


def upscale_video(
    source: Path,
    output: Path | None,
    settings: RunSettings,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    stop: threading.Event | None = None,
    worker: str = "pipelines.workers.chunk_worker:ChunkUpscaler",
    workers: WorkerPool | None = None,
    claim: Callable[[Path], None] | None = None,
    prepared: Prepared | None = None,
) -> Iterator[Event]:
    """Upscale one video; resumes what an earlier run of the same command left.

    Where memory runs out it continues with fewer workers, if several share it; else, before the first chunk
    is kept, it begins again with smaller tiles: other bytes, so another plan.
    output: file or folder; None puts it beside the input. fresh: throw earlier work away. stop: when set,
    chunks under way are finished and kept, and Interrupted is raised. worker: "module:Class" that makes
    chunks, for tests. workers: where it does;
    None: in children of this process. claim: called with the result's path before anything is done; raises
    where it may not be that.
    prepared: what `prepare` made of the same source, output and settings; None: made here.
    Raises the errors of `models.errors`; the output has its name only when everything was verified.
    """
    began = time.monotonic()
    found = prepared or prepare(source, output, settings)
    seen, planned, dropped = found.seen, found.planned, found.dropped
    asked, target, may_replace = planned.plan.id, Path(planned.output), overwrite or fresh
    if claim is not None:
        claim(target)
    if not fresh:
        done = _done(target, planned.plan, of_any_size=settings.verify == "full")
        if done is not None and settings.verify == "full":
            done = yield from _seen_again(done, target, planned.plan, overwrite=overwrite, stop=stop)
        if done is not None:
            _forget(work_folder(target), asked)
            yield done
            return
        begun = begun_plan(work_folder(target))
        if begun is not None and begun.asked in planned.plan.ids and begun.id != asked:
            planned, dropped = yield from plan_as_begun(begun.id, planned, dropped, source, output, settings)
    refuse_taken(target, planned.plan, may_replace=may_replace)
    journal = Journal(work_folder(target), asked)
    finished = False
    try:
        while True:
            try:
                made = yield from make_chunks(
                    planned, journal, settings, fresh=fresh, stop=stop, worker=worker, workers=workers
                )
                break
            except IndexMismatchError as error:
                counted, tile_px = _counted(planned.info, error), planned.plan.tile_px
                yield Note(f"{error}; the frames were counted by decoding: {counted.frame_count}")
                planned, dropped = plan_video(source, output, settings, counted)
                planned = adopt_plan(replace(planned.plan, tile_px=tile_px), planned, journal)
            except NoMemoryError as error:
                if workers is None and (fewer := with_fewer_workers(settings, planned.plan)) is not None:
                    settings = fewer
                    yield Note(
                        f"memory ran out; goes on with fewer workers: {fewer.workers}, as --workers"
                        f" {fewer.workers} would"
                    )
                else:
                    planned = replan_with_smaller_tiles(planned, journal, error)
                    yield Note(f"memory ran out; begun again with tiles of {tile_text(planned.plan.tile_px)}")
            fresh = False
        _refuse_changed(source, seen)
        result = yield from publish_result(
            planned, made, dropped, journal, settings, began, stop, may_replace=may_replace
        )
        finished = True
        yield result
    except MediaError as error:
        raise error if str(source) in str(error) else type(error)(f"{source}: {error}") from None
    finally:
        if finished:
            journal.remove()
        else:
            journal.close()


@dataclass(frozen=True, eq=False)
class Prepared:
    """A plan, and the state of the input that it was made of."""

    planned: Planned
    dropped: frozenset[int]
    """Indexes of streams that are left out."""
    seen: tuple[int, int] | None


def prepare(source: Path, output: Path | None, settings: RunSettings) -> Prepared:
    """Plan a video, so that who needs the plan first and the result then reads the input once.

    Raises as `plan_video` does.
    """
    seen = _state(source)
    return Prepared(*plan_video(source, output, settings), seen)


def _state(source: Path) -> tuple[int, int] | None:
    """By which a file that is still being written is known: bytes, time of the last change.

    None for what is no file of its own.
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


def _done(target: Path, plan: Plan, *, of_any_size: bool) -> AlreadyDone | None:
    """What an earlier run of the same command, or of another that comes to this very plan, left, if it is
    still there.

    of_any_size: though it is longer or shorter than it was, which is for who looks at all of it.
    """
    try:
        report = json.loads(report_path(target).read_bytes())
        pattern = pattern_of(target) if plan.encoder.is_sequence else None
        size = pattern.bytes(plan.numbers) if pattern is not None else target.stat().st_size
        same = not plan.ids.isdisjoint({report["plan"], report.get("asked")}) and (
            of_any_size or report["bytes"] == size
        )
        return AlreadyDone(str(target), int(report["frames"]), size) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seen_again(
    done: AlreadyDone, target: Path, plan: Plan, *, overwrite: bool, stop: threading.Event | None
) -> Generator[Event, None, AlreadyDone | None]:
    """Look at all of a finished result; None where it is damaged and may be made anew.

    Raises VerificationError where it may not.
    """
    try:
        _look_again(done, target, plan, stop)
    except (VerificationError, MediaError) as error:
        if not overwrite:
            raise VerificationError(f"{target}: {error}; give --overwrite to make it anew") from None
        yield Note(f"{target}: {error}; made anew")
        return None
    yield Note(f"{target}: looked at all of its {done.frames} frames again")
    return done


def _look_again(done: AlreadyDone, target: Path, plan: Plan, stop: threading.Event | None) -> None:
    report = json.loads(report_path(target).read_bytes())
    if report["bytes"] != done.bytes:
        raise VerificationError(f"is no longer what was verified: {done.bytes} bytes, not {report['bytes']}")
    verify_again(target, plan, frames=done.frames, sha256=str(report.get("sha256", "")), stop=stop)


def _forget(folder: Path, asked: str) -> None:
    """Remove what a run left that was ended when its result had got its name already."""
    # another run at it, a disk that can't be written to: nothing that is asked for needs this
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
        ) from None
    return counted
