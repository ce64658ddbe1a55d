"""`upscale_video`: one video from file to file. Reads like the way through the house; yields events, prints nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog import default_model, find
from models.errors import CorruptError, Interrupted, MediaError, OutputError, UsageError
from pipelines.assemble import assemble, incompatible_streams, refuse_incompatible
from pipelines.decode import IndexMismatchError, planar_format
from pipelines.encode import PICTURE_ENCODERS, EncodedChunk, choose_encoder, try_encoder
from pipelines.journal import Journal, sync_folder, work_folder, write_atomically
from pipelines.local import Done, Hello, Item, Lost, Task, run_tasks
from pipelines.plan import Plan, make_plan, target_size
from pipelines.probe import count, probe
from pipelines.source import PacketReader
from pipelines.tags import resolve
from pipelines.task import Progress, SpanTask, WorkerSetup
from pipelines.verify import verify
from pipelines.video import NO_PTS

if TYPE_CHECKING:
    from pipelines.journal import ChunkRecord
    from pipelines.settings import RunSettings
    from pipelines.source import PacketData
    from pipelines.video import Chunk, Span, VideoInfo

__all__ = ["Advanced", "AlreadyDone", "ChunkFinished", "Event", "Finished", "Note", "Planned", "plan_video", "upscale_video"]

_CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_STILLS = frozenset({".heic", ".heif", ".avif"})
_PIECE_BYTES = 1 << 20
_LARGEST_KEPT_SPAN = 64 << 20
"""Compressed bytes of a span that are kept for a second attempt; a longer one is read from the file again."""
_LEAST_FREE_BYTES = 32 << 20


@dataclass(frozen=True)
class Planned:
    """What will be done, before it is."""

    input: str
    output: str
    plan: Plan
    info: VideoInfo
    estimated_bytes: int
    """Chunks and result together."""
    chunks_done: int = 0
    """Kept from an earlier run."""
    changed: tuple[str, ...] = ()
    """Why an earlier run's work was not used."""
    dropped: tuple[str, ...] = ()
    """Streams left out."""


@dataclass(frozen=True)
class Advanced:
    """Frames finished so far, and where workers waited."""

    frames: int
    total: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class ChunkFinished:
    """A chunk is on the disk."""

    index: int
    chunks_done: int
    chunks: int
    frames: int


@dataclass(frozen=True)
class Note:
    """Something a person should know; the work goes on."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The result has its name."""

    output: str
    frames: int
    seconds: float
    bytes: int
    limiting: str
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AlreadyDone:
    """The very same command was finished before."""

    output: str


Event = Planned | Advanced | ChunkFinished | Note | Finished | AlreadyDone


def plan_video(source: Path, output: Path | None, settings: RunSettings, info: VideoInfo | None = None) -> tuple[Planned, frozenset[int]]:
    """Work out everything for one video and check that it can be done; nothing is written.

    output: file or folder; None puts it beside the input. Returns the plan and the indexes of streams that are left out.
    Raises UsageError, MediaError.
    """
    info = info or probe(source, video_stream=settings.video_stream)
    try:
        return _plan(source, output, settings, info)
    except MediaError as error:
        raise type(error)(f"{source}: {error}") if str(source) not in str(error) else error from None


def _plan(source: Path, output: Path | None, settings: RunSettings, info: VideoInfo) -> tuple[Planned, frozenset[int]]:
    picture = info.is_picture or source.suffix.lower() in _STILLS
    decoded = planar_format(info.pix_fmt)
    tags = info.color
    if info.pix_fmt.startswith("yuvj"):
        tags = replace(tags, range=2)
    color, assumed = resolve(tags, decoded, height=info.height, codec=info.codec, picture=picture)
    width, height = info.upright_size
    codec_folder = output is None or output.is_dir() or str(output).endswith(os.sep)
    suffix = (output.suffix.lower() if not codec_folder and output is not None else "") or _default_suffix(source, settings, picture=picture)
    container = _container(suffix, picture=picture)
    subsampled = decoded if settings.encode.pixel_format is None else planar_format(settings.encode.pixel_format)
    lossless = settings.encode.codec == "ffv1" and not picture
    even = (not lossless and bool(subsampled.sub_x) and not picture, not lossless and bool(subsampled.sub_y) and not picture)
    size = target_size(width, height, settings.target, even=even)
    names = (default_model() if settings.model == "auto" else settings.model).split(",")
    encoder = choose_encoder(settings.encode, decoded, width=size[0], height=size[1], container=container, suffix=suffix.lstrip("."))
    plan = make_plan(info, settings, [find(name.strip()) for name in names], encoder, decoded=decoded.name, color=color)
    try_encoder(encoder, plan.out_color)
    target = _target(source, output, codec_folder, suffix, plan)
    misfits = incompatible_streams(info, container) if container != "image2" else []
    if not settings.drop_incompatible:
        refuse_incompatible(misfits, target, container)
    notes = tuple(f"assumed {a}" for a in assumed)
    info = replace(info, notes=(*info.notes, *_warnings(info, plan), *notes))
    dropped = tuple(f"{s.type} stream {s.index} ({s.codec}): {reason}" for s, reason in misfits)
    return Planned(str(source), str(target), plan, info, _estimate_bytes(info, plan), dropped=dropped), frozenset(s.index for s, _ in misfits)


