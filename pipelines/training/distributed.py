"""`train_together`: the loop of `train` in several processes of a cluster, with Ray Train.

Every process cuts its part of every batch, and gradients are averaged before each step, so that all have the
same weights: data-parallel training as in Li et al., "PyTorch Distributed" (VLDB 2020), without buckets,
which networks of a megabyte do not need. Data and output are in folders with the same path on all machines. A
process that dies ends the round; the next one resumes from the last checkpoint.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import torch.distributed

from models.errors import Interrupted, ResourceError, UsageError, VsrError, missing_package
from pipelines.pool.interface import to_sendable_error
from pipelines.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from pipelines.objectives.settings import TrainSettings

__all__ = ["ScalingSettings", "train_together"]


_ROUNDS = 10
"""How often processes may be lost."""
_ASK_SECONDS = 0.5


@dataclass(frozen=True)
class ScalingSettings:
    """The number of processes of a training, the CPU cores of each, and their device."""

    workers: int
    cpus_per_worker: float = 1
    device: str = "cpu"


def train_together(
    settings: TrainSettings,
    data: Sequence[str | Path],
    folder: str | Path,
    share: ScalingSettings,
    *,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Any]:
    """Train like `train`, in several processes of the connected cluster.

    Resumes from the folder's checkpoint. The batch of the settings is divided, so the result is that of one
    process up to the order of additions. Raises UsageError if Ray Train is not installed, or the objective
    doesn't support it; ResourceError after too many failures.
    """
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer
    except ImportError as error:
        raise missing_package("training on a cluster", "ray[train]", "train") from error
    if settings.objective.kind == "adversarial":
        raise UsageError(
            "an adversarial objective trains two networks in turn, which is not shared out; leave out"
            " --workers"
        )
    target = Path(folder).resolve()
    board: Any = ray.remote(_RoundBoard).options(num_cpus=0).remote()
    results = target / ".ray"
    trainer = TorchTrainer(
        _work,
        train_loop_config={
            "settings": settings,
            "data": [str(Path(d).resolve()) for d in data],
            "folder": str(target),
            "board": board,
        },
        torch_config=TorchConfig(backend="nccl" if share.device == "cuda" else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=share.workers,
            use_gpu=share.device == "cuda",
            resources_per_worker={"CPU": share.cpus_per_worker},
        ),
        run_config=RunConfig(
            name="vsr", storage_path=str(results), failure_config=FailureConfig(max_failures=_ROUNDS)
        ),
    )
    failure: list[BaseException] = []
    thread = threading.Thread(target=_fit, args=(trainer, failure), daemon=True)
    thread.start()
    try:
        over = False
        while not over:
            over = not thread.is_alive()
            if stop is not None and stop():
                ray.get(board.stop.remote())
            for event in ray.get(board.take.remote()):
                if not isinstance(event, BaseException):
                    yield event
                elif isinstance(event, VsrError):
                    raise event
                # anything else may be due to a peer that was lost, and ends as a failure if it comes again
                # and again
            if not over:
                time.sleep(_ASK_SECONDS)
        if failure:
            raise ResourceError(
                f"{target}: training ended after {_ROUNDS} losses or for a reason of its own:"
                f" {_last_line(failure[0])}; the same command with --resume continues from the last"
                " checkpoint"
            )
    finally:
        shutil.rmtree(results, ignore_errors=True)


def _fit(trainer: Any, failure: list[BaseException]) -> None:
    try:
        trainer.fit()
    except BaseException as error:  # noqa: BLE001 - reported to the thread that waits
        failure.append(error)


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[-1]


class _RoundBoard:
    """Passes events from the first process to the driver, and its stop request back."""

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._stop = False

    def pin(self, event: Any) -> bool:
        """Add an event; returns whether to stop."""
        if event is not None:
            self._events.append(event)
        return self._stop

    def take(self) -> list[Any]:
        """Return all events since the last call."""
        taken, self._events = self._events, []
        return taken

    def stop(self) -> None:
        """Request a stop."""
        self._stop = True


class _Peers:
    """The processes of torch's default group, as a `GradientExchange`."""

    def __init__(self) -> None:
        self.number, self.count = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Average tensors in one message."""
        flat = torch.cat([t.detach().reshape(-1).float() for t in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        start = 0
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
                start += tensor.numel()


def _work(config: dict[str, Any]) -> None:
    """One process, from start to end; runs in an actor of Ray Train."""
    board, asked = config["board"], [0.0, False]
    peers = _Peers()

    def stop() -> bool:
        if time.monotonic() - asked[0] > _ASK_SECONDS:
            asked[:] = [time.monotonic(), ray.get(board.pin.remote(None))]
        return bool(asked[1])

    def tell(event: Any) -> None:
        if peers.number == 0:
            ray.get(board.pin.remote(event))

    try:
        device = torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
        run = Trainer(
            config["settings"], [Path(d) for d in config["data"]], Path(config["folder"]), device, peers
        )
        for note in run.resume():
            tell(note)
        torch.distributed.barrier()
        for event in run.steps(stop):
            tell(event)
        if peers.number == 0:
            tell(run.finish())
    except Interrupted as error:
        tell(error)  # the others end after the same step
    except Exception as error:
        ray.get(board.pin.remote(to_sendable_error(error)))
        raise  # otherwise the others would wait for this one
