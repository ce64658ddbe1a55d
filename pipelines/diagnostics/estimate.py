"""`estimate`: time and disk space of a planned run, from samples of the film."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import counted
from pipelines.diagnostics.benchmark import estimate_seconds
from pipelines.diagnostics.run_time import keep_estimate, machine_share, mean_frame_seconds
from pipelines.hardware.resources import WorkerAllocation, allocate_workers
from pipelines.media.video_info import Chunk
from pipelines.plan.chunking import cut_spans
from pipelines.plan.events import Note
from pipelines.plan.output_names import existing_folder
from pipelines.pool.interface import WorkItem
from pipelines.run.chunk_tasks import SpanRun
from pipelines.workers.messages import StageSeconds, WorkerKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.events import Planned
    from pipelines.plan.plan import Plan
    from pipelines.settings.run_settings import ExecutionSettings

__all__ = ["Estimate", "TriedFrames", "estimate", "estimated", "estimating", "trying"]


_PLACES, _MOST_PLACES, _LONG = 3, 12, 240
"""Places of a film that are tried, spread over it: no film is as dark or quiet as its beginning. In a long
one there is a place for every `_LONG` frames, a twentieth of the run, so that scenes even out."""
_FRAMES = 12
"""Frames of each place."""
_SHARE, _LEAST_FRAMES, _FEW_FRAMES = 3, 4, 8
"""At most one in so many frames of a short range is tried, or the estimate would cost as much as the run; but
so many in all, and at several places so many each."""
_FARTHEST, _REACH = 240, 10
"""If all earlier frames have to be decoded, places are within so many frames, or a tenth of the film."""
_MOST_ABOVE = 4.0
"""Largest factor by which the source's bytes may change the samples' estimate of output bytes."""
_LOOKS_AHEAD = frozenset({"h264", "hevc", "av1"})
_OF_FEW = 1.2
"""Factor from the bytes of a frame in a sample to those in a chunk: an encoder with a longer lookahead spends
more on frames that others refer to. Measured on five clips of film and games with x264 superfast and medium,
and x265 fast: 0.96 to 1.47."""
_STATED_BYTES = 20.0
"""Bytes of a source frame below which they don't indicate its content: a skipped frame has as many."""
_SHORT = 4
"""A film with less than this many times the frames that are tried is short."""


@dataclass(frozen=True)
class Estimate:
    """Expected time and disk space of a run."""

    seconds: float
    """Duration of the run for the frames that are left, if it has the machine to itself."""
    fps: float
    output_bytes: int
    disk_bytes: int
    """During the run: finished chunks and the output together."""
    free_bytes: int
    """On the disk of the output."""
    places: int
    """Number of places that were tried."""
    share: float = 1.0
    """Share of the machine that other programs left during the measurement; see `machine_share`."""
    is_rest: bool = False
    """Some chunks are finished already."""


@dataclass(frozen=True)
class TriedFrames:
    """Measurements of a few frames of a film."""

    stages: StageSeconds
    source_bytes: float = 0.0
    """Bytes per source frame there, without key frames; 0 if they indicate nothing."""


def estimating(planned: Planned, settings: ExecutionSettings) -> Iterator[Note | Estimate]:
    """Try the stages of a run on a few frames from all parts of the film; yields progress.

    The last event is the estimate. Raises the errors of a run.
    """
    allocation, chunks = allocate_workers(settings, planned.plan), _chunks(planned.plan)
    frames = sum(planned.plan.results_of(chunk) for chunk in chunks)
    is_short = frames * _SHORT > planned.plan.frame_count
    yield Note(
        f"trying {counted(frames, 'frame')} of the film at {counted(len(chunks), 'place')}: decoder,"
        f" networks, encoder{'; a run of such a short film takes little longer' if is_short else ''}"
    )
    places: list[TriedFrames] = []
    for place in trying(planned, settings):
        places.append(place)
        if len(places) < len(chunks):
            fps = estimated(planned, places, allocation).fps
            yield Note(f"{len(places)} of {len(chunks)} places tried: about {fps:.2f} fps so far")
    found = estimated(planned, places, allocation)
    keep_estimate(planned, settings, found.seconds)
    yield found


def estimate(planned: Planned, settings: ExecutionSettings) -> Estimate:
    """Estimate time, size and disk space of a run from samples, without reporting progress."""
    return next(event for event in estimating(planned, settings) if isinstance(event, Estimate))


