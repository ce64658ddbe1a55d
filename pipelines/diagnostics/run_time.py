"""Time of a run: one estimate for `vsr plan --measure`, `vsr preview` and the progress bar.

`run_seconds` computes it from the time of a frame. Measurements are stored by the id of the plan, and the
progress bar starts with them: see `vsr/views/remaining_time.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.storage.cache_folder import read_cached, write_cached

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipelines.plan.events import Planned
    from pipelines.plan.plan import Plan
    from pipelines.settings.run_settings import ExecutionSettings
    from pipelines.workers.messages import StageSeconds

__all__ = ["expected_rate", "keep_estimate", "machine_share", "mean_frame_seconds", "run_seconds"]


_STARTING_SECONDS = 4.0
"""Until the worker has loaded its networks; observed on two cores."""
_OVERHEAD = 1.1
"""Ratio of a run's time to its bound, as shown by `vsr bench`."""
_TABLE = "estimates"
_LEAST_COMPUTED = 0.25
"""Smallest share of tiles that a network has to compute at every place, for the time of a tile to be derived;
the other tiles were reused from the frame before."""


def run_seconds(frames: int, a_frame: float) -> float:
    """Seconds that a run of so many frames takes. a_frame: lower bound per frame, in seconds."""
    return _STARTING_SECONDS + frames * a_frame * _OVERHEAD


def mean_frame_seconds(samples: Sequence[StageSeconds]) -> StageSeconds:
    """Seconds per frame of the whole film, from samples of several places with equal weight.

    For decoder and encoder it is the mean, as their time depends on the frames. A network takes the same time
    for every tile, so the fastest place counts. At slower places, other programs kept cores busy, and the
    network's threads spun while they waited for each other.
    """
    count = len(samples)
    computed = [1 - s.reused / s.tiles if s.tiles else 1.0 for s in samples]
    found: dict[str, dict[str, float]] = {}
    for kind in ("wall", "cpu"):
        times: list[dict[str, float]] = [getattr(s, kind) for s in samples]
        found[kind] = {stage: sum(t[stage] for t in times) / count for stage in times[0]}
        if min(computed) >= _LEAST_COMPUTED:
            a_tile = min(t["network"] / share for t, share in zip(times, computed, strict=True))
            found[kind]["network"] = a_tile * sum(computed) / count
    return replace(samples[0], wall=found["wall"], cpu=found["cpu"])


def machine_share(samples: Iterable[StageSeconds]) -> float:
    """CPU time that a network got while it was measured, as a share of what it could use, at most 1.

    It is less than 1 if other programs use the cores. A run takes 1/share times as long while they do.
    """
    given, queued = 0.0, 0.0
    for sample in samples:
        given += sample.cpu["network"]
        queued += sample.queued
    return given / (given + queued) if queued > 0 else 1.0


def keep_estimate(planned: Planned, settings: ExecutionSettings, seconds: float) -> None:
    """Store an estimate for a plan, for the progress bar of its run.

    seconds: from `run_seconds`, for the frames that the plan still lacks.
    """
    left = planned.plan.frame_count - planned.frames_done
    if not left:
        return
    a_frame = max(0.0, seconds - _STARTING_SECONDS) / left
    write_cached(_TABLE, planned.plan.id, {"seconds_a_frame": a_frame, **_conditions(settings)})


def expected_rate(settings: ExecutionSettings, plan: Plan) -> float | None:
    """Earlier estimate of frames per second for this plan with as many workers, or None."""
    kept = read_cached(_TABLE, plan.id)
    if not isinstance(kept, dict) or any(kept.get(k) != v for k, v in _conditions(settings).items()):
        return None
    a_frame = kept.get("seconds_a_frame")
    return 1 / a_frame if isinstance(a_frame, float) and a_frame > 0 else None


def _conditions(settings: ExecutionSettings) -> dict[str, str | int | None]:
    """Settings that affect the speed of a plan and are not in it."""
    return {"device": settings.device, "workers": settings.workers, "cluster": settings.cluster}