def _default_suffix(source: Path, settings: RunSettings, *, picture: bool) -> str:
    suffix = source.suffix.lower()
    if picture:
        return suffix if suffix.lstrip(".") in PICTURE_ENCODERS else ".png"
    if settings.encode.codec == "prores":
        return ".mov"
    return ".mp4" if suffix in {".mp4", ".mov", ".m4v"} and settings.encode.codec != "ffv1" else ".mkv"


def _container(suffix: str, *, picture: bool) -> str:
    if picture:
        if suffix.lstrip(".") in PICTURE_ENCODERS:
            return "image2"
        raise UsageError(f"a picture can't become a {suffix} file; expected {', '.join('.' + s for s in PICTURE_ENCODERS)}")
    if suffix in _CONTAINERS:
        return _CONTAINERS[suffix]
    raise UsageError(f"an output that ends in {suffix or 'nothing'} is not known; expected {', '.join(_CONTAINERS)}")


def _target(source: Path, output: Path | None, is_folder: bool, suffix: str, plan: Plan) -> Path:
    """The output's full path, checked as far as can be without writing."""
    if is_folder or output is None:
        name = f"{source.stem}.{min(plan.out_width, plan.out_height) if plan.out_height > plan.out_width else plan.out_height}p{suffix}"
        target = (output or source.parent) / name
    else:
        target = output
    target = Path(os.path.abspath(target))
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent}: no such folder; make it first")
    if target.is_symlink() or target.exists():
        if target.is_dir():
            raise UsageError(f"{target}: is a folder")
        if target.exists() and os.path.samefile(source, target):
            raise UsageError(f"{target}: is the input itself; choose another -o")
    return target


def _warnings(info: VideoInfo, plan: Plan) -> list[str]:
    found = []
    if info.interlaced:
        found.append("the video is interlaced; its lines are upscaled as they are")
    if plan.encoder.container in {"matroska", "webm"} and plan.time_base.denominator > 1000 and 1000 % plan.time_base.denominator != 0:
        found.append("Matroska keeps times to 1 ms; name an output that ends in .mp4 to keep every tick")
        ticks = [round(p * plan.time_base * 1000) for p in info.pts[plan.start_frame : plan.stop_frame]]
        if any(a >= b for a, b in zip(ticks, ticks[1:], strict=False)):
            raise UsageError("some frames are less than 1 ms apart, which Matroska can't hold; name an output that ends in .mp4")
    if info.orientation:
        found.append("the rotation tag is applied to the pixels")
    if info.captions and plan.encoder.codec not in {"h264", "hevc"}:
        found.append(f"closed captions inside the video can't be kept in {plan.encoder.codec}; use --codec hevc or h264")
    return found


_BITS_PER_PIXEL = {"libx264": 0.06, "libx265": 0.04, "libsvtav1": 0.03, "prores_ks": 2.2, "ffv1": 8.0}
"""Rough, for the estimate before anything is measured."""


def _estimate_bytes(info: VideoInfo, plan: Plan) -> int:
    frames = plan.stop_frame - plan.start_frame
    video = plan.out_width * plan.out_height * frames * _BITS_PER_PIXEL.get(plan.encoder.name, 1.0) / 8
    others = max(0, os.path.getsize(info.path) - sum(info.index.size))
    return int(2 * video + others)


