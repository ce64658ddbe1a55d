"""`train`: trains weights on a data set, in one process or several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import torch

from models.errors import UsageError
from pipelines.datasets.events import few_pairs
from pipelines.datasets.shards import read_manifest
from pipelines.inference.device import device_name
from pipelines.objectives.settings import TrainSettings
from pipelines.plan.events import Note
from pipelines.training.length import LEAST_STEPS, Length
from pipelines.training.trainer import Trainer, seconds_a_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipelines.training.training_events import Stepped, Stepping, Trained, Validated

__all__ = ["TrainOptions", "refuse_existing_training", "train"]


class TrainOptions(TypedDict, total=False):
    """Options of a training besides its settings."""

    resume: bool
    """Resume from the folder's checkpoint if there is one."""
    device: str
    stop: Callable[[], bool] | None
    """Called after every step; True saves a checkpoint and raises Interrupted."""
    cluster: str | None
    """Train in several processes of a Ray cluster ("local[:N]", "auto", HOST:PORT)."""
    workers: int | None
    """Number of processes; None: as many as the address says, else one."""
    cpus_per_worker: float | None
    minutes: float | None
    """Time of the whole training instead of the settings' steps: timing a few gives their number, which is
    corrected while it trains. Resumed, it keeps what it began with, unless it is given more."""
    more_pairs: str
    """How to get more pairs, for the note that there are few."""


def train(
    settings: TrainSettings, data: Sequence[str | Path], folder: str | Path, **options: Unpack[TrainOptions]
) -> Iterator[Note | Stepped | Stepping | Validated | Trained]:
    """Train on data sets made by `vsr dataset`, into `folder`.

    Raises UsageError for unsuitable data, MediaError for damaged files.
    """
    resume, device = options.get("resume", False), options.get("device", "cpu")
    stop, cluster = options.get("stop"), options.get("cluster")
    workers, cpus_per_worker = options.get("workers"), options.get("cpus_per_worker")
    minutes = options.get("minutes")
    checkpoint = Path(folder) / "checkpoint.pt"
    if not resume:
        refuse_existing_training(folder)
    if minutes is not None and cluster is not None:
        raise UsageError(
            "how many steps some minutes are is measured where training begins, not on a cluster; with"
            " --cluster give --set steps=N"
        )
    if cluster is None and (workers is not None or cpus_per_worker is not None):
        raise UsageError(
            "--workers and --cpus-per-worker are of a cluster; give --cluster, too, or leave them out"
        )
    for place in data:
        read_manifest(Path(place))  # before anything is printed or timed
    if cluster is not None:
        from pipelines.cluster.ray_session import ClusterResources, open_session

        devices = torch.cuda.device_count() if device == "cuda" else 0
        session, most, cpus = open_session(
            cluster,
            ClusterResources(devices, spare_cpus=1),
            workers=workers,
            cpus_per_worker=cpus_per_worker,
            usual=1,
        )
        with session:
            # Ray is loaded now, as the session wants it
            from pipelines.training.distributed import ScalingSettings, train_together

            share = ScalingSettings(most or 1, cpus or 1, device)
            yield from train_together(settings, data, folder, share, stop=stop)
        return
    yield Note(
        f"loads the pairs of {', '.join(str(d) for d in data)}; trains on {device_name(torch.device(device))}"
    )
    begun = None
    if minutes is not None and not checkpoint.is_file():
        yield Note(f"times some steps, to see how many fit into {minutes:g} min")
        steps = max(LEAST_STEPS, round(minutes * 60 / seconds_a_step(settings, data, device)))
        begun = Length(settings.steps, minutes, [[0, steps]])
        settings = replace(settings, steps=steps)
    run = Trainer(settings, [Path(d) for d in data], Path(folder), torch.device(device))
    run.state.length = begun or run.state.length
    yield from run.resume(minutes)
    if run.state.step >= run.settings.steps:
        yield Note(f"{folder}: this training has ended; more --minutes or steps would continue it")
    if (note := few_pairs(run.train_pairs, options.get("more_pairs", ""))) is not None:
        yield note
    yield from run.steps(stop or (lambda: False))
    yield run.finish()


def refuse_existing_training(folder: str | Path) -> None:
    """Raise UsageError if a folder already contains a training; only `resume` continues one."""
    paths = (Path(folder) / name for name in ("checkpoint.pt", "log.jsonl"))
    begun = next((path for path in paths if path.is_file() and path.stat().st_size), None)
    if begun is not None:
        raise UsageError(
            f"{begun}: this folder holds a training; give --resume to continue it (with more --minutes if it"
            " has ended), or another folder (-o)"
        )
