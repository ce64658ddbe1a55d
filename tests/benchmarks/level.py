"""Trains and evaluates the estimator of the restoration level.

`python -m tests.benchmarks.level PICTURES... VIDEOS...`. Short clips are taken from moving images and from
videos; some are first made soft, dark or flat, which is not degradation. Then they are degraded as in
`configs/dataset/real.toml`: with x264 once, twice, or after noise. Statistics of two of the frames are the
input, the level measured against the undegraded clip is the target. Prints the error on held-out sources.
Networks are trained to estimate too low rather than too high: the loss is that of a quantile.
"""

from __future__ import annotations

import argparse
import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from models.errors import MediaError
from pipelines.datasets.damage import level_of_damage, measure_damage
from pipelines.datasets.degradation import Degradation, DegradationStep, DegradeSettings, draw_degradation
from pipelines.datasets.degrading import degrade
from pipelines.frames.film_frames import frames_at
from pipelines.frames.level_estimator import WEIGHTS, pair_statistics, rounded, tiles_of_frame
from pipelines.frames.sample_values import SampleValues, from_values, to_values
from pipelines.frames.video_reader import VideoReader
from pipelines.media.file_types import find_inputs
from pipelines.probe.probe import probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FRAMES, _SIDE_PX = 8, 256
_LOOKED_AT = (4, 7)
_STEPS, _BATCH, _NOISE, _QUANTILE, _NETWORKS = 1000, 128, 0.5, 0.25, 3
_CONFIG = Path(__file__).parents[2] / "configs" / "dataset" / "real.toml"


