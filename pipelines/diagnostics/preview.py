"""`preview`: sample frames of a film through several networks, with the cost of each."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from models.catalog.lookup import restoring_model
from models.errors import UsageError, counted
from pipelines.diagnostics.estimate import TriedFrames, estimated, trying
from pipelines.diagnostics.preview_frames import (
    SAMPLE_FRAMES,
    chosen_frames,
    frames_within,
    requested_time,
    shown_frames,
)
from pipelines.diagnostics.run_time import keep_estimate, machine_share
from pipelines.hardware.resources import allocate_workers
from pipelines.media.video_info import Chunk
from pipelines.plan.chunking import cut_spans
from pipelines.plan.events import Note, Planned
from pipelines.plan.timeline import clock_text
from pipelines.planner.licences import licence_notes
from pipelines.planner.network_choice import chosen_model
from pipelines.planner.video_planner import plan_video
from pipelines.pool.interface import WorkItem
from pipelines.probe.probe import probe
from pipelines.run.chunk_tasks import SpanRun
from pipelines.run.worker_pools import open_workers
from pipelines.settings.option_values import PREFILTERS
from pipelines.storage.atomic_file import not_made, write_atomically
from pipelines.workers.messages import PreviewSample, WorkerKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan
    from pipelines.settings.run_settings import RunSettings

__all__ = ["Choice", "Preview", "PreviewMoment", "make_folder", "preview", "preview_prefilters", "time_stamp"]


_Compared: TypeAlias = "tuple[tuple[str, ...], list[RunSettings]]"
"""Names, and the settings of each."""
_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Small parts have short loops, between which OpenMP's threads would spin for longer than they work."""
_TOGETHER = "side-by-side"


@dataclass(frozen=True)
class PreviewMoment:
    """Event: a sample frame has gone through all networks."""

    number: int
    seconds: float
    """Time from the first frame of the film."""
    pictures: tuple[bytes, ...]
    """PNG files, one per network."""
    files: tuple[str, ...]
    """Their paths, and finally that of the image with all side by side."""
    overview: bytes = b""
    """PNG file of the whole frame, scaled down, with the shown place marked."""


@dataclass(frozen=True)
class Choice:
    """Expected output and cost of one network for the whole film."""

    model: str
    frames: int
    size: tuple[int, int]
    """Width and height."""
    fps: float
    seconds: float
    """Estimated for a run here."""
    bytes: int
    """Estimated size of the output."""
    gflop: float = 0.0
    """Compute of its networks per frame; 0 for classical ones."""
    network_seconds: float = 0.0
    """Time of a frame in the networks, from the samples."""
    terms: str = ""
    """Licence of its networks, if they are third-party ones."""
    share: float = 1.0
    """Share of the machine that other programs left; see `Estimate.share`."""


@dataclass(frozen=True)
class Preview:
    """The last event of `preview`: all results."""

    input: str
    folder: str
    planned: Planned
    """Plan with the first network."""
    choices: tuple[Choice, ...]
    moments: tuple[PreviewMoment, ...] = field(default_factory=tuple)


def preview(
    source: Path,
    folder: Path | None,
    settings: RunSettings,
    *,
    models: Sequence[str] = (),
    at: Sequence[str] = (),
    shots: int = 3,
) -> Iterator[PreviewMoment | Note | Preview]:
    """Show sample frames of one video through several networks, with the components of a run.

    folder: for images, created if missing; None: NAME.preview next to the input. models: names or files;
    none: the classical one and the default. at: seconds or [hh:]mm:ss[.fff] from the first frame; none: one
    frame of each of `shots` equal parts of the film, the one with the largest key frame in bytes, avoiding
    nearly black frames. Raises the errors of a run.
    """
    names = tuple(dict.fromkeys(models or ("lanczos", settings.model)))
    variants = [replace(settings, model=name) for name in names]
    return _preview(source, folder, (names, variants), settings, at, shots)


