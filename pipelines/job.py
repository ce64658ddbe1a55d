"""`upscale_video`: one video from file to file. Reads like the way through the house; yields events, prints nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CorruptError, Interrupted, MediaError, NoMemoryError, OutputError, ResourceError, UsageError, VerificationError, VsrError
from pipelines.assemble import assemble
from pipelines.atomic_file import sync_folder, write_atomically
from pipelines.crew import with_fewer_workers
from pipelines.decode import IndexMismatchError
from pipelines.encode import EncodedChunk
from pipelines.events import Advanced, AlreadyDone, ChunkFinished, Event, Finished, Note, Planned
from pipelines.journal import Journal, begun_plan, work_folder
from pipelines.naming import report_path
from pipelines.plan import Plan
from pipelines.plan_id import ID_FORMAT
from pipelines.probe import count
from pipelines.request import plan_video
from pipelines.sequence import pattern_of, publish
from pipelines.settings import tile_text
from pipelines.spans import run_spans
from pipelines.task import Progress
from pipelines.tiles import with_smaller_tiles
from pipelines.verify import result_hash, verify, verify_again
from pipelines.work import Done, Item, Lost, NoneAdmittedError, Refused

if TYPE_CHECKING:
    from pipelines.journal import ChunkRecord
    from pipelines.settings import RunSettings
    from pipelines.video import VideoInfo
    from pipelines.work import Map

__all__ = ["Prepared", "prepare", "upscale_video"]

_LEAST_FREE_BYTES = 32 << 20
_PUBLISHING = "publishing"
"""File of the work directory that says what is being given its name."""
_REPORT = "report"
"""The same for the report, before it lies beside the result."""


def upscale_video(
    source: Path,
    output: Path | None,
    settings: RunSettings,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    stop: threading.Event | None = None,
    worker: str = "pipelines.worker:ChunkUpscaler",
    workers: Map | None = None,
    claim: Callable[[Path], None] | None = None,
    prepared: Prepared | None = None,
) -> Iterator[Event]:
    """Upscale one video; resumes what an earlier run of the same command left.

    Where memory runs out it goes on with fewer workers, if several share it; else, before the first chunk is kept, it begins again
    with smaller tiles: other bytes, so another plan.
    output: file or folder; None puts it beside the input. fresh: throw earlier work away. stop: when set, chunks under way
    are finished and kept, and Interrupted is raised. worker: "module:Class" that makes chunks, for tests. workers: where it does;
    None: in children of this process. claim: called with the result's path before anything is done; raises where it may not be that.
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
        done = _done(target, planned.plan)
        if done is not None and settings.verify == "full":
            done = yield from _seen_again(done, target, planned.plan, overwrite=overwrite, stop=stop)
        if done is not None:
            _forget(work_folder(target), asked)
            yield done
            return
        begun = begun_plan(work_folder(target))
        if begun is not None and begun.asked in planned.plan.ids and begun.id != asked:
            planned, dropped = yield from _as_begun(begun.id, planned, dropped, source, output, settings)
    _refuse_taken(target, planned.plan, may_replace=may_replace)
    journal = Journal(work_folder(target), asked)
    finished = False
    try:
        while True:
            try:
                made = yield from _make_chunks(planned, journal, settings, fresh=fresh, stop=stop, worker=worker, workers=workers)
                break
            except IndexMismatchError as error:
                counted, tile_px = _counted(planned.info, error), planned.plan.tile_px
                yield Note(f"{error}; the frames were counted by decoding: {counted.frame_count}")
                planned, dropped = plan_video(source, output, settings, counted)
                planned = _begun_as(replace(planned.plan, tile_px=tile_px), planned, journal)
            except NoMemoryError as error:
                if workers is None and (fewer := with_fewer_workers(settings, planned.plan)) is not None:
                    settings = fewer
                    yield Note(f"memory ran out; goes on with fewer workers: {fewer.workers}, as --workers {fewer.workers} would")
                else:
                    planned = _with_smaller_tiles(planned, journal, error)
                    yield Note(f"memory ran out; begun again with tiles of {tile_text(planned.plan.tile_px)}")
            fresh = False
        _refuse_changed(source, seen)
        result = yield from _finish(planned, made, dropped, journal, settings, began, stop, may_replace=may_replace)
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
    """Plan a video, so that who needs the plan first and the result then reads the input once. Raises as `plan_video` does."""
    seen = _state(source)
    return Prepared(*plan_video(source, output, settings), seen)


def _state(source: Path) -> tuple[int, int] | None:
    """By which a file that is still being written is known: bytes, time of the last change. None for what is no file of its own."""
    try:
        found = source.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _refuse_changed(source: Path, seen: tuple[int, int] | None) -> None:
    if _state(source) != seen:
        raise MediaError(f"{source}: was changed while it was read; when it is complete, give the same command again")