def upscale_video(
    source: Path,
    output: Path | None,
    settings: RunSettings,
    *,
    overwrite: bool = False,
    fresh: bool = False,
    stop: threading.Event | None = None,
    worker: str = "pipelines.worker:ChunkUpscaler",
) -> Iterator[Event]:
    """Upscale one video; resumes what an earlier run of the same command left.

    output: file or folder; None puts it beside the input. fresh: throw earlier work away. stop: when set, chunks under way
    are finished and kept, and Interrupted is raised. worker: "module:Class" that makes chunks, for tests.
    Raises the errors of `models.errors`; the output has its name only when everything was verified.
    """
    began = time.monotonic()
    planned, dropped = plan_video(source, output, settings)
    target = Path(planned.output)
    if _is_done(target, planned.plan) and not fresh:
        yield AlreadyDone(str(target))
        return
    if target.exists() and not (overwrite or fresh):
        raise UsageError(f"{target}: is already there, and not by this very command; give --overwrite to replace it, or another -o")
    journal = Journal(work_folder(target))
    finished = False
    try:
        for attempt in range(2):
            try:
                made = yield from _make_chunks(planned, journal, settings, fresh=fresh and attempt == 0, stop=stop, worker=worker)
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
        return bool(report["plan"] == plan.id and report["bytes"] == target.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return False


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
    planned: Planned, journal: Journal, settings: RunSettings, *, fresh: bool, stop: threading.Event | None, worker: str
) -> Generator[Event, None, _Made]:
    """Bring every chunk of the plan to the disk; its records come back as the generator's value."""
    plan, info = planned.plan, planned.info
    done, changed = journal.adopt("" if fresh else plan.id, plan.to_json())
    if fresh:
        done, changed = journal.adopt(plan.id, plan.to_json())[0], []
    records = {r.index: r for r in done}
    _check_disk(journal.folder, planned.estimated_bytes)
    yield replace(planned, chunks_done=len(records), changed=tuple(changed))
    frames = sum(plan.chunks[i].frame_count for i in records)
    total = plan.stop_frame - plan.start_frame
    seconds: dict[str, float] = {}
    while len(records) < len(plan.chunks):
        partly: dict[int, int] = {}
        try:
            for event in _run_spans(plan, info, set(records), settings, worker, stop):
                if isinstance(event, Hello):
                    _same_numerics(journal, event, bool(records))
                elif isinstance(event, Lost):
                    frames -= partly.pop(event.key, 0)
                    yield Note(f"{event.reason}; its work is done again")
                elif isinstance(event, Item) and isinstance(event.value, Progress):
                    partly[event.key] = partly.get(event.key, 0) + event.value.frames
                    frames += event.value.frames
                    for name, spent in event.value.seconds.items():
                        seconds[name] = seconds.get(name, 0.0) + spent
                    yield Advanced(frames, total, dict(seconds))
                elif isinstance(event, Item) and isinstance(event.value, EncodedChunk) and event.value.index not in records:
                    chunk = event.value
                    records[chunk.index] = journal.commit(plan.id, chunk)
                    partly[event.key] = 0
                    yield ChunkFinished(chunk.index, len(records), len(plan.chunks), plan.chunks[chunk.index].frame_count)
                    if stop is not None and stop.is_set() and len(plan.spans[event.key].chunks) > 1:
                        break  # this decoder feeds more chunks, maybe the whole film; what it has begun is done again
                elif isinstance(event, Done):
                    partly.pop(event.key, None)
        except _OtherNumericsError as error:
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


class _OtherNumericsError(Exception):
    """A worker computes in another numerics class than the chunks that are there."""


def _same_numerics(journal: Journal, hello: Hello, any_done: bool) -> None:
    differences = journal.adopt_numerics(hello.facts)
    if differences:
        if any_done or hello.worker == 0:
            raise _OtherNumericsError("; ".join(differences))
        raise UsageError(f"worker {hello.worker} would give other bits ({'; '.join(differences)}); run with --workers 1")


