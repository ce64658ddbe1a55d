"""`upscale_video`: one video from file to file. Reads like the way through the house; yields events, prints nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CorruptError, Interrupted, OutputError, UsageError
from pipelines.assemble import assemble
from pipelines.decode import IndexMismatchError
from pipelines.encode import EncodedChunk
from pipelines.events import Advanced, AlreadyDone, ChunkFinished, Event, Finished, Note, Planned
from pipelines.journal import Journal, sync_folder, work_folder, write_atomically
from pipelines.plan import Plan
from pipelines.probe import count
from pipelines.request import plan_video
from pipelines.sequence import pattern_of, publish
from pipelines.spans import run_spans
from pipelines.task import Progress
from pipelines.verify import verify
from pipelines.work import Done, Item, Lost, NoneAdmittedError, Refused

if TYPE_CHECKING:
    from pipelines.journal import ChunkRecord
    from pipelines.settings import RunSettings
    from pipelines.video import VideoInfo
    from pipelines.work import Map

__all__ = ["upscale_video"]

_LEAST_FREE_BYTES = 32 << 20
_PUBLISHING = "publishing"
"""File of the work directory that says whose pictures are being given their names."""


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
) -> Iterator[Event]:
    """Upscale one video; resumes what an earlier run of the same command left.

    output: file or folder; None puts it beside the input. fresh: throw earlier work away. stop: when set, chunks under way
    are finished and kept, and Interrupted is raised. worker: "module:Class" that makes chunks, for tests. workers: where it does;
    None: in children of this process.
    Raises the errors of `models.errors`; the output has its name only when everything was verified.
    """
    began = time.monotonic()
    planned, dropped = plan_video(source, output, settings)
    target = Path(planned.output)
    if _is_done(target, planned.plan) and not fresh:
        yield AlreadyDone(str(target))
        return
    if _is_there(target, planned.plan) and not (overwrite or fresh):
        raise UsageError(f"{target}: is already there, and not by this very command; give --overwrite to replace it, or another -o")
    journal = Journal(work_folder(target))
    finished = False
    try:
        for attempt in range(2):
            try:
                made = yield from _make_chunks(planned, journal, settings, fresh=fresh and attempt == 0, stop=stop, worker=worker, workers=workers)
                break
            except IndexMismatchError as error:
                counted = _counted(planned.info, error, again=attempt > 0)
                yield Note(f"{error}; the frames were counted by decoding: {counted.frame_count}")
                planned, dropped = plan_video(source, output, settings, counted)
        result = yield from _finish(planned, made, dropped, settings, began)
        finished = True
        yield result
    finally:
        if finished:
            journal.remove()
        else:
            journal.close()


def _is_done(target: Path, plan: Plan) -> bool:
    try:
        report = json.loads(_report_path(target).read_bytes())
        pattern = pattern_of(target) if plan.encoder.is_sequence else None
        size = pattern.bytes() if pattern is not None else target.stat().st_size
        return bool(report["plan"] == plan.id and report["bytes"] == size)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_there(target: Path, plan: Plan) -> bool:
    """Something lies where the result goes, and not because this very run was ended while it gave pictures their names."""
    pattern = pattern_of(target) if plan.encoder.is_sequence else None
    if pattern is None:
        return target.exists()
    try:
        return bool(pattern.numbers()) and (work_folder(target) / _PUBLISHING).read_text(encoding="utf-8") != plan.id
    except OSError:
        return True


def _report_path(target: Path) -> Path:
    return target.with_name(f"{_short(target.name)}.vsr.json")


def _short(name: str) -> str:
    """The name, or its hash where more letters would not fit into a folder's entry of 255 bytes."""
    data = os.fsencode(name)
    return name if len(data) <= 220 else hashlib.sha256(data).hexdigest()[:32]


