"""`train`: trains weights on a data set, in one process or several."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import torch

from models.errors import UsageError
from pipelines.objectives.settings import TrainSettings
from pipelines.plan.events import Note
from pipelines.storage.atomic_file import write_atomically
from pipelines.training.trainer import LEAST_STEPS, STEPS_FILE, Trainer, seconds_a_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipelines.training.training_events import Stepped, Trained, Validated

__all__ = ["TrainOptions", "refuse_begun", "train"]


_FEW_PAIRS = 500
_MORE_PAIRS = "thousands come from more footage, or from the same: vsr dataset INPUT... -o DIR --set passes=4"


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
    """Training time instead of the settings' steps, converted by timing a few steps; a resumed training keeps
    the number of steps."""
    more_pairs: str
    """What gives more pairs, for the note that there are few."""


def train(
    settings: TrainSettings, data: Sequence[str | Path], folder: str | Path, **options: Unpack[TrainOptions]
) -> Iterator[Note | Stepped | Validated | Trained]:
    """Train on data sets made by `vsr dataset`, into `folder`.

    Raises UsageError for unsuitable data, MediaError for damaged files.
    """
    resume, device = options.get("resume", False), options.get("device", "cpu")
    stop, cluster = options.get("stop"), options.get("cluster")
    workers, cpus_per_worker = options.get("workers"), options.get("cpus_per_worker")
    minutes = options.get("minutes")
    checkpoint = Path(folder) / "checkpoint.pt"
    if not resume:
        refuse_begun(folder)
    if minutes is not None and cluster is not None:
        raise UsageError(
            "how many steps some minutes are is measured where training begins, not on a cluster; with"
            " --cluster give --set steps=N"
        )
    if cluster is None and (workers is not None or cpus_per_worker is not None):
        raise UsageError(
            "--workers and --cpus-per-worker are of a cluster; give --cluster, too, or leave them out"
        )
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
            from pipelines.training.distributed import Share, train_together

            share = Share(most or 1, cpus or 1, device)
            yield from train_together(settings, data, folder, share, stop=stop)
        return
    if minutes is not None:
        steps = (
            _begun_steps(Path(folder), minutes)
            if checkpoint.is_file()
            else _measured_steps(settings, data, Path(folder), device, minutes)
        )
        settings = replace(settings, steps=steps)
    run = Trainer(settings, [Path(d) for d in data], Path(folder), torch.device(device))
    if checkpoint.is_file():
        run.state.load(checkpoint, run.identity)
    if (pairs := run.train_pairs) < _FEW_PAIRS:
        yield Note(
            f"{pairs} pairs to learn from are few: expect a network that is no better than the one of its"
            f" size that ships; {options.get('more_pairs', _MORE_PAIRS)}"
        )
    yield from run.steps(stop or (lambda: False))
    yield run.finish()


def refuse_begun(folder: str | Path) -> None:
    """Raise UsageError if a folder already contains a training; only `resume` continues one."""
    paths = (Path(folder) / name for name in ("checkpoint.pt", "log.jsonl"))
    begun = next((path for path in paths if path.is_file() and path.stat().st_size), None)
    if begun is not None:
        raise UsageError(
            f"{begun}: training in this folder was begun before; give --resume, or another folder (-o)"
        )


def _measured_steps(
    settings: TrainSettings, data: Sequence[str | Path], folder: Path, device: str, minutes: float
) -> int:
    """The number of steps for so many minutes; stored, as another measurement would give another number."""
    steps = max(LEAST_STEPS, round(minutes * 60 / seconds_a_step(settings, data, device)))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / STEPS_FILE, json.dumps({"minutes": minutes, "steps": steps}).encode())
    return steps


def _begun_steps(folder: Path, minutes: float) -> int:
    """The stored number of steps. Raises UsageError if training in the folder began without minutes."""
    try:
        begun = json.loads((folder / STEPS_FILE).read_text(encoding="utf-8"))
        before, steps = float(begun["minutes"]), int(begun["steps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder}: training did not begin with --minutes here; leave it out, or give --set steps=N as it"
            " began"
        ) from error
    if before != minutes:
        raise UsageError(
            f"{folder}: training began with --minutes {before:g}, not {minutes:g}; give the same to --resume,"
            " or another folder (-o)"
        )
    return steps
