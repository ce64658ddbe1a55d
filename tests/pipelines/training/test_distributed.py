"""Training in several processes of a cluster: the same weights as in one, even if processes die."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from models.errors import UsageError
from pipelines.datasets.batch_loader import BatchLoader, BatchSettings
from pipelines.datasets.shards import Shards
from pipelines.objectives.settings import OptimizerSettings, TrainSettings
from pipelines.training.train import train
from pipelines.training.training_events import Stepped, Trained
from tests.helpers.ray_processes import children_of

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

TINY = TrainSettings(
    "tiny-x2", 2, network={"width": 32, "depth": 1}, steps=30, validate_every=30, validation_pairs=4, threads=1, precision="fp32",
    checkpoint_seconds=0.0, batch=BatchSettings(pairs=4, truth_px=32), optimizer=OptimizerSettings(warmup_steps=2),
)  # fmt: skip


@pytest.fixture(scope="module")
def alone(pairs: Path) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and weights after training in one process."""
    threads = torch.get_num_threads()
    events = list(train(TINY, [pairs], pairs.parent / "alone"))
    torch.set_num_threads(threads)
    return loss_of(events), weights_of(pairs.parent / "alone")


def loss_of(events: list[Any]) -> float:
    assert isinstance(events[-1], Trained), events
    return next(e.loss for e in events if isinstance(e, Stepped) and e.step == e.steps)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "checkpoint.pt", weights_only=True)["network"]
    return found


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[k] - b[k]).abs().max()) for k in a)


def test_two_processes_end_where_one_does_and_a_killed_one_changes_nothing(
    pairs: Path, alone: tuple[float, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    events = list(train(TINY, [pairs], tmp_path / "two", cluster="local", workers=2))
    assert abs(loss_of(events) - alone[0]) < 1e-3
    assert largest_difference(weights_of(tmp_path / "two"), alone[1]) < 1e-3
    assert not (tmp_path / "two" / ".ray").exists()

    killed: list[int] = []
    thread = threading.Thread(target=kill_one, args=(tmp_path / "killed", killed))
    thread.start()
    events = list(train(TINY, [pairs], tmp_path / "killed", cluster="local", workers=2))
    thread.join()
    assert killed, "it was over before anybody could be killed"
    assert isinstance(events[-1], Trained)
    assert largest_difference(weights_of(tmp_path / "killed"), weights_of(tmp_path / "two")) == 0


def kill_one(folder: Path, killed: list[int]) -> None:
    """Kill one of the processes that train, as soon as there is a checkpoint."""
    until = time.monotonic() + 600
    while not (folder / "checkpoint.pt").is_file() and time.monotonic() < until:
        time.sleep(0.01)
    for pid in sorted(children_of(os.getpid())):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"RayTrainWorker" in title:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return


def test_a_batch_that_can_t_be_shared_out_is_refused(pairs: Path) -> None:
    with pytest.raises(UsageError, match="can't be shared out among 3"):
        BatchLoader(Shards([pairs], "train"), TINY.batch, 0, share=(0, 3))