def _as_begun(
    plan_id: str, planned: Planned, dropped: frozenset[int], source: Path, output: Path | None, settings: RunSettings
) -> Generator[Note, None, tuple[Planned, frozenset[int]]]:
    """The plan of that id, which an earlier run of the same command had come to: with counted frames, with smaller tiles, or both."""
    plans = _of_all_tiles(planned.plan)
    if plan_id not in plans:
        counted = count(planned.info)
        yield Note(f"goes on with frames counted by decoding, as before: {counted.frame_count}")
        planned, dropped = plan_video(source, output, settings, counted)
        plans = _of_all_tiles(planned.plan)
    plan = plans.get(plan_id, planned.plan)
    if plan.tile_px != planned.plan.tile_px:
        yield Note(f"goes on with tiles of {tile_text(plan.tile_px)}, for memory ran out before; --fresh begins anew with larger ones")
    return replace(planned, plan=plan), dropped


def _of_all_tiles(plan: Plan) -> dict[str, Plan]:
    """The plan, and those that differ from it by smaller tiles alone, by their ids."""
    return {one.id: one for one in (plan, *with_smaller_tiles(plan))}


def _begun_as(plan: Plan, planned: Planned, journal: Journal) -> Planned:
    """With another plan that the run has come to; the work directory becomes that one's, so that a later run goes on with it."""
    journal.adopt(plan.id, plan.to_json(), planned.input, supersede=True)
    return replace(planned, plan=plan)


def _with_smaller_tiles(planned: Planned, journal: Journal, error: NoMemoryError) -> Planned:
    """The next plan. Raises NoMemoryError where there is none."""
    smaller = next(with_smaller_tiles(planned.plan), None)
    if smaller is None:
        raise error
    if not journal.is_empty:  # chunks of one result are of one plan
        raise NoMemoryError(f"{error}, or begin anew with --fresh --tile {tile_text(smaller.tile_px)}") from None
    return _begun_as(smaller, planned, journal)


def _done(target: Path, plan: Plan) -> AlreadyDone | None:
    """What an earlier run of the same command, or of another that comes to this very plan, left, if it is still there."""
    try:
        report = json.loads(report_path(target).read_bytes())
        pattern = pattern_of(target) if plan.encoder.is_sequence else None
        size = pattern.bytes(plan.numbers) if pattern is not None else target.stat().st_size
        same = not plan.ids.isdisjoint({report["plan"], report.get("asked")}) and report["bytes"] == size
        return AlreadyDone(str(target), int(report["frames"]), size) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _doubt(target: Path) -> str:
    """Why a result may be that of this very command all the same."""
    try:
        is_former = "id_format" not in json.loads(report_path(target).read_bytes())
    except (OSError, ValueError, TypeError):
        return ""
    return ", or by a former version of vsr with networks that lay elsewhere" if is_former else ""


def _seen_again(
    done: AlreadyDone, target: Path, plan: Plan, *, overwrite: bool, stop: threading.Event | None
) -> Generator[Event, None, AlreadyDone | None]:
    """Look at all of a finished result; None where it is damaged and may be made anew. Raises VerificationError where it may not."""
    try:
        report = json.loads(report_path(target).read_bytes())
        verify_again(target, plan, frames=done.frames, sha256=str(report.get("sha256", "")), stop=stop)
    except (VerificationError, MediaError) as error:
        if not overwrite:
            raise VerificationError(f"{target}: {error}; give --overwrite to make it anew") from None
        yield Note(f"{target}: {error}; made anew")
        return None
    yield Note(f"{target}: looked at all of its {done.frames} frames again")
    return done


def _forget(folder: Path, asked: str) -> None:
    """Remove what a run left that was ended when its result had got its name already."""
    with contextlib.suppress(VsrError):  # another run at it, a disk that can't be written to: nothing that is asked for needs this
        if folder.is_dir():
            journal = Journal(folder, asked)
            journal.remove() if journal.is_over else journal.close()


def _refuse_taken(target: Path, plan: Plan, *, may_replace: bool) -> None:
    """Raises UsageError where something lies in the place of the result, or of its report, that may not be replaced."""
    report = report_path(target)
    if report.is_dir():
        raise UsageError(f"{report}: is a folder, and the report of the result has this name; choose another -o")
    if may_replace:
        return
    if _is_there(target, plan):
        raise UsageError(f"{target}: is already there, and not by this very command{_doubt(target)}; give --overwrite to replace it, or another -o")
    if os.path.lexists(report) and not _is_report(report):
        raise UsageError(f"{report}: is already there, and is no report of a result; give --overwrite to replace it, or another -o")


