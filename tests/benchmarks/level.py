"""Train and judge what estimates the restoration level: `python -m tests.benchmarks.level DATASET... --films FILM...`.

The pairs are those of `configs/dataset/real.toml`; statistics of the small clip go in, its level should come out. Told is the mean absolute
error on held-out pairs, one tile each; a film has some hundred.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pipelines.frames.samples import Codes
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.datasets.damage import level_of_damage, measure_damage
from pipelines.datasets.degradation import Degradation, Stage, degrade
from pipelines.datasets.shards import Shards
from pipelines.frames.video_reader import Footage
from pipelines.probe.probe import probe
from pipelines.probe.restoration_level import TILE_PX, WEIGHTS, statistics, tiles_of_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS, _BATCH, _NOISE = 3000, 128, 0.05


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


def medians_of(film: Path, network: nn.Module, mean: Tensor, deviation: Tensor) -> Iterator[tuple[float, float]]:
    """(median of the tiles of a few frames, measured level) of a film that is halved, and as it is and encoded at several CRFs."""
    footage = Footage(probe(film))
    height, width, count = footage.height // 4 * 4, footage.width // 4 * 4, footage.info.frame_count
    first = count * 2 // 5
    frames = [footage.codes(f).crop(0, 0, height, width) for _, f in footage.frames_at([(first, min(first + 5, count))])]
    truth = Codes(np.concatenate([f.luma for f in frames]), np.concatenate([f.chroma for f in frames]), footage.bits)
    clean = degrade(truth, Degradation(), scale=2)
    for crf in (0, 18, 24, 30, 34):
        low = degrade(clean, Degradation((Stage(codec="h264", quality=crf, preset=1),)), scale=1) if crf else clean
        rows = [statistics(tile) for luma in low.luma[3:] for tile in tiles_of_frame(luma.astype(np.float64) / (1 << (low.bits - 8)))]
        if rows:
            x = (torch.tensor(np.stack(rows), dtype=torch.float32) - mean) / deviation
            yield float(network(x)[:, 0].clamp(0, 1).median()), level_of_damage(measure_damage(low, clean))


def calibrated(films: list[Path], network: nn.Module, mean: Tensor, deviation: Tensor) -> tuple[float, float]:
    """(factor, offset) that take the median of a film's tiles to its level: what is guessed of a tile leans towards the mean of all tiles."""
    with torch.inference_mode():
        found = np.array([pair for film in films for pair in medians_of(film, network, mean, deviation)])
    factor, offset = np.polyfit(found[:, 0], found[:, 1], 1)
    left = np.abs(found[:, 1] - factor * found[:, 0] - offset).mean()
    print(f"{len(films)} films at five qualities: level = {factor:.2f} · median {offset:+.2f}, mean error {left:.3f}")
    return float(factor), float(offset)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--films", type=Path, nargs="+", required=True, help="Films to calibrate on; none that anything is judged by.")
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
    scale = calibrated(given.films, network, mean, deviation)
    tensors = {"mean": mean, "deviation": deviation, "calibration": torch.tensor(scale)}
    for number, layer in enumerate(m for m in network if isinstance(m, nn.Linear)):
        tensors |= {f"{number}.weight": layer.weight.detach(), f"{number}.bias": layer.bias.detach()}
    save_file({name: tensor.numpy() for name, tensor in tensors.items()}, given.output)


if __name__ == "__main__":
    main()
