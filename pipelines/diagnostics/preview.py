"""`preview`: a few moments of a film through several networks, as pictures, with what each would cost."""

from __future__ import annotations

import bisect
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import OutputError, UsageError
from pipelines.diagnostics.benchmark import estimate_seconds
from pipelines.media.video_info import Chunk
from pipelines.plan.chunking import clean_starts, cut_spans
from pipelines.plan.events import Planned
from pipelines.plan.settings import parse_range, parse_rate
from pipelines.plan.timeline import clock
from pipelines.planner.resources import Crew, crew_of
from pipelines.planner.video_planner import chosen_model, plan_video
from pipelines.pool.interface import Item
from pipelines.probe.probe import probe
from pipelines.run.chunk_tasks import run_spans
from pipelines.run.worker_pools import open_workers
from pipelines.storage.atomic_file import write_atomically
from pipelines.workers.messages import Sampled, Stages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan
    from pipelines.plan.settings import RunSettings

__all__ = ["Choice", "Moment", "Preview", "make_folder", "preview", "stamp"]


_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Small parts make short loops, between which OpenMP's threads would spin for longer than they work."""
_TOGETHER = "side-by-side"
_FRAMES = 2
"""Of a moment: what is shown, and the next one, which costs what a frame that is no key frame does."""


@dataclass(frozen=True)
class Moment:
    """Event: a moment has gone through all networks."""

    number: int
    seconds: float
    """From the first frame of the film."""
    pictures: tuple[bytes, ...]
    """PNG files, one a network."""
    files: tuple[str, ...]
    """Where they lie, and behind them the one with all side by side."""


@dataclass(frozen=True)
class Choice:
    """What a network would make of the whole film."""

    model: str
    frames: int
    size: tuple[int, int]
    """Width and height."""
    fps: float
    seconds: float
    """Foretold for a run here, with one worker."""
    bytes: int
    """Foretold, of the video stream."""


@dataclass(frozen=True)
class Preview:
    """Event, the last one: everything that was found."""

    input: str
    folder: str
    planned: Planned
    """Of the first network."""
    choices: tuple[Choice, ...]
    moments: tuple[Moment, ...] = field(default_factory=tuple)


def preview(
    source: Path, folder: Path | None, settings: RunSettings, *, models: Sequence[str] = (), at: Sequence[str] = (), shots: int = 3
) -> Iterator[Moment | Preview]:
    """Show moments of one video through each of several networks, by the decoder, networks and encoder of a run.

    folder: where pictures go, made where it is missing; None: NAME.preview beside the input. models: names or files; none: the
    classical one and the default. at: seconds or [hh:]mm:ss[.fff] from the first frame; none: one moment of each of
    `shots` equal parts of the film, the one with the largest key frame in bytes, so no black and no flat one where there is another.
    Raises the errors of a run.
    """
    names = tuple(dict.fromkeys(models or ("lanczos", chosen_model(settings))))
    asked, settings = settings, settings.alone
    info = probe(source, video_stream=settings.video_stream, rate=parse_rate(settings.rate) if settings.rate is not None else None)
    planned = [plan_video(source, None, replace(settings, model=name), info)[0] for name in names]
    plans = [p.plan for p in planned]
    starts = _asked(info, at, plans[0]) if at else _found(info, shots, plans[0])
    folder = folder or source.with_name(f"{source.stem}.preview")
    make_folder(folder)
    few = [_of_moments(plan, info, starts) for plan in plans]
    widest = max(few, key=lambda p: sum(p.context))  # what it looks at is decoded for all of them
    sampled: list[Sampled] = []
    moments = []
    with open_workers(settings, _ENVIRONMENT) as workers:
        for outcome in run_spans(widest, info, set(), settings, "pipelines.workers.preview_worker:Sampler", None, workers=workers, others=tuple(few)):
            if isinstance(outcome, Item) and isinstance(outcome.value, Sampled):
                sampled.append(outcome.value)
                moments.append(_write(outcome.value, names, info, starts, folder))
                yield moments[-1]
    choices = tuple(
        _choice(name, planned[n], crew_of(asked, plans[n]), [(s.key_bytes[n], s.bytes_a_frame[n], s.stages[n]) for s in sampled])
        for n, name in enumerate(names)
    )
    yield Preview(str(source), str(folder), planned[0], choices, tuple(sorted(moments, key=lambda m: m.number)))


def make_folder(folder: Path) -> None:
    """Make the folder of a preview. Raises OutputError; UsageError where somebody else's index.html lies in it."""
    page = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_ours = folder.suffix == ".preview" or not page.exists() or b'<meta name="generator" content="vsr">' in page.read_bytes()
    except OSError as error:
        raise OutputError(f"{folder}: can't be made: {error.strerror}; choose another -o") from None
    if not is_ours:
        raise UsageError(f"{page}: is already there, and is no page of a preview; choose another -o")


