from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipelines.datasets.batch_loader import Batch, BatchSettings
from pipelines.datasets.gpu_loader import ResidentPairs
from pipelines.objectives.settings import ObjectiveSettings, OptimizerSettings, TrainSettings
from pipelines.training.train_step import Gradients
from pipelines.training.trainer import Trainer
from tests.pipelines.datasets.test_gpu_loader import CPU, shards_of

TINY = TrainSettings(
    "tiny-x2", 2, network={"width": 32, "depth": 1}, steps=6, validate_every=3, validation_pairs=1, threads=1, precision="fp32",
    batch=BatchSettings(pairs=2, truth_px=32), optimizer=OptimizerSettings(warmup_steps=1),
)  # fmt: skip
CLIPS = replace(TINY, architecture="recurrent", batch=BatchSettings(pairs=2, truth_px=32, frames=3))


class Recorder:
    """Does on every replay what it was given once, into the same tensors, as a CUDA graph does."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.recorded += 1
        return work


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return Path(next(iter(shards_of(tmp_path / "pairs").firsts)))


def trained(settings: TrainSettings, pairs: Path, record: Recorder | None) -> dict[str, Tensor]:
    trainer = Trainer(settings, [pairs], pairs, CPU)
    trainer._gradients = Gradients(trainer.objective, trainer.autocast, record)
    for batch in trainer._batches(0, settings.steps):
        trainer.step(batch)
    return trainer.state.network.state_dict()


@pytest.mark.parametrize("settings", [TINY, CLIPS], ids=["frames", "clips"])
def test_a_recorded_pass_is_repeated_on_every_batch(pairs: Path, settings: TrainSettings) -> None:
    recorder = Recorder()
    plain, repeated = trained(settings, pairs, None), trained(settings, pairs, recorder)
    assert recorder.recorded == 1
    assert all(torch.equal(plain[k], repeated[k]) for k in plain)


def test_an_objective_that_draws_is_not_recorded(pairs: Path) -> None:
    settings = replace(
        TINY, architecture="vae", network={}, objective=ObjectiveSettings(kind="variational", kl=1e-3)
    )
    recorder = Recorder()
    trained(replace(settings, steps=1), pairs, recorder)
    assert recorder.recorded == 0


def test_a_pass_that_wants_tensors_of_the_cpu_is_not_recorded(pairs: Path) -> None:
    recorder = Recorder()
    trained(replace(TINY, loss="ssim", steps=1), pairs, recorder)
    assert recorder.recorded == 0


def test_pairs_make_room_on_a_device_that_has_none_for_a_step(pairs: Path, tmp_path: Path) -> None:
    def run(*, full: bool) -> dict[str, Tensor]:
        trainer = Trainer(TINY, [pairs], tmp_path / str(full), CPU)
        step = trainer.step

        def narrow(batch: Batch) -> Tensor:
            if trainer.loader._resident is not None:
                raise torch.OutOfMemoryError("none left")
            return step(batch)

        if full:
            trainer.loader._resident = ResidentPairs(trainer.loader._shards, CPU)
            trainer.step = narrow  # type: ignore[method-assign]
        list(trainer.steps(lambda: False))
        return trainer.state.network.state_dict()

    roomy, full = run(full=False), run(full=True)
    assert all(torch.equal(roomy[k], full[k]) for k in roomy)


def test_time_that_passes_outside_of_steps_is_not_theirs(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("pipelines.training.trainer.time.monotonic", lambda: now[0])
    trainer = Trainer(TINY, [pairs], tmp_path / "run", CPU)
    step = trainer.step

    def slow(batch: Batch) -> Tensor:
        now[0] += 2
        return step(batch)

    trainer.step = slow  # type: ignore[method-assign]
    for _ in trainer.steps(lambda: False):
        now[0] += 100
    assert trainer.state.seconds == 2 * TINY.steps


def test_the_batch_that_was_recorded_stays_the_caller_s(pairs: Path) -> None:
    trainer = Trainer(TINY, [pairs], pairs, CPU)
    gradients = Gradients(trainer.objective, trainer.autocast, Recorder())
    first, second = (trainer.objective.prepare(trainer.loader.batch(n)) for n in range(2))
    before = first.low[0].clone()
    gradients(first, 0)
    gradients(second, 1)
    assert torch.equal(first.low[0], before)


def test_gradients_of_the_batch_before_are_gone(pairs: Path) -> None:
    trainer = Trainer(TINY, [pairs], pairs, CPU)
    gradients = Gradients(trainer.objective, contextlib.nullcontext, None)
    found = []
    for step in (0, 1, 0):
        gradients(trainer.objective.prepare(trainer.loader.batch(step)), step)
        found.append([p.grad.clone() for p in trainer.state.network.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[2], strict=True))


def test_a_clip_has_the_same_loss_and_gradients_frame_by_frame_and_at_once(pairs: Path) -> None:
    trainer = Trainer(CLIPS, [pairs], pairs, CPU)
    with torch.no_grad():
        trainer.state.network.tail.weight.normal_(0, 0.05)  # type: ignore[union-attr]
    batch = trainer.loader.batch(0)
    short = trainer.objective.prepare(batch)
    assert short.target is not None
    results = []
    for given in (batch, short):
        trainer.state.network.zero_grad()
        loss = trainer.objective.loss(given, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        results.append(
            (loss.item(), [p.grad.clone() for p in trainer.state.network.parameters() if p.grad is not None])
        )
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert all(
        torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(results[0][1], results[1][1], strict=True)
    )