def preview_prefilters(
    source: Path, folder: Path | None, settings: RunSettings, *, at: Sequence[str] = (), shots: int = 3
) -> Iterator[PreviewMoment | Note | Preview]:
    """Show sample frames as `preview` does, through one network, after several prefilters.

    Each frame is shown after each prefilter alone, and after all requested ones together.
    """
    kinds = tuple(dict.fromkeys(["", *PREFILTERS, ",".join(settings.prefilters)]))
    variants = [replace(settings, prefilter=kind or None) for kind in kinds]
    names = tuple(kind or "no prefilter" for kind in kinds)
    return _preview(source, folder, (names, variants), settings, at, shots)


def _preview(
    source: Path, folder: Path | None, compared: _Compared, asked: RunSettings, at: Sequence[str], shots: int
) -> Iterator[PreviewMoment | Note | Preview]:
    (names, variants), settings = compared, asked.alone
    folder = folder or source.with_name(f"{source.stem}.preview")
    _refuse_other_page(folder)
    times = [requested_time(text) for text in at]
    info = probe(
        source,
        video_stream=settings.video_stream,
        rate=settings.frame_rate,
    )
    wanted = shown_frames(info, times)
    planned = [plan_video(source, None, one.alone, info) for one in variants]
    names = tuple(_chosen_name(name, settings, p.plan) for name, p in zip(names, planned, strict=True))
    plans = [p.plan for p in planned]
    starts = frames_within(wanted, plans[0]) if wanted else chosen_frames(info, shots, plans[0])
    make_folder(folder)
    yield Note(f"upscaling {counted(len(starts), 'moment')} with {' and '.join(names)}")
    few = [_of_moments(plan, info, starts) for plan in plans]
    widest = max(few, key=lambda p: sum(p.context))  # its neighbouring frames are decoded for all networks
    sampled: list[PreviewSample] = []
    moments = []
    with open_workers(settings.execution, _ENVIRONMENT) as workers:
        run = SpanRun(
            widest, info, settings.execution, WorkerKind.SAMPLER, workers=workers, others=tuple(few)
        )
        for outcome in run.outcomes():
            if isinstance(outcome, WorkItem) and isinstance(outcome.value, PreviewSample):
                sampled.append(outcome.value)
                moments.append(_write(outcome.value, names, info, starts, folder))
                yield moments[-1]
    yield Note("estimating time and size, at several places of the film")
    places: list[TriedFrames] = []
    for place in trying(planned[-1], asked.execution):
        places.append(place)
        yield Note(f"{counted(len(places), 'place')} tried")
    choices = tuple(_choices(names, planned, asked, sampled, places))
    yield Preview(
        str(source), str(folder), planned[0], choices, tuple(sorted(moments, key=lambda m: m.number))
    )


def _chosen_name(name: str, settings: RunSettings, plan: Plan) -> str:
    """A name for `--model`; for "auto" that of the networks that the plan has chosen."""
    if name != "auto":
        return name
    usual = chosen_model(settings)
    return (
        (restoring_model(usual) or usual)
        if any(stage.restore is not None for stage in plan.stages)
        else usual
    )


