"""On a CUDA device: a training that was stopped continues to the same bits.

A step recorded as a CUDA graph gives the bits of one that is not. `make gpu` runs these.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipelines.objectives.settings import TrainSettings
from pipelines.training.train_step import Gradients
from pipelines.training.trainer import Trainer
from tests.pipelines.datasets.test_gpu_loader import shards_of
from tests.pipelines.training.test_train_step import CLIPS, TINY

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return Path(next(iter(shards_of(tmp_path / "pairs").firsts)))


def trained(settings: TrainSettings, pairs: Path, *, graph: bool = True, stops: int = 0) -> dict[str, Tensor]:
    trainer = Trainer(settings, [pairs], pairs, torch.device("cuda"))
    if not graph:
        trainer._gradients = Gradients(trainer.objective, trainer.autocast, None)
    for batch in trainer._batches(0, stops or settings.steps):
        trainer.step(batch)
    if stops:
        trainer.state.save(pairs / "checkpoint.pt", "x")
        trainer = Trainer(settings, [pairs], pairs, torch.device("cuda"))
        trainer.state.load(pairs / "checkpoint.pt", "x")
        for batch in trainer._batches(stops, settings.steps):
            trainer.step(batch)
    return {k: v.cpu() for k, v in trainer.state.network.state_dict().items()}


@pytest.mark.parametrize("settings", [TINY, CLIPS], ids=["frames", "clips"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_recorded_step_is_that_of_one_that_is_not(
    pairs: Path, settings: TrainSettings, precision: str
) -> None:
    settings = replace(settings, steps=30, precision=precision)  # type: ignore[arg-type]
    recorded, plain = trained(settings, pairs), trained(settings, pairs, graph=False)
    assert all(torch.equal(recorded[k], plain[k]) for k in plain)


@pytest.mark.parametrize("settings", [TINY, CLIPS], ids=["frames", "clips"])
def test_a_training_that_was_stopped_ends_with_the_same_bits(pairs: Path, settings: TrainSettings) -> None:
    settings = replace(settings, steps=30, precision="bf16")
    whole, stopped = trained(settings, pairs), trained(settings, pairs, stops=11)
    assert all(torch.equal(whole[k], stopped[k]) for k in whole)


def test_what_is_learned_on_the_device_is_what_is_learned_on_a_cpu(pairs: Path) -> None:
    settings = replace(TINY, steps=10)
    there = trained(settings, pairs)
    here = Trainer(settings, [pairs], pairs, torch.device("cpu"))
    for batch in here._batches(0, settings.steps):
        here.step(batch)
    for name, value in here.state.network.state_dict().items():
        assert torch.allclose(there[name], value, atol=2e-3), name
