"""Measures convolutions and whole networks alone: `python -m tests.benchmarks.rates` prints JSON.

It has to run with the environment of a worker, in which the allocator keeps its pages;
`tests.benchmarks.bars` does so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.layers.convolution import convolve, pack_weights
from pipelines.inference.device import choose_device, low_precision
from pipelines.inference.upscaler import Upscaler

MAPS = [(135, 240), (180, 320), (270, 480), (540, 960)]
"""Sizes of the maps whose best rate counts."""


def seconds(call: Callable[[], object], repeats: int, *, cuda: bool = False) -> float:
    """Median time of the calls after the first two."""
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        call()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def convolution_tflops(
    width: int, device: torch.device, repeats: int = 9, maps: list[tuple[int, int]] | None = None
) -> float:
    """Best rate of 3x3 convolutions with ReLU between so many channels."""
    dtype, best = low_precision(device), 0.0
    layer = nn.Conv2d(width, width, 3, padding=1, device=device).to(memory_format=torch.channels_last)
    pack_weights(layer, dtype)
    with (
        torch.inference_mode(),
        torch.autocast(
            device.type, dtype if dtype != torch.float32 else torch.bfloat16, enabled=dtype != torch.float32
        ),
    ):
        for rows, columns in maps or MAPS:
            x = torch.randn(1, width, rows, columns, device=device, dtype=dtype).contiguous(
                memory_format=torch.channels_last
            )
            spent = seconds(lambda x=x: convolve(layer, x, relu=True), repeats, cuda=device.type == "cuda")  # type: ignore[misc]
            best = max(best, 2 * 9 * width * width * rows * columns / spent / 1e12)
    return best


def srvgg_weights(path: Path, *, scale: int = 2, width: int = 64, depth: int = 16) -> Path:
    """A checkpoint of the size of Real-ESRGAN's video network (SRVGGNetCompact 64x16), with random weights
    that keep the picture.
    """
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(1)
    state: dict[str, torch.Tensor] = {}
    channels = [3, *[width] * (depth + 1), 3 * scale * scale]
    for place, (into, out) in enumerate(zip(channels, channels[1:], strict=False)):
        last = place == depth + 1
        std = 0.002 if last else (2 / (9 * into)) ** 0.5
        state[f"body.{2 * place}.weight"] = torch.randn(out, into, 3, 3, generator=generator) * std
        state[f"body.{2 * place}.bias"] = torch.zeros(out)
        if not last:
            state[f"body.{2 * place + 1}.weight"] = torch.full((out,), 0.1)
    save_file(state, path)
    return path


def network_seconds(model: str, size: tuple[int, int], scale: int, repeats: int) -> tuple[float, float]:
    """(seconds a frame, GFLOP a frame) of a network alone, planes to planes, on pictures that differ."""
    from models.catalog.lookup import find_cards
    from pipelines.media.video_info import Frame
    from tests.pipelines.inference.test_upscaler import plan_of

    card = next(c for c in find_cards(model) if c.scale == scale)
    plan = plan_of(card, *size, scale, tile=(544, 960) if card.pixels == "yuv420" else (544, 1280))
    device = choose_device("auto")
    upscaler = Upscaler(plan, device)
    rng = np.random.default_rng(0)
    shapes = [(size[1], size[0]), *[(size[1] // 2, size[0] // 2)] * 2]
    frames = [Frame(n, [rng.integers(16, 235, s).astype(np.uint8) for s in shapes]) for n in range(2)]
    turn = iter(range(1 << 30))
    spent = seconds(lambda: upscaler([frames[next(turn) % 2]]), repeats, cuda=device.type == "cuda")
    return spent, card.gflop_per_megapixel * size[0] * size[1] / 1e6


def main() -> None:
    """Print the requested figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="*", default=[32, 64])
    parser.add_argument("--network", action="append", default=[], metavar="MODEL:WxH:SCALE")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="Maps of a few samples, to try it out.")
    given = parser.parse_args()
    device = choose_device("auto")
    maps = [(24, 32)] if given.small else None
    found: dict[str, object] = {
        f"conv{w}": convolution_tflops(w, device, given.repeats, maps) for w in given.widths
    }
    for text in given.network:
        model, size, scale = text.rsplit(":", 2)
        width, height = map(int, size.split("x"))
        found[text] = network_seconds(model, (width, height), int(scale), given.repeats)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
