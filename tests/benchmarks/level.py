"""Train and judge what estimates the restoration level: `python -m tests.benchmarks.level DATASET... [-o WEIGHTS]`.

The pairs are those of `configs/dataset/real.toml`; the small clip goes in, its level should come out. Told are the mean absolute error on
held-out pairs, and what crops of one kind of damage get on average.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.datasets.shards import Shards
from pipelines.probe.restoration_level import TILE_PX, WEIGHT_STEP, WEIGHTS


class Estimator(nn.Module):
    """The network of `pipelines.probe.restoration_level` with gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(32, 24, 3, padding=1), nn.Conv2d(24, 32, 3, padding=1, stride=2)])
        self.hidden, self.level = nn.Linear(32, 32), nn.Linear(32, 1)
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("blur", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B,1,H,W) codes -> (B,) level."""
        detail = x - F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.blur)  # type: ignore[arg-type]
        x = torch.cat([F.pixel_unshuffle((detail / by).clamp(-4, 4), 4) for by in (2, 16)], 1)
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.level(F.relu(self.hidden((x.float().mean((2, 3)) + 1e-6).sqrt())))[:, 0]  # type: ignore[no-any-return]

    def integers(self) -> dict[str, np.ndarray]:
        """Weights as multiples of the step."""
        found = {}
        for name, tensor in self.state_dict().items():
            found[name.removeprefix("layers.")] = np.round(tensor.numpy() / WEIGHT_STEP).astype(np.int32)
        return found


def pairs_of(shards: Shards) -> tuple[Tensor, Tensor]:
    """(N,1,H,W) codes and (N,) levels."""
    tiles, levels = [], []
    for number in range(len(shards)):
        pair = shards[number]
        luma = pair.low.luma[-1, :TILE_PX, :TILE_PX] >> (pair.low.bits - 8)
        tiles.append(torch.from_numpy(luma.astype(np.uint8).copy()))
        levels.append(float(pair.record["level"]))
    return torch.stack(tiles)[:, None], torch.tensor(levels)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    torch.manual_seed(0)
    tiles, levels = pairs_of(Shards(given.data, "train"))
    held, wanted = pairs_of(Shards(given.data, "validation"))
    network = Estimator()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-5)
    steps = given.epochs * len(tiles) // 32
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        chosen = torch.randint(len(tiles), (32,))
        x = tiles[chosen].float()
        if step % 2:
            x = x.flip(2)
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.smooth_l1_loss(network(x).float(), levels[chosen], beta=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if (step + 1) % (steps // 10) == 0:
            with torch.inference_mode():
                found = torch.cat([network(h.float()) for h in held.split(32)]).clamp(0, 1)
            errors = [float(e.abs().mean()) for e in (found - wanted, wanted - wanted.mean())]
            print(f"step {step + 1} of {steps}: mean error {errors[0]:.3f}, of a constant {errors[1]:.3f}", flush=True)
    save_file(network.integers(), given.output)


if __name__ == "__main__":
    main()
