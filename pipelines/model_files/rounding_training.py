"""`train_rounding`: trains weights for 8-bit integers until they do what the network does in fp32.

No ground truth: the network itself is the teacher (Hinton et al. 2015, arXiv:1503.02531), so any frames will
do. Its own weights are unchanged; the trained ones exist only as integers.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.rounding_in_loop import rounded_chain
from models.layers.unit_rounding import layers_from_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.architectures.compact import Compact

__all__ = ["train_rounding"]


_BATCH = 4
_SIDE = 48
"""Side of the parts of frames that are trained on, in chroma samples."""
_RATE, _UNIT_RATE = 1e-4, 1e-3
"""Highest learning rates, of weights and of the logarithm of units."""
_WARM_UP = 20
_CELLS = 6
"""Sides of black and white cells are up to so many pixels."""


def train_rounding(
    network: Compact, codes: Tensor, ranges: tuple[Tensor, Tensor], units: Mapping[str, Tensor], *, steps: int
) -> dict[str, Tensor]:
    """Return the layers that `models.layers.int8.read_layers` reads.

    codes: (B,6,H,W), limited range; ranges: their offset and span, (6,). units: of activations, at first.
    In every other step, one part in four is a random black and white pattern, so that edges keep room.
    """
    generator = torch.Generator().manual_seed(0)
    offsets, spans = (x[:, None, None].clone() for x in ranges)
    student = copy.deepcopy(network).train()
    hidden = {name: nn.Parameter(unit.clone().log()) for name, unit in units.items()}
    groups = [
        {"params": list(student.parameters()), "highest": _RATE},
        {"params": list(hidden.values()), "highest": _UNIT_RATE},
    ]
    optimizer = torch.optim.Adam(groups, lr=_RATE, betas=(0.9, 0.99))
    layers = cast("list[nn.Conv2d]", [student.head, *student.body, student.tail])
    for step in range(steps):
        share = min(1, (step + 1) / _WARM_UP) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = group["highest"] * share
        parts = [_part(codes, generator) for _ in range(_BATCH)]
        if step % 2 == 0:
            parts[-1] = _pattern(parts[0].shape[-1], generator)
        x = (torch.cat(parts) - offsets) / spans
        with torch.no_grad():
            wanted = network.trunk(x)
        made = rounded_chain(layers, [unit.exp() for unit in hidden.values()], 1 / spans.flatten(), x)
        loss = (made - wanted).square().mean() * float(spans.max()) ** 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return layers_from_units(
        student.integer_layers, {name: unit.detach().exp() for name, unit in hidden.items()}
    )


def _part(codes: Tensor, generator: torch.Generator) -> Tensor:
    """(1,6,S,S): a part of one frame, both at random."""
    rows, columns = (max(1, side - _SIDE + 1) for side in codes.shape[-2:])
    frame, top, left = (int(torch.randint(n, (), generator=generator)) for n in (len(codes), rows, columns))
    return codes[frame : frame + 1, :, top : top + _SIDE, left : left + _SIDE]


def _pattern(side: int, generator: torch.Generator) -> Tensor:
    """(1,6,side,side) packed codes of cells at random, or of a grid, of two random greys."""
    cell = int(torch.randint(1, _CELLS + 1, (), generator=generator))
    count = 2 * side // cell + 1
    if torch.rand((), generator=generator) < 0.5:
        cells = (torch.rand(count, count, generator=generator) < 0.5).float()
    else:
        odd = torch.arange(count) % 2
        cells = (odd[:, None] | odd[None]).float()
    luma = cells.repeat_interleave(cell, 0).repeat_interleave(cell, 1)[: 2 * side, : 2 * side]
    dark, bright = 60 * torch.rand(2, generator=generator)
    luma = (16 + dark + (219 - dark - bright) * luma).round()
    chroma = torch.full((1, 2, side, side), 128.0)
    return torch.cat([F.pixel_unshuffle(luma[None, None], 2), chroma], 1)