def make_folder(folder: Path) -> None:
    """Create the folder of a preview.

    Raises OutputError; UsageError if it contains an index.html from elsewhere.
    """
    _refuse_other_page(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_made(folder, error) from error


def _refuse_other_page(folder: Path) -> None:
    page = folder / "index.html"
    try:
        is_ours = (
            folder.suffix == ".preview"
            or not page.exists()
            or b'<meta name="generator" content="vsr">' in page.read_bytes()
        )
    except OSError as error:
        raise not_made(folder, error) from error
    if not is_ours:
        raise UsageError(f"{page}: already exists, and is not the page of a preview; choose another -o")


def _of_moments(plan: Plan, info: VideoInfo, starts: Sequence[int]) -> Plan:
    """The same plan with chunks of a few frames each."""
    ends = [*starts[1:], plan.stop_frame]
    chunks = tuple(
        Chunk(n, *_with_result(plan, start, min(start + SAMPLE_FRAMES, end)))
        for n, (start, end) in enumerate(zip(starts, ends, strict=True))
    )
    return replace(
        plan,
        chunks=chunks,
        spans=cut_spans(info.index, info.pts, chunks, linear=info.linear, context=plan.context),
    )


def _with_result(plan: Plan, start: int, stop: int) -> tuple[int, int]:
    """Source frames [start, stop), extended if they give no output frame."""
    while plan.results(stop) == plan.results(start):
        start, stop = (start, stop + 1) if stop < plan.stop_frame else (start - 1, stop)
    return start, stop


def _write(
    sampled: PreviewSample, names: Sequence[str], info: VideoInfo, starts: Sequence[int], folder: Path
) -> PreviewMoment:
    seconds = float((info.pts[starts[sampled.moment]] - info.pts[0]) * info.time_base)
    files = []
    for name, data in zip(
        (*_labels(names), _TOGETHER), (*sampled.pictures, sampled.side_by_side), strict=True
    ):
        files.append(os.fspath(folder / f"{time_stamp(seconds)}.{name}.png"))
        write_atomically(Path(files[-1]), data)
    return PreviewMoment(sampled.moment, seconds, sampled.pictures, tuple(files), sampled.overview)


def time_stamp(seconds: float) -> str:
    """A time for a file name."""
    return clock_text(seconds).replace(":", "-").rjust(12, "0")


def _label(model: str) -> str:
    """A model for a file name."""
    return re.sub(r"[^\w+-]+", "-", Path(model).stem if os.sep in model else model).strip("-") or "network"


def _labels(models: Sequence[str]) -> list[str]:
    """Unique labels for file names: files with the same name also by their folders, and finally by number."""
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


def _choices(
    names: Sequence[str],
    planned: Sequence[Planned],
    asked: RunSettings,
    sampled: Sequence[PreviewSample],
    places: Sequence[TriedFrames],
) -> Iterator[Choice]:
    """Estimates for each network, as in `vsr plan --measure`. Only the last network was tried at `places`.

    The others differ from it by the time of their networks and the size of their encoded frames, which the
    samples show.
    """
    tried = len(names) - 1

    def of(number: int) -> tuple[float, float, float, float]:
        stages = [s.stages[number] for s in sampled]
        times = (sum(getattr(s, which)["network"] for s in stages) for which in ("wall", "cpu"))
        return (
            *times,
            sum(s.key_bytes[number] for s in sampled),
            sum(s.bytes_a_frame[number] for s in sampled),
        )  # type: ignore[return-value]

    for number, name in enumerate(names):
        wall, cpu, keys, rest = (a / b if b else 1.0 for a, b in zip(of(number), of(tried), strict=True))
        found = estimated(
            planned[number],
            [_as_if(place, wall, cpu, keys, rest) for place in places],
            allocate_workers(asked.execution, planned[number].plan),
        )
        plan = planned[number].plan
        keep_estimate(planned[number], asked.execution, found.seconds)
        yield Choice(
            name,
            plan.frame_count,
            (plan.out_width, plan.out_height),
            found.fps,
            found.seconds,
            round(plan.target.wanted)
            if plan.target is not None and plan.target.kind == "size"
            else found.output_bytes,
            _gflop(plan),
            of(number)[0] / len(sampled),
            "; ".join(licence_notes(plan)),
            machine_share(place.stages for place in places),
        )


def _gflop(plan: Plan) -> float:
    gflop, pixels = 0.0, plan.width * plan.height
    for stage in plan.stages:
        gflop += stage.card.gflop_per_megapixel * pixels / 1e6
        pixels = stage.width * stage.height
    return gflop


def _as_if(place: TriedFrames, wall: float, cpu: float, keys: float, rest: float) -> TriedFrames:
    """A place with another network, which takes so many times the time, and bytes."""
    stages = place.stages
    return replace(
        place,
        stages=replace(
            stages,
            wall={**stages.wall, "network": stages.wall["network"] * wall},
            cpu={**stages.cpu, "network": stages.cpu["network"] * cpu},
            key_bytes=stages.key_bytes * keys,
            bytes_a_frame=stages.bytes_a_frame * rest,
        ),
    )