def _is_report(path: Path) -> bool:
    try:
        return "plan" in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _is_there(target: Path, plan: Plan) -> bool:
    """Something lies where the result goes, and not because this very run was ended while it gave its result the name."""
    pattern = pattern_of(target) if plan.encoder.is_sequence else None
    if not os.path.lexists(target) if pattern is None else set(plan.numbers).isdisjoint(pattern.numbers()):
        return False
    try:
        mark = (work_folder(target) / _PUBLISHING).read_text(encoding="utf-8")
        return mark not in {_mark(plan_id, target if pattern is None else None) for plan_id in plan.ids}
    except OSError:
        return True


def _mark(plan_id: str, result: Path | None) -> str:
    """What `_PUBLISHING` says: the plan's id, and for a single file, which keeps its inode when it is renamed, that."""
    return plan_id if result is None else f"{plan_id} {result.stat().st_ino}"


def _counted(info: VideoInfo, error: IndexMismatchError) -> VideoInfo:
    """The info with counted frames, if that explains the mismatch; otherwise the file is damaged."""
    counted = info if info.linear else count(info)
    if counted is info or counted.damage:
        raise CorruptError(
            f"{info.path}: {error}; the file is damaged; --on-corrupt conceal repairs what it can and keeps the number of frames"
        ) from None
    return counted


def _make_chunks(
    planned: Planned, journal: Journal, settings: RunSettings, *, fresh: bool, stop: threading.Event | None, worker: str, workers: Map | None
) -> Generator[Event, None, _Made]:
    """Bring every chunk of the plan to the disk; its records come back as the generator's value."""
    plan, info = planned.plan, planned.info
    if fresh:
        journal.clear()
    done, changed = journal.adopt(plan.id, plan.to_json(), planned.input)
    records = {r.index: r for r in done}
    _check_disk(journal.folder, planned.estimated_bytes)
    yield replace(planned, chunks_done=len(records), changed=tuple(changed))
    frames = sum(plan.chunks[i].frame_count for i in records) * plan.per_frame
    total = plan.frame_count
    seconds: dict[str, float] = {}
    told: Counter[str] = Counter()
    refusals: set[str] = set()
    assumed: deque[str] = deque()
    admit = _admission(journal, assumed, mixed=settings.mixed_hardware)
    while len(records) < len(plan.chunks):
        partly: dict[int, int] = {}
        try:
            for event in run_spans(plan, info, set(records), settings, worker, stop, workers=workers, admit=admit):
                while assumed:
                    yield Note(assumed.popleft())
                if isinstance(event, Refused):
                    if event.reason not in refusals:
                        refusals.add(event.reason)
                        yield Note(f"a worker takes no part: {event.reason}")
                elif isinstance(event, Lost):
                    frames -= partly.pop(event.key, 0)
                    yield Note(f"{event.reason}; its work is done again")
                elif isinstance(event, Item) and isinstance(event.value, Progress):
                    partly[event.key] = partly.get(event.key, 0) + event.value.frames
                    frames += event.value.frames
                    for name, spent in event.value.seconds.items():
                        seconds[name] = seconds.get(name, 0.0) + spent
                    for text in event.value.notes:
                        told[text] += 1
                        if told[text] == 1:
                            yield Note(text)
                    yield Advanced(frames, total, dict(seconds), event.worker, event.host, event.value.frames)
                elif isinstance(event, Item) and isinstance(event.value, EncodedChunk):
                    chunk = event.value
                    count = plan.chunks[chunk.index].frame_count * plan.per_frame
                    # They are safe now; the next chunk of the same decoder may be well under way.
                    partly[event.key] = partly.get(event.key, 0) - count
                    if chunk.index in records:
                        frames -= count  # done again with the rest of what a lost worker was at; the first result counts
                        continue
                    records[chunk.index] = journal.commit(plan.id, chunk)
                    yield ChunkFinished(chunk.index, len(records), len(plan.chunks), count, event.worker, event.host)
                    if stop is not None and stop.is_set() and len(plan.spans[event.key].chunks) > 1:
                        break  # this decoder feeds more chunks, maybe the whole film; what it has begun is done again
                elif isinstance(event, Done):
                    partly.pop(event.key, None)
        except NoneAdmittedError as error:
            if records:
                raise UsageError(
                    f"{journal.folder}: {len(records)} of {len(plan.chunks)} chunks are kept, and no worker goes on with them: {error}; name the "
                    "--device they were made on, install what was there then, mix them with --mixed-hardware, or throw them away with --fresh"
                ) from None
            if not journal.forget_numerics():
                raise ResourceError(f"no worker takes part: {error}") from None
            continue
        if stop is not None and stop.is_set() and len(records) < len(plan.chunks):
            raise Interrupted(f"stopped; {len(records)} of {len(plan.chunks)} chunks are kept, the same command goes on from there")
    for text, times in told.items():
        if times > 1:
            yield Note(f"{times} times: {text}")
    return _Made([records[c.index] for c in plan.chunks], seconds)


