"""A small network of ours with layers on 8-bit integers, as a file with its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from models.architectures.compact import Compact
from models.catalog.lookup import find_cards
from pipelines.frames.sample_values import SampleValues
from pipelines.model_files.card_writer import NetworkFacts, export
from pipelines.model_files.quantization import add_integers, quantize

if TYPE_CHECKING:
    from pathlib import Path

    from models.catalog.card import Card


def pictures(count: int = 4, side: int = 64) -> list[SampleValues]:
    """Waves with edges, each another."""
    y, x = np.mgrid[0:side, 0:side] / side
    made = []
    for number in range(count):
        rng = np.random.default_rng(number)
        waves = (
            0.5
            + 0.25 * np.sin(2 * np.pi * (rng.uniform(1, 6) * x + rng.uniform(1, 6) * y))
            + 0.2 * (x + rng.random() > y + 0.5)
        )
        luma = (16 + 219 * waves.clip(0, 1)).astype(np.uint8)
        chroma = np.stack([128 + 60 * (waves - 0.5), 128 - 40 * (waves - 0.5)])[:, ::2, ::2].astype(np.uint8)
        made.append(SampleValues(luma[None], chroma[None], 8))
    return made


def network(scale: int = 2, depth: int = 2) -> Compact:
    """With weights of no use, but with some of each kind."""
    torch.manual_seed(0)
    made = Compact(scale=scale, width=32, depth=depth)
    with torch.no_grad():
        for layer in [made.head, *made.body, made.tail]:
            layer.weight.add_((0.005 if layer is made.tail else 0.05) * torch.randn_like(layer.weight))  # type: ignore[operator, arg-type]
            layer.bias.normal_(0, 0.02)  # type: ignore[operator, union-attr]
    return made.eval()


def card_with_integers(folder: Path, scale: int = 2) -> Card:
    """Made, quantized and found again."""
    made = network(scale)
    weights = export(
        made.state_dict(),
        NetworkFacts("compact", {"width": 32, "depth": 2}, scale),
        folder=folder,
        name=f"small-x{scale}",
    )
    add_integers(weights, quantize(made, pictures()), {"cost_db": 0.01})
    return find_cards(str(weights))[0]
