"""Train and judge what estimates the restoration level: `python -m tests.benchmarks.level DATASET... [-o WEIGHTS]`.

The pairs are those of `configs/dataset/real.toml`; statistics of the small clip go in, its level should come out. Told is the mean absolute
error on held-out pairs, one tile each; a film has some hundred.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.datasets.degradation import Degradation, degrade
from pipelines.datasets.shards import Shards
from pipelines.probe.restoration_level import TILE_PX, WEIGHTS, statistics

_STEPS, _BATCH, _NOISE = 3000, 128, 0.05
_LEAST_ALIKE = 12


def known(shards: Shards) -> tuple[Tensor, Tensor]:
    """(N,112) statistics and (N,) levels of pairs, and behind them of every third pair's truth made small, which is at level 0."""
    rows, levels = [], []
    for number in range(len(shards)):
        pair = shards[number]
        rows.append(statistics(pair.low.luma[-1, :TILE_PX, :TILE_PX].astype(np.float64) / (1 << (pair.low.bits - 8))))
        levels.append(float(pair.record["level"]))
    for number in range(0, len(shards), 3):
        truth = shards[number].truth
        clean = degrade(truth.frames(slice(-1, None)), Degradation(), scale=shards.scale)
        rows.append(statistics(clean.luma[0, :TILE_PX, :TILE_PX].astype(np.float64) / (1 << (truth.bits - 8))))
        levels.append(0.0)
    return torch.tensor(np.stack(rows), dtype=torch.float32), torch.tensor(levels)


def grouped(shards: Shards) -> list[list[int]]:
    """Numbers of pairs that were treated alike: one codec, presets and CRFs near one another, nothing else."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number in range(len(shards)):
        stages = shards.record(number)["degradation"]["stages"]
        if len(stages) == 1 and set(stages[0]) <= {"kernel", "codec", "quality", "preset"}:
            groups[stages[0].get("codec", ""), stages[0].get("quality", 0) // 3].append(number)
    clean = list(range(len(shards), len(shards) + (len(shards) + 2) // 3))
    return [clean, *(numbers for numbers in groups.values() if len(numbers) >= _LEAST_ALIKE)]


def calibrated(found: Tensor, wanted: Tensor, groups: list[list[int]]) -> tuple[float, float]:
    """(factor, offset) that take the median of a film's tiles to its level.

    What is guessed of one tile leans towards the mean of all, by as much as tiles differ; the median of many need not.
    """
    medians = np.array([float(found[numbers].median()) for numbers in groups])
    levels = np.array([float(wanted[numbers].mean()) for numbers in groups])
    factor, offset = np.polyfit(medians, levels, 1, w=np.sqrt([len(numbers) for numbers in groups]))
    left = levels - (factor * medians + offset)
    print(f"{len(groups)} groups of pairs treated alike: level = {factor:.2f} · median {offset:+.2f}, mean error {np.abs(left).mean():.3f}")
    return float(factor), float(offset)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    torch.manual_seed(0)
    shards = Shards(given.data, "train")
    x, y = known(shards)
    held, wanted = known(Shards(given.data, "validation"))
    mean, deviation = x.mean(0), x.std(0) + 1e-4
    x, held = (x - mean) / deviation, (held - mean) / deviation
    network = nn.Sequential(nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    for _ in range(_STEPS):
        chosen = torch.randint(len(x), (_BATCH,))
        loss = F.smooth_l1_loss(network(x[chosen] + _NOISE * torch.randn(_BATCH, x.shape[1]))[:, 0], y[chosen], beta=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        found = network(held)[:, 0].clamp(0, 1)
    print(
        f"mean error {(found - wanted).abs().mean():.3f} on {len(wanted)} held-out pairs; of a constant {(wanted - wanted.mean()).abs().mean():.3f}"
    )
    with torch.inference_mode():
        scale = calibrated(network(x)[:, 0].clamp(0, 1), y, grouped(shards))
    tensors = {"mean": mean, "deviation": deviation, "calibration": torch.tensor(scale)}
    for number, layer in enumerate(m for m in network if isinstance(m, nn.Linear)):
        tensors |= {f"{number}.weight": layer.weight.detach(), f"{number}.bias": layer.bias.detach()}
    save_file({name: tensor.numpy() for name, tensor in tensors.items()}, given.output)


if __name__ == "__main__":
    main()