def _counted(info: VideoInfo, error: IndexMismatchError, *, again: bool) -> VideoInfo:
    """The info with counted frames, if that explains the mismatch; otherwise the file is damaged."""
    counted = count(info) if not again and not info.linear else info
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
    done, changed = journal.adopt("" if fresh else plan.id, plan.to_json())
    if fresh:
        done, changed = journal.adopt(plan.id, plan.to_json())[0], []
    records = {r.index: r for r in done}
    _check_disk(journal.folder, planned.estimated_bytes)
    yield replace(planned, chunks_done=len(records), changed=tuple(changed))
    frames = sum(plan.chunks[i].frame_count for i in records) * plan.per_frame
    total = plan.frame_count
    seconds: dict[str, float] = {}
    admit = _admission(journal, mixed=settings.mixed_hardware)
    while len(records) < len(plan.chunks):
        partly: dict[int, int] = {}
        try:
            for event in run_spans(plan, info, set(records), settings, worker, stop, workers=workers, admit=admit):
                if isinstance(event, Refused):
                    yield Note(f"a worker would give other bits and takes no part ({event.reason})")
                elif isinstance(event, Lost):
                    frames -= partly.pop(event.key, 0)
                    yield Note(f"{event.reason}; its work is done again")
                elif isinstance(event, Item) and isinstance(event.value, Progress):
                    partly[event.key] = partly.get(event.key, 0) + event.value.frames
                    frames += event.value.frames
                    for name, spent in event.value.seconds.items():
                        seconds[name] = seconds.get(name, 0.0) + spent
                    yield Advanced(frames, total, dict(seconds), event.worker, event.host, event.value.frames)
                elif isinstance(event, Item) and isinstance(event.value, EncodedChunk) and event.value.index not in records:
                    chunk = event.value
                    records[chunk.index] = journal.commit(plan.id, chunk)
                    partly[event.key] = 0
                    yield ChunkFinished(
                        chunk.index,
                        len(records),
                        len(plan.chunks),
                        plan.chunks[chunk.index].frame_count * plan.per_frame,
                        event.worker,
                        event.host,
                    )
                    if stop is not None and stop.is_set() and len(plan.spans[event.key].chunks) > 1:
                        break  # this decoder feeds more chunks, maybe the whole film; what it has begun is done again
                elif isinstance(event, Done):
                    partly.pop(event.key, None)
        except NoneAdmittedError as error:
            yield Note(f"chunks of an earlier run were made under other conditions ({error}); they are made anew")
            journal.adopt("", {})
            journal.adopt(plan.id, plan.to_json())
            records, frames = {}, 0
            continue
        if stop is not None and stop.is_set() and len(records) < len(plan.chunks):
            raise Interrupted(f"stopped; {len(records)} of {len(plan.chunks)} chunks are kept, the same command goes on from there")
    return _Made([records[c.index] for c in plan.chunks], seconds)


@dataclass(frozen=True, eq=False)
class _Made:
    """All chunks of a plan, and where the time went."""

    records: list[ChunkRecord]
    seconds: dict[str, float]


def _admission(journal: Journal, *, mixed: bool) -> Callable[[dict[str, str]], str]:
    """Admits workers of the numerics class the chunks are made in; the first one sets it. What differs, else."""
    lock = threading.Lock()

    def admit(facts: dict[str, str]) -> str:
        with lock:
            differences = journal.adopt_numerics(facts)
        return "" if mixed else "; ".join(differences)

    return admit


def _check_disk(folder: Path, estimated_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < max(_LEAST_FREE_BYTES, estimated_bytes // 8):
        raise OutputError(
            f"{folder.parent}: {free / 1e9:.2f} GB free, about {estimated_bytes / 1e9:.2f} GB needed; free some space or choose another -o"
        )


def _finish(planned: Planned, made: _Made, dropped: frozenset[int], settings: RunSettings, began: float) -> Generator[Event, None, Finished]:
    """Assemble, verify, and only then give the result its name; the closing event comes back as the generator's value."""
    plan, info, target = planned.plan, planned.info, Path(planned.output)
    partial = target.with_name(f".{_short(target.name)}.{os.getpid()}.partial")
    try:
        passed = assemble(plan, info, made.records, partial, dropped=dropped)
        report = verify(partial, plan, info, made.records, passed, full=settings.verify == "full")
        size = _give_name(partial, target, plan)
    except OSError as error:
        raise OutputError(
            f"{target}: can't be written: {error.strerror}; what is done is kept, free some space and give the same command again"
        ) from None
    finally:
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)
    concealed = sum(r.corrupt for r in made.records)
    if concealed:
        yield Note(f"{concealed} damaged or missing frames of the source were concealed")
    summary = {"plan": plan.id, "bytes": size, "concealed": concealed, "dropped": list(planned.dropped), **asdict(report)}
    write_atomically(_report_path(target), json.dumps(summary, indent=1).encode())
    limiting = max(made.seconds, key=made.seconds.__getitem__) if made.seconds else ""
    return Finished(str(target), report.frames, time.monotonic() - began, size, _LIMITS.get(limiting, limiting), summary)


def _give_name(partial: Path, target: Path, plan: Plan) -> int:
    """Put what was verified where it belongs, flushed; its size in bytes comes back."""
    pattern = pattern_of(target) if plan.encoder.is_sequence else None
    if pattern is not None:
        size = publish(partial, pattern, work_folder(target) / _PUBLISHING, plan.id)
    else:
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
        size = target.stat().st_size
    sync_folder(target.parent)
    return size


_LIMITS = {"decode wait": "decoding", "network": "the network", "encode wait": "encoding"}
"""Where a worker's middle thread spent most of its time -> what limits the run."""