@dataclass(frozen=True, eq=False)
class _Made:
    """All chunks of a plan, and where the time went."""

    records: list[ChunkRecord]
    seconds: dict[str, float]


def _admission(journal: Journal, assumed: deque[str], *, mixed: bool) -> Callable[[dict[str, str]], str]:
    """Admits workers of the numerics class the chunks are made in; the first one sets it. What differs, else.

    assumed: gets what a person should be told of chunks that don't say all about their class.
    """
    lock = threading.Lock()

    def admit(facts: dict[str, str]) -> str:
        with lock:
            differences, unknown = journal.adopt_numerics(facts)
        if unknown:
            said = ", ".join(f"{name} {facts[name]}" for name in unknown)
            assumed.append(f"the earlier run's chunks don't say what they were made with of: {said}; taken to be the same, --fresh begins anew")
        return f"it would give other bits ({'; '.join(differences)})" if differences and not mixed else ""

    return admit


def _check_disk(folder: Path, estimated_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < max(_LEAST_FREE_BYTES, estimated_bytes // 8):
        raise OutputError(
            f"{folder.parent}: {free / 1e9:.2f} GB free, about {estimated_bytes / 1e9:.2f} GB needed; free some space or choose another -o"
        )


def _finish(
    planned: Planned,
    made: _Made,
    dropped: frozenset[int],
    journal: Journal,
    settings: RunSettings,
    began: float,
    stop: threading.Event | None,
    *,
    may_replace: bool,
) -> Generator[Event, None, Finished]:
    """Assemble, verify, and only then give the result its name; the closing event comes back as the generator's value."""
    plan, info, target = planned.plan, planned.info, Path(planned.output)
    concealed = sum(r.corrupt for r in made.records)
    try:
        passed = assemble(plan, info, made.records, journal.result, dropped=dropped, stop=stop)
        report = verify(journal.result, plan, info, made.records, passed, full=settings.verify == "full", stop=stop)
        summary = {
            "plan": plan.id, "asked": journal.asked, "id_format": ID_FORMAT, "tile": [*reversed(plan.tile_px)], "bytes": 0,
            "concealed": concealed, "flaw": info.flaw, "dropped": list(planned.dropped), **asdict(report),
        }  # fmt: skip
        _refuse_taken(target, plan, may_replace=may_replace)  # hours may lie between
        size = summary["bytes"] = _give_name(journal, target, plan)
        summary["sha256"] = result_hash(target, plan)
        write_atomically(journal.folder / _REPORT, json.dumps(summary, indent=1).encode())
        os.replace(journal.folder / _REPORT, report_path(target))
        sync_folder(target.parent)
    except OSError as error:
        raise OutputError(
            f"{target}: can't be written: {error.strerror}; what is done is kept, free some space and give the same command again"
        ) from None
    finally:
        journal.clear_result()
    if concealed:
        yield Note(f"{concealed} damaged or missing frames of the source were concealed")
    if stay := _others(target, plan):
        yield Note(stay)
    limiting = max(made.seconds, key=made.seconds.__getitem__) if made.seconds else ""
    return Finished(str(target), report.frames, time.monotonic() - began, size, _LIMITS.get(limiting, limiting), summary)


def _others(target: Path, plan: Plan) -> str:
    """What to say of pictures of the same pattern that are not of this run; nothing where there is none."""
    pattern = pattern_of(target) if plan.encoder.is_sequence else None
    others = [n for n in pattern.numbers() if n not in plan.numbers] if pattern is not None else []
    return f"{len(others)} pictures of the same pattern stay, which are not of this run: {others[0]} to {others[-1]}" if others else ""


def _give_name(journal: Journal, target: Path, plan: Plan) -> int:
    """Put what was verified where it belongs, flushed; its size in bytes comes back."""
    pattern = pattern_of(target) if plan.encoder.is_sequence else None
    mark = journal.folder / _PUBLISHING
    if pattern is not None:
        size = publish(journal.result, pattern, mark, _mark(plan.id, None))
    else:
        with open(journal.result, "rb") as file:
            os.fsync(file.fileno())
        write_atomically(mark, _mark(plan.id, journal.result).encode())
        os.replace(journal.result, target)
        size = target.stat().st_size
    sync_folder(target.parent)
    return size


_LIMITS = {"decode wait": "decoding", "network": "the network", "encode wait": "encoding"}
"""Where a worker's middle thread spent most of its time -> what limits the run."""
