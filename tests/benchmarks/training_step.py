"""Measures the share of convolutions in a training step of `fast`, and the speed of the loader.

    python -m tests.benchmarks.training_step DATASET [STEPS]

Prints milliseconds: the convolutions alone (forward and backward, same shapes and precision), a whole step, a
batch from the loader. Rounds of the three are interleaved and medians taken, so that a busy machine slows all
of them equally. Exits with 1 if the convolutions are less than 60 % of a step, or the loader is slower than a
step.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pipelines.datasets.batch_loader import BatchLoader
from pipelines.datasets.shards import Shards
from pipelines.objectives.settings import TrainSettings
from pipelines.training.trainer import Trainer

LEAST_SHARE = 0.6


def convolutions(trainer: Trainer) -> Callable[[], None]:
    """Forward and backward of the trunk's convolutions, one after the other, nothing between them."""
    settings = trainer.settings
    network = trainer.state.network
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    side = settings.batch.truth_px // settings.scale // 2
    first = torch.randn(settings.batch.pairs, layers[0].in_channels, side, side).to(
        memory_format=torch.channels_last
    )

    def run() -> None:
        with trainer.autocast():
            x = first
            for layer in layers:
                x = layer(x)
        x.backward(torch.ones_like(x))
        for layer in layers:
            layer.weight.grad = layer.bias.grad = None

    return run


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1e3


def main() -> int:
    data, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40
    settings = TrainSettings("fast-x2", 2, network={"width": 32, "depth": 8})
    trainer = Trainer(settings, [data], data, torch.device("cpu"))
    loader = BatchLoader(Shards([data], "train"), settings.batch, 0)
    alone, batch = convolutions(trainer), trainer.objective.prepare(loader.batch(0))
    times: dict[str, list[float]] = {"convolutions": [], "step": [], "loader": []}
    for number in range(rounds):
        times["convolutions"].append(milliseconds(alone))
        times["step"].append(milliseconds(lambda: trainer.step(batch)))
        times["loader"].append(milliseconds(lambda n=number: trainer.objective.prepare(loader.batch(n))))
    medians = {name: statistics.median(values[rounds // 4 :]) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<13}{value:8.2f} ms")
    share = medians["convolutions"] / medians["step"]
    print(
        f"convolutions are {share:.0%} of a step; at least {LEAST_SHARE:.0%} is asked for: {'held' if share >= LEAST_SHARE else 'NOT HELD'}"
    )
    ahead = medians["loader"] < medians["step"]
    print(
        f"the loader alone takes {medians['loader'] / medians['step']:.0%} of a step; less than all of it is asked for: {'held' if ahead else 'NOT HELD'}"
    )
    return 0 if share >= LEAST_SHARE and ahead else 1


if __name__ == "__main__":
    sys.exit(main())
