"""`estimate`: how long a planned run will take and how much disk, from samples of the film itself."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.diagnostics.benchmark import estimate_seconds
from pipelines.plan.output_names import existing_folder
from pipelines.planner.resources import Crew, crew_of
from pipelines.pool.interface import Item
from pipelines.run.chunk_tasks import run_spans
from pipelines.workers.messages import Stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.plan.events import Planned
    from pipelines.plan.settings import RunSettings

__all__ = ["Estimate", "estimate", "estimated"]


_PLACES = 3
"""Chunks of which the first frames are tried, all over the film: no film is as dark or as quiet as its beginning."""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to need."""

    seconds: float
    fps: float
    output_bytes: int
    disk_bytes: int
    """While it works: the finished chunks, and the result beside them."""
    free_bytes: int
    """On the disk of the result."""
    places: int
    """That were tried."""


def estimate(planned: Planned, settings: RunSettings) -> Estimate:
    """Try the stages of a run on a few frames of several chunks. Raises the errors of a run."""
    chunks = planned.plan.chunks
    wanted = {len(chunks) * (2 * n + 1) // (2 * _PLACES) for n in range(_PLACES)}
    others = {c.index for c in chunks} - wanted
    samples = [
        outcome.value
        for outcome in run_spans(planned.plan, planned.info, others, settings.alone, "pipelines.workers.stage_timer:StageSampler", None)
        if isinstance(outcome, Item) and isinstance(outcome.value, Stages)
    ]
    return estimated(planned, samples, crew_of(settings, planned.plan))


def estimated(planned: Planned, samples: Sequence[Stages], crew: Crew | None = None) -> Estimate:
    """What samples say of the whole; each place counts as much as another."""
    plan, info = planned.plan, planned.info
    count = len(samples)
    wall, cpu = ({k: sum(getattr(s, which)[k] for s in samples) / count for k in samples[0].wall} for which in ("wall", "cpu"))
    seconds = estimate_seconds(planned, replace(samples[0], wall=wall, cpu=cpu), crew)
    keys, rest = sum(s.key_bytes for s in samples) / count, sum(s.bytes_a_frame for s in samples) / count
    video = round(len(plan.chunks) * keys + max(0, plan.frame_count - len(plan.chunks)) * rest)
    share = (plan.stop_frame - plan.start_frame) / max(1, info.frame_count)
    tracks = 0 if info.first_number is not None else round(max(0, os.path.getsize(info.path) - sum(info.index.size)) * share)
    free = shutil.disk_usage(existing_folder(Path(planned.output))).free
    return Estimate(seconds, plan.frame_count / seconds, video + tracks, 2 * video + tracks, free, count)