def _moving(picture: SampleValues, factor: int, rng: np.random.Generator) -> SampleValues | None:
    """A picture as a clip: a window over it that moves by whole pixels."""
    move = int(rng.choice([0, 1, 2, 3, 6])) * 2
    steps = [int(n) * 2 for n in rng.integers(-move // 2, move // 2 + 1, 2)]
    reach = [abs(step) * (_FRAMES - 1) for step in steps]
    size = [
        min(_SIDE_PX * factor, (side - far) // (16 * factor) * 16 * factor)
        for side, far in zip(picture.luma.shape[1:], reach, strict=True)
    ]
    if min(size) < 128 * factor:
        return None
    room = [side - far - n for side, far, n in zip(picture.luma.shape[1:], reach, size, strict=True)]
    corner = [
        int(rng.integers(n // 2 + 1)) * 2 + (far if step < 0 else 0)
        for n, far, step in zip(room, reach, steps, strict=True)
    ]
    parts = [
        picture.crop(corner[0] + steps[0] * n, corner[1] + steps[1] * n, size[0], size[1])
        for n in range(_FRAMES)
    ]
    return SampleValues(
        np.concatenate([p.luma for p in parts]), np.concatenate([p.chroma for p in parts]), picture.bits
    )


def _stretch(reader: VideoReader, factor: int, rng: np.random.Generator) -> SampleValues | None:
    """Some frames of a part of a video."""
    count = reader.info.frame_count
    size = [
        min(_SIDE_PX * factor, side // (16 * factor) * 16 * factor) for side in (reader.height, reader.width)
    ]
    if count < _FRAMES or min(size) < 128 * factor:
        return None
    first = int(rng.integers(count - _FRAMES + 1))
    top, left = (
        int(rng.integers((side - n) // 2 + 1)) * 2
        for side, n in zip((reader.height, reader.width), size, strict=True)
    )
    parts = [
        reader.codes(f).crop(top, left, size[0], size[1])
        for _, f in frames_at(reader.info, [(first, first + _FRAMES)])
    ]
    return SampleValues(
        np.concatenate([p.luma for p in parts]), np.concatenate([p.chroma for p in parts]), reader.bits
    )


def untreated(path: Path, kernels: Sequence[str], rng: np.random.Generator) -> SampleValues | None:
    """A clip at level 0, as small as a source; None where the file is too small for one."""
    reader = VideoReader(probe(path))
    factor = int(rng.choice([1, 2], p=[0.35, 0.65]))
    if reader.info.is_picture:
        clip = _moving(reader.codes(next(reader.frames())), factor, rng)
    else:
        clip = _stretch(reader, factor, rng)
    if clip is None:
        return None
    if rng.random() < 0.35:
        clip = degrade(
            clip, Degradation((DegradationStep(blur_sigma_px=float(rng.uniform(0.4, 2.2))),)), scale=1
        )
    if factor == 2:
        clip = degrade(clip, Degradation((DegradationStep(kernel=str(rng.choice(kernels))),)), scale=2)
    if rng.random() < 0.3:
        luma, chroma = to_values(clip)
        gain, black, gamma = (
            float(rng.uniform(0.15, 0.8)),
            float(rng.uniform(0, 0.15)),
            float(rng.choice([1, 1, 1.5, 2.2])),
        )
        clip = from_values((luma.clamp(0, 1) ** gamma * gain + black * (1 - gain), chroma * gain), clip.bits)
    return clip


def treatments(settings: DegradeSettings, rng: np.random.Generator) -> Iterator[Degradation]:
    """What is done to a clip, each on its own."""
    yield draw_degradation(settings, rng)

    def h264(least: int, most: int) -> DegradationStep:
        return DegradationStep(
            codec="h264", quality=int(rng.integers(least, most)), preset=int(rng.integers(4))
        )

    yield Degradation((h264(12, 38),))
    if rng.random() < 0.25:
        yield Degradation((h264(34, 50),))
    if rng.random() < 0.4:
        yield Degradation((h264(24, 38), h264(10, 24)))
    if rng.random() < 0.25:
        kind = str(rng.choice(["sensor_codes", "noise_codes", "grain_codes"]))
        noisy = replace(h264(14, 26), **{kind: float(rng.uniform(0.5, 10))})  # type: ignore[arg-type]
        yield Degradation((noisy,), int(rng.integers(1 << 30)))


def known(paths: Sequence[Path], count: int, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """(N,174) statistics, (N,) levels and which fifth of the sources each is from, of `count` clips."""
    given = tomllib.loads(_CONFIG.read_text(encoding="utf-8"))["degrade"]
    drawn = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()} | {
        "clean": 0.0,
        "two_stage": 0.0,
    }
    settings, rng = DegradeSettings(**drawn), np.random.default_rng(seed)
    rows, levels, folds = [], [], []
    while count:
        path = paths[rng.integers(len(paths))]
        try:
            clip = untreated(path, settings.kernels, rng)
            made = [] if clip is None else [(clip, 0.0)]
            for treatment in treatments(settings, rng) if clip is not None else ():
                low = degrade(clip, treatment, scale=1)
                made.append((low, level_of_damage(measure_damage(low, clip))))
        except MediaError as error:
            print(f"{path}: {error}")
            continue
        for low, level in made:
            tiles = [
                t / (1 << (low.bits - 8)) for n in _LOOKED_AT for t in tiles_of_frame(low.luma[n], low.bits)
            ]
            if tiles:
                rows.append(pair_statistics(tiles))
                levels.append(level)
                folds.append(int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % 5)
        count -= bool(made)
    return torch.tensor(np.stack(rows), dtype=torch.float32), torch.tensor(levels), np.array(folds)


def trained(x: Tensor, y: Tensor, seed: int) -> nn.Sequential:
    """A network from standardised statistics to levels."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(x.shape[1], 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=_STEPS)
    for _ in range(_STEPS):
        chosen = torch.randint(len(x), (_BATCH,))
        found = network(x[chosen] + _NOISE * torch.randn(_BATCH, x.shape[1]))[:, 0]
        weight = torch.where(found > y[chosen], 1 - _QUANTILE, _QUANTILE) * 2
        loss = (F.smooth_l1_loss(found, y[chosen], beta=0.05, reduction="none") * weight).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval()


def estimated(networks: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Levels, the mean of what the networks say."""
    with torch.inference_mode():
        return torch.stack([network(x)[:, 0].clamp(0, 1) for network in networks]).mean(0)


def write(path: Path, networks: Sequence[nn.Sequential], mean: Tensor, deviation: Tensor) -> None:
    """The weights, as multiples of what sums are exact with."""
    tensors = {"mean": mean.numpy(), "deviation": deviation.numpy()}
    layers = [[m for m in network if isinstance(m, nn.Linear)] for network in networks]
    for number in range(len(layers[0])):
        tensors[f"{number}.weight"] = np.stack(
            [rounded(own[number].weight.detach().numpy()) for own in layers]
        ).astype(np.float32)
        tensors[f"{number}.bias"] = np.stack(
            [rounded(own[number].bias.detach().numpy()) for own in layers]
        ).astype(np.float32)
    save_file(tensors, path)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sources", type=Path, nargs="+", help="Folders and files; none that anything is judged by."
    )
    parser.add_argument("--clips", type=int, default=760)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    x, y, folds = known(find_inputs(given.sources), given.clips, given.seed)
    mean, deviation = x.mean(0), x.std(0) + 1e-3
    x = ((x - mean) / deviation).clamp(-4, 4)
    held = torch.from_numpy(folds == 0)
    error = estimated([trained(x[~held], y[~held], seed) for seed in range(_NETWORKS)], x[held]) - y[held]
    clean = error[y[held] == 0]
    print(
        f"held-out sources: mean error {error.abs().mean():.3f}, too high by {error.mean():+.3f}; clean ones at {clean.mean():.3f}"
    )
    write(given.output, [trained(x, y, seed) for seed in range(_NETWORKS)], mean, deviation)


if __name__ == "__main__":
    main()