def trying(planned: Planned, settings: ExecutionSettings) -> Iterator[TriedFrames]:
    """Time each stage of a run alone, on frames of several places; yields each place when it is tried.

    Raises the errors of a run.
    """
    plan, info = planned.plan, planned.info
    chunks = _chunks(plan)
    # Each place separately: of places that share a decoder, only the first would be tried.
    context = plan.context
    spans = tuple(
        span
        for chunk in chunks
        for span in cut_spans(info.index, info.pts, (chunk,), linear=info.linear, context=context)
    )
    few = replace(plan, chunks=chunks, spans=spans)
    sizes = _sizes(info)
    for outcome in SpanRun(few, info, settings.alone, WorkerKind.STAGE_SAMPLER).outcomes():
        if isinstance(outcome, WorkItem) and isinstance(outcome.value, StageSeconds):
            chunk = chunks[outcome.key]
            yield TriedFrames(outcome.value, _mean(sizes[chunk.start_frame : chunk.stop_frame]))


def _chunks(plan: Plan) -> tuple[Chunk, ...]:
    """A few frames in the middle of each of several equal parts of the range."""
    count = plan.stop_frame - plan.start_frame
    reach = min(count, max(_FARTHEST, count // _REACH)) if plan.linear else count
    most = max(_LEAST_FRAMES, count // _SHARE)
    wanted = min(_MOST_PLACES, max(_PLACES, count // _LONG))
    places = min(wanted, max(1, most // _FEW_FRAMES))
    each = max(1, min(_FRAMES // plan.per_frame, most // places, count))
    starts = {
        plan.start_frame + min(max(0, reach * (2 * n + 1) // (2 * places) - each // 2), count - each)
        for n in range(places)
    }
    chunks: list[Chunk] = []
    for start in sorted(starts):
        if (not chunks or start >= chunks[-1].stop_frame) and plan.results(start + each) > plan.results(
            start
        ):
            chunks.append(Chunk(len(chunks), start, start + each))
    return tuple(chunks)


def _sizes(info: VideoInfo) -> list[int]:
    """Bytes of each source frame; 0 for key frames, and if packets don't determine them."""
    found = {
        pts: 0 if key else size
        for pts, size, key in zip(info.index.pts, info.index.size, info.index.clean, strict=True)
    }
    return [found.get(pts, 0) for pts in info.pts] if not info.linear else [0] * len(info.pts)


def _mean(sizes: Sequence[int]) -> float:
    told = [size for size in sizes if size]
    return sum(told) / len(told) if told else 0.0


def estimated(
    planned: Planned, places: Sequence[TriedFrames], allocation: WorkerAllocation | None = None
) -> Estimate:
    """Estimate for the whole film from samples, equally weighted.

    Output bytes are assumed to be proportional to the bytes of the source's packets, except for the first
    frame of each chunk. So the estimate is higher if the film as a whole is busier than the samples.
    """
    plan, info = planned.plan, planned.info
    samples, count = [place.stages for place in places], len(places)
    seconds = estimate_seconds(planned, mean_frame_seconds(samples), allocation)
    keys, rest = sum(s.key_bytes for s in samples) / count, sum(s.bytes_a_frame for s in samples) / count
    busier = _mean(_sizes(info)[plan.start_frame : plan.stop_frame]) / max(
        _STATED_BYTES, sum(p.source_bytes for p in places) / count
    )
    if plan.encoder.codec in _LOOKS_AHEAD and not plan.encoder.is_picture:
        rest *= _OF_FEW
    if all(place.source_bytes for place in places):
        rest *= min(_MOST_ABOVE, max(1 / _MOST_ABOVE, busier))
    video = round(len(plan.chunks) * keys + max(0, plan.frame_count - len(plan.chunks)) * rest)
    share = (plan.stop_frame - plan.start_frame) / max(1, info.frame_count)
    tracks = (
        0
        if info.first_number is not None
        else round(max(0, os.path.getsize(info.path) - sum(info.index.size)) * share)
    )
    free = shutil.disk_usage(existing_folder(Path(planned.output))).free
    return Estimate(
        seconds,
        (plan.frame_count - planned.frames_done) / seconds,
        video + tracks,
        2 * video + tracks,
        free,
        count,
        machine_share(samples),
        is_rest=planned.frames_done > 0,
    )
