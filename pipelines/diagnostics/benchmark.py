"""`bench`: measures each stage of a run alone, the bound that follows, and the run itself."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from pipelines.diagnostics.run_time import run_seconds
from pipelines.hardware.resources import WorkerAllocation
from pipelines.plan.events import Advanced, ChunkFinished, Finished
from pipelines.planner.video_planner import plan_video
from pipelines.pool.interface import WorkItem
from pipelines.run.chunk_tasks import SpanRun
from pipelines.run.job import upscale_video
from pipelines.workers.messages import StageSeconds, WorkerKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.plan.events import Planned
    from pipelines.settings.run_settings import RunSettings

__all__ = ["Bench", "Step", "bench", "estimate_seconds", "make_clip"]


_WAIT_SECONDS = 0.0025
"""Time that threads of a network add to a frame by waiting for each other while the encoder has the cores. It
matters for small frames: observed from 192×108 to 1080p, on two cores."""


@dataclass(frozen=True)
class Step:
    """Event: the current measurement."""

    text: str


@dataclass(frozen=True)
class Bench:
    """Results of a benchmark. Seconds are per output frame, unless noted otherwise."""

    stages: dict[str, float]
    """Wall-clock seconds of each stage alone."""
    cpu: dict[str, float]
    """CPU seconds of each stage alone."""
    cores: int
    bound_s: float
    """CPU seconds of all stages divided by the cores, or the time of the device if that is longer: no
    schedule can be faster."""
    run_s: float
    """From a run's first report until its last chunk is stored, median of the repeats. Joining and verifying
    are done once per film, and would dominate a run of a few seconds."""
    ratio: float
    """run_s / bound_s."""
    fps: float
    first_frame_s: float
    """From the command to the first report of a finished frame."""
    bus_bytes: int
    gflop: float
    """Compute of the networks' convolutions."""
    network_floor_s: float
    """gflop at the speed of the network's own kind of convolution, measured alone."""
    tiles: int
    reused: int
    timeline: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """(seconds since the first frame, times of its worker's middle thread until then: waiting for the
    decoder, in the network, waiting for the encoder), of the last run."""

    def to_json(self) -> dict[str, Any]:
        """The results as JSON values."""
        return asdict(self)


def bench(
    source: Path | None, settings: RunSettings, *, seconds: float = 6.0, repeats: int = 1
) -> Iterator[Step | Bench]:
    """Measure a part of a video (default: a synthetic clip); the last event is the result.

    Raises the errors of a run.
    """
    with tempfile.TemporaryDirectory(prefix="vsr-bench-") as folder:
        if source is None:
            yield Step("making a 1080p clip")
            source = make_clip(Path(folder) / "clip.mp4", seconds)
        settings = settings if settings.range else replace(settings, range=f"0-{seconds}")
        planned = plan_video(source, Path(folder), settings)
        yield Step("each stage alone")
        stages = _measure_stages(planned, settings)
        runs = []
        for number in range(repeats):
            yield Step(f"the whole run, {number + 1} of {repeats}")
            runs.append(_timed_run(source, Path(folder), settings))
        yield _result(planned, stages, runs)


def _measure_stages(planned: Planned, settings: RunSettings) -> StageSeconds:
    """Time each stage alone, in a worker like those of a run, on the first span of a plan."""
    others = {c.index for c in planned.plan.chunks[1:]}
    run = SpanRun(planned.plan, planned.info, settings.execution, WorkerKind.STAGE_TIMER, done=others)
    for outcome in run.outcomes():
        if isinstance(outcome, WorkItem) and isinstance(outcome.value, StageSeconds):
            return outcome.value
    raise AssertionError("a worker that raised nothing measured nothing")


def lower_bound_seconds(stages: StageSeconds) -> float:
    """Seconds per frame that no schedule can go below."""
    device = stages.wall["network"] if stages.cuda else 0.0
    return max(sum(stages.cpu.values()) / stages.cores, device)


def estimate_seconds(
    planned: Planned, stages: StageSeconds, allocation: WorkerAllocation | None = None
) -> float:
    """Estimated seconds of a run of a plan, for the frames it lacks. allocation: None means one worker.

    On CUDA, workers share cores and devices; each has one decoder and one encoder, which use as many cores as
    they have threads.
    """
    a_frame = lower_bound_seconds(stages)
    if not stages.cuda:
        a_frame += _WAIT_SECONDS
    else:
        allocation = allocation or WorkerAllocation()
        workers = min(allocation.workers, len(planned.plan.spans))
        slowest = max(seconds for stage, seconds in stages.wall.items() if stage != "network")
        network = stages.wall["network"] / min(workers, max(1, len(allocation.devices)))
        a_frame = max(sum(stages.cpu.values()) / stages.cores, network, slowest / workers)
    return run_seconds(planned.plan.frame_count - planned.frames_done, a_frame)


@dataclass(frozen=True)
class _Run:
    seconds_a_frame: float
    first_frame_s: float
    timeline: list[tuple[float, dict[str, float]]]


def _timed_run(source: Path, folder: Path, settings: RunSettings) -> _Run:
    began = time.perf_counter()
    first: tuple[float, int] | None = None
    timeline: list[tuple[float, dict[str, float]]] = []
    frames, ended = 0, began
    for event in upscale_video(source, folder, settings, fresh=True):
        if isinstance(event, Advanced) and (first or event.step):
            first = first or (time.perf_counter(), event.frames)
            timeline.append((time.perf_counter() - first[0], event.seconds))
        elif isinstance(event, ChunkFinished):
            ended = time.perf_counter()
        elif isinstance(event, Finished):
            frames = event.frames
    assert first is not None
    return _Run((ended - first[0]) / max(1, frames - first[1]), first[0] - began, timeline)


def _result(planned: Planned, stages: StageSeconds, runs: list[_Run]) -> Bench:
    plan = planned.plan
    gflop, megapixels = 0.0, plan.width * plan.height / 1e6
    for stage in plan.stages:
        gflop += stage.card.gflop_per_megapixel * megapixels
        megapixels = stage.width * stage.height / 1e6
    run_s = statistics.median(r.seconds_a_frame for r in runs)
    least = lower_bound_seconds(stages)
    return Bench(
        stages=stages.wall, cpu=stages.cpu, cores=stages.cores, bound_s=least, run_s=run_s,
        ratio=run_s / least, fps=1 / run_s, first_frame_s=statistics.median(r.first_frame_s for r in runs),
        bus_bytes=stages.bus_bytes, gflop=gflop,
        network_floor_s=gflop / 1e3 / stages.convolution_tflops if stages.convolution_tflops else 0.0,
        tiles=stages.tiles, reused=stages.reused, timeline=runs[-1].timeline,
    )  # fmt: skip


def make_clip(path: Path, seconds: float, *, width: int = 1920, height: int = 1080) -> Path:
    """Write an H.264 clip at 24 fps in which every frame changes: a moving pattern with grain."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width]
    base = (128 + 60 * np.sin(x / 37) * np.cos(y / 23)).astype(np.uint8)
    grain = rng.integers(0, 4, (height + 64, width + 64), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 24)
        for number in range(max(1, round(24 * seconds))):
            dy, dx = number * 7 % 64, number * 13 % 64
            frame = av.VideoFrame(width, height, "yuv420p")
            luma = np.roll(base, number * 3, axis=1) + grain[dy : dy + height, dx : dx + width]
            for plane, values in zip(
                frame.planes, (luma, luma[::2, ::2] // 4 + 96, luma[1::2, 1::2] // 4 + 96), strict=True
            ):
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                rows[:, : values.shape[1]] = values
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