def _asked(info: VideoInfo, at: Sequence[str], plan: Plan) -> list[int]:
    """Frames that are shown at these times."""
    found = set()
    for text in at:
        try:
            seconds = parse_range(f"{text}-")[0]
        except UsageError:
            raise UsageError(f"--at {text}: expected seconds or [hh:]mm:ss[.fff], such as 12:30") from None
        tick = info.pts[0] + seconds / info.time_base
        if tick >= info.pts[-1] + max(1, info.durations[-1]):
            length = float((info.pts[-1] + info.durations[-1] - info.pts[0]) * info.time_base)
            raise UsageError(f"--at {text}: is behind the end; the video is {length:.3f} s long")
        found.add(min(max(bisect.bisect_right(info.pts, tick) - 1, plan.start_frame), plan.stop_frame - 1))
    return sorted(found)


def _found(info: VideoInfo, shots: int, plan: Plan) -> list[int]:
    """Of each of so many equal parts of the film the frame where decoding can start and that took the most bytes; else the middle."""
    size_of = dict(zip(info.index.pts, info.index.size, strict=True))
    entries = [] if info.linear else [(bisect.bisect_left(info.pts, p), size_of.get(p, 0)) for p in clean_starts(info.index)[0]]
    count = plan.stop_frame - plan.start_frame
    shots = max(1, min(shots, count))
    found = []
    for part in range(shots):
        first, stop = (plan.start_frame + count * n // shots for n in (part, part + 1))
        inside = [(size, frame) for frame, size in entries if first <= frame < max(first + 1, stop - _FRAMES)]
        found.append(max(inside)[1] if inside else (first + stop) // 2)
    return found


def _of_moments(plan: Plan, info: VideoInfo, starts: Sequence[int]) -> Plan:
    """The same plan with chunks of a few frames each."""
    ends = [*starts[1:], plan.stop_frame]
    chunks = tuple(Chunk(n, start, min(start + _FRAMES, end)) for n, (start, end) in enumerate(zip(starts, ends, strict=True)))
    return replace(plan, chunks=chunks, spans=cut_spans(info.index, info.pts, chunks, linear=info.linear, context=plan.context))


def _write(sampled: Sampled, names: Sequence[str], info: VideoInfo, starts: Sequence[int], folder: Path) -> Moment:
    seconds = float((info.pts[starts[sampled.moment]] - info.pts[0]) * info.time_base)
    files = []
    for name, data in zip((*_labels(names), _TOGETHER), (*sampled.pictures, sampled.side_by_side), strict=True):
        files.append(os.fspath(folder / f"{stamp(seconds)}.{name}.png"))
        write_atomically(Path(files[-1]), data)
    return Moment(sampled.moment, seconds, sampled.pictures, tuple(files))


def stamp(seconds: float) -> str:
    """A time for a file's name."""
    return clock(seconds).replace(":", "-").rjust(12, "0")


def _label(model: str) -> str:
    """For a file's name."""
    return re.sub(r"[^\w+-]+", "-", Path(model).stem if os.sep in model else model).strip("-") or "network"


def _labels(models: Sequence[str]) -> list[str]:
    """For files' names, each its own: files of one name go by their folders, too, and at last by number."""
    found: list[str] = []
    for model in models:
        wanted, number = _label(model), 1
        alike = [m for m in models if _label(m).casefold() == wanted.casefold()]
        if len(alike) > 1 and os.sep in model:
            wanted = f"{_label(Path(os.path.abspath(model)).parent.name)}-{wanted}"
        label = wanted
        while label.casefold() in {_TOGETHER, *(f.casefold() for f in found)}:
            number += 1
            label = f"{wanted}-{number}"
        found.append(label)
    return found


def _choice(name: str, planned: Planned, crew: Crew, samples: Sequence[tuple[float, float, Stages]]) -> Choice:
    """Estimate the run time from the samples, equally weighted."""
    plan, count = planned.plan, len(samples)
    keys, others = sum(s[0] for s in samples) / count, sum(s[1] for s in samples) / count
    size = len(plan.chunks) * keys + max(0, plan.frame_count - len(plan.chunks)) * others
    each = [s[2] for s in samples]
    wall, cpu = ({k: sum(getattr(s, which)[k] for s in each) / count for k in each[0].wall} for which in ("wall", "cpu"))
    seconds = estimate_seconds(planned, replace(each[0], wall=wall, cpu=cpu), crew)
    return Choice(name, plan.frame_count, (plan.out_width, plan.out_height), plan.frame_count / seconds, seconds, round(size))