def _check_disk(folder: Path, estimated_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < max(_LEAST_FREE_BYTES, estimated_bytes // 8):
        raise OutputError(
            f"{folder.parent}: {free / 1e9:.2f} GB free, about {estimated_bytes / 1e9:.2f} GB needed; free some space or choose another -o"
        )


def _run_spans(
    plan: Plan, info: VideoInfo, done: set[int], settings: RunSettings, worker: str, stop: threading.Event | None
) -> Iterator[Hello | Item | Done | Lost]:
    """The spans that still have something to do, through local workers."""
    spans = {}
    tasks = []
    for key, span in enumerate(plan.spans):
        pending = tuple(c for c in span.chunks if c.index not in done)
        if pending:
            spans[key] = span
            first, last = pending[0], pending[-1]
            name = f"chunk {first.index}" if first == last else f"chunks {first.index} to {last.index}"
            tasks.append(Task(key, f"{name} (frames {first.start_frame} to {last.stop_frame - 1})", _span_task(info, pending)))
    devices = _environments(settings)[: max(1, len(tasks))]
    setup = WorkerSetup(plan, info.decoder, settings.device)
    readers = [PacketReader(info.path, info.stream_index) for _ in devices]
    try:
        yield from run_tasks(
            tasks,
            worker=worker,
            setups=[setup for _ in devices],
            feed=lambda number, task: _pieces(readers[number], info, spans[task.key]),
            environments=devices,
            stop=stop,
        )
    finally:
        for reader in readers:
            reader.close()


def _span_task(info: VideoInfo, chunks: tuple[Chunk, ...]) -> SpanTask:
    first, stop = chunks[0].start_frame, chunks[-1].stop_frame
    hidden = frozenset(p for p, discard in zip(info.index.pts, info.index.discard, strict=True) if discard) if not info.linear else frozenset()
    return SpanTask(chunks, tuple(info.pts[first:stop]), first if info.linear else 0, hidden)


_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_ARENA_MAX": "1",
}
"""glibc keeps large blocks instead of giving their pages back after every layer, which costs more than the arithmetic;
one arena, or every thread would keep its own."""


def _environments(settings: RunSettings) -> list[dict[str, str]]:
    """One set of environment variables a worker: one worker a CUDA device, else one."""
    devices = [] if settings.device == "cpu" else _cuda_devices()
    wanted = settings.workers or max(1, len(devices))
    if not devices:
        return [dict(_ALLOCATOR) for _ in range(wanted)]
    return [{**_ALLOCATOR, "CUDA_VISIBLE_DEVICES": devices[n % len(devices)]} for n in range(wanted)]


def _cuda_devices() -> list[str]:
    """Devices by number, as the driver lists them; none where there is no driver. Without loading CUDA here."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [d for d in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if d.strip() and d.strip() != "-1"]
    root = Path("/proc/driver/nvidia/gpus")
    return [str(n) for n in range(len(list(root.iterdir())))] if root.is_dir() else []


def _pieces(reader: PacketReader, info: VideoInfo, span: Span) -> Iterator[list[PacketData]]:
    """The packets of a span in pieces of about a megabyte, with the times of the index (clock jumps joined)."""
    size = sum(info.index.size[span.first_row : span.stop_row])
    keep_from = span.first_row if size <= _LARGEST_KEPT_SPAN else span.stop_row
    piece: list[PacketData] = []
    held = 0
    for row, packet in enumerate(reader.rows(span.first_row, span.stop_row, keep_from=keep_from), start=span.first_row):
        pts, dts = info.index.pts[row], info.index.dts[row]
        piece.append(replace(packet, pts=None if pts == NO_PTS else pts, dts=None if dts == NO_PTS else dts))
        held += len(packet.data)
        if held >= _PIECE_BYTES:
            yield piece
            piece, held = [], 0
    if piece:
        yield piece


def _finish(planned: Planned, made: _Made, dropped: frozenset[int], settings: RunSettings, began: float) -> Generator[Event, None, Finished]:
    """Assemble, verify, and only then give the result its name; the closing event comes back as the generator's value."""
    plan, info, target = planned.plan, planned.info, Path(planned.output)
    partial = target.with_name(f".{_short(target.name)}.{os.getpid()}.partial")
    try:
        passed = assemble(plan, info, made.records, partial, dropped=dropped)
        report = verify(partial, plan, info, made.records, passed, full=settings.verify == "full")
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
        sync_folder(target.parent)
    except OSError as error:
        raise OutputError(
            f"{target}: can't be written: {error.strerror}; what is done is kept, free some space and give the same command again"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    size = target.stat().st_size
    concealed = sum(r.corrupt for r in made.records)
    if concealed:
        yield Note(f"{concealed} damaged or missing frames of the source were concealed")
    summary = {"plan": plan.id, "bytes": size, "concealed": concealed, "dropped": list(planned.dropped), **asdict(report)}
    write_atomically(_report_path(target), json.dumps(summary, indent=1).encode())
    limiting = max(made.seconds, key=made.seconds.__getitem__) if made.seconds else ""
    return Finished(str(target), report.frames, time.monotonic() - began, size, _LIMITS.get(limiting, limiting), summary)


_LIMITS = {"decode wait": "decoding", "network": "the network", "encode wait": "encoding"}
"""Where a worker's middle thread spent most of its time -> what limits the run."""
