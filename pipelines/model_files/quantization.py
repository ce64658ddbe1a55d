"""`quantize`: converts a plain network to 8-bit integers, using activations for given frames.

No training. Each activation channel gets the unit in which its 99.995 % point is 255. Weights are rounded one
input at a time, and the effect of each rounding is compensated by the remaining inputs (Frantar et al. 2022,
arXiv:2210.17323, there for language models). Before that, each layer is fitted to the float network's sums on
the rounded inputs it will get, so errors do not add up.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as F

from models.architectures.compact import Compact
from models.catalog.card import sha256_of
from models.errors import UsageError
from models.layers.int8 import INTEGERS
from models.layers.yuv_residual import CHANNELS
from pipelines.frames.sample_values import from_values, to_values
from pipelines.frames.video_reader import Footage
from pipelines.media.cicp import code_values
from pipelines.media.file_types import find_inputs
from pipelines.model_files.card_writer import to_toml
from pipelines.probe.probe import probe
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from pipelines.frames.sample_values import SampleValues

__all__ = [
    "add_integers",
    "as_full",
    "calibration_frames",
    "code_ranges",
    "fitted_layer",
    "packed_codes",
    "quantize",
]


_SHARES = [1 - 0.05 * step for step in range(14)]
"""Shares of the highest activation that are tried as the value of 255."""
_COUNTED = 60_000
"""Activations per channel that are used for that."""
_FRAMES = 32
"""Most frames that layers are fitted on."""
_SIDE_PX = 256
"""Side of the part of a frame that is used, from its middle."""
_PLACES = 1500
"""Positions per frame that layers are fitted on."""
_DAMPING = 1e-4
"""Relative to the mean square of inputs, added to all, so that rarely active inputs keep their weights."""
_HIGHEST = 127


def quantize(network: nn.Module, frames: Sequence[SampleValues], *, seed: int = 0) -> dict[str, Tensor]:
    """The integer layers of a `Compact`, as read by `models.layers.int8.read_layers`.

    Keys: `head.limited`, `head.full`, `body.N`, `tail`. frames: 8-bit, one each, of one size, like the
    network's input. The first layer takes sample values: its weights include their offset and span, which
    depend on the range. Raises UsageError for another network.
    """
    if not isinstance(network, Compact):
        raise UsageError("int8 is for plain networks of the architecture compact")
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}

    def keep(name: str, layer: dict[str, Tensor]) -> None:
        found.update({f"{name}.{part}": tensor for part, tensor in layer.items()})

    with torch.inference_mode():
        codes = torch.cat([packed_codes(frame) for frame in frames])
        head, shape = network.head, (-1, 1, 1)
        assert head.bias is not None
        unit: Tensor | None = None
        for kind, full in (("limited", False), ("full", True)):
            offsets, spans = (x.reshape(shape) for x in code_ranges(full=full))
            given = as_full(codes) if full else codes
            sums = head((given - offsets) / spans)
            unit = _units(sums.relu()) if unit is None else unit
            given = F.pad(given - offsets, (1, 1, 1, 1)) + offsets
            weight = head.weight / spans
            made = fitted_layer(
                weight, head.bias - (weight * offsets).sum((1, 2, 3)), given, sums, unit, generator
            )
            keep(f"head.{kind}", made)
            if not full:
                precise, seen = sums.relu(), _run(made, given)
        assert unit is not None
        for number, layer in enumerate(network.body):
            assert isinstance(layer, torch.nn.Conv2d)
            sums = layer(precise)
            precise, unit, before = sums.relu(), _units(sums.relu()), unit
            made = fitted_layer(
                layer.weight * before.reshape(shape),
                cast("Tensor", layer.bias),
                F.pad(seen, (1, 1, 1, 1)),
                sums,
                unit,
                generator,
            )
            keep(f"body.{number}", made)
            seen = _run(made, F.pad(seen, (1, 1, 1, 1)))
        tail = network.tail
        assert tail.bias is not None
        one = torch.ones(tail.out_channels)
        keep(
            "tail",
            fitted_layer(
                tail.weight * unit.reshape(shape),
                tail.bias,
                F.pad(seen, (1, 1, 1, 1)),
                tail(precise),
                one,
                generator,
            ),
        )
    return found


def code_ranges(*, full: bool) -> tuple[Tensor, Tensor]:
    """(6,) offset and span of the packed channels' sample values."""
    pairs = [code_values(8, full, chroma=channel >= 4) for channel in range(CHANNELS)]
    offsets, spans = (torch.tensor(values) for values in zip(*pairs, strict=True))
    return offsets, spans


def packed_codes(frame: SampleValues) -> Tensor:
    """(1,6,H/2,W/2) float."""
    luma, chroma = (
        torch.from_numpy(np.ascontiguousarray(p)).float() for p in (frame.luma[:, None], frame.chroma)
    )
    return torch.cat([F.pixel_unshuffle(luma, 2), chroma], 1)[:1]


def as_full(codes: Tensor) -> Tensor:
    """The same frames in full range."""
    offsets, spans = code_ranges(full=False)
    to_offsets, to_spans = code_ranges(full=True)
    values = (codes - offsets[:, None, None]) / spans[:, None, None]
    return (values * to_spans[:, None, None] + to_offsets[:, None, None]).round().clamp(0, 255)


def _units(activations: Tensor) -> Tensor:
    """(C,) units of non-negative activations (B,C,H,W).

    Those with the least square error of rounding and clipping together.
    """
    flat = activations.transpose(0, 1).flatten(1)
    flat = flat[:, :: max(1, flat.shape[1] // _COUNTED)]
    highest = activations.amax((0, 2, 3))
    # Channels that hardly ever speak get a unit that hides them no less than others.
    highest = highest.clamp_min(float(highest.median()) / 16).clamp_min(1e-6) / 255
    best, least = highest, torch.full_like(highest, torch.inf)
    for share in _SHARES:
        unit = (highest * share)[:, None]
        error = ((flat / unit).round_().clamp_max_(255).mul_(unit) - flat).square_().mean(1)
        best, least = torch.where(error < least, unit[:, 0], best), torch.minimum(error, least)
    return best


def fitted_layer(
    weight: Tensor, bias: Tensor, seen: Tensor, sums: Tensor, unit: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """One layer: integer weights for its inputs, so that it gives `sums` in multiples of `unit`.

    weight: (O,I,3,3) for `seen`, (B,I,H+2,W+2). sums: (B,O,H,W) of the float network.
    """
    inputs, targets = _sampled(seen, sums, generator)
    start = torch.cat([weight.flatten(1), bias[:, None]], 1).double()
    inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], 1).double()
    squares = inputs.T @ inputs / len(inputs)
    damped = squares + torch.diag_embed(
        _DAMPING * squares.diagonal().mean() * torch.ones(len(squares), dtype=torch.float64)
    )
    rest = targets.double() - inputs @ start.T
    fitted = start + torch.linalg.solve(damped, inputs.T @ rest / len(inputs)).T
    fitted = fitted / unit.double()[:, None]
    scale = (fitted[:, :-1].abs().amax(1) / _HIGHEST).clamp_min(1e-12).float()
    whole, bias = _rounded(fitted, scale.double(), damped)
    return {"weight": whole.reshape(weight.shape).to(torch.int8), "scale": scale, "bias": bias.float()}


def _sampled(seen: Tensor, sums: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(N,I·9) and (N,O) at random positions."""
    height, width = sums.shape[-2:]
    inputs, targets = [], []
    for frame, made in zip(seen, sums, strict=True):
        place = torch.randint(height * width, (_PLACES,), generator=generator)
        rows, columns = place // width, place % width
        steps = torch.arange(3)
        patch = frame[:, (rows[:, None] + steps)[:, :, None], (columns[:, None] + steps)[:, None, :]]
        inputs.append(patch.transpose(0, 1).flatten(1))
        targets.append(made[:, rows, columns].T)
    return torch.cat(inputs), torch.cat(targets)


def _rounded(weights: Tensor, scale: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """Integer weights (O,N) and the bias (O,) for (O,N+1) weights.

    The last one is the bias, which is not rounded and compensates the rest.
    """
    weights = weights.clone()
    count = weights.shape[1] - 1
    order = [*squares.diagonal()[:count].argsort(descending=True).tolist(), count]
    weights, squares = weights[:, order], squares[order][:, order]
    # Rows of the inverse of what is left, as one Cholesky factor has them all.
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(squares)), upper=True)
    whole = torch.zeros_like(weights)
    for place in range(count):
        whole[:, place] = (weights[:, place] / scale).round().clamp(-_HIGHEST, _HIGHEST)
        error = (weights[:, place] - whole[:, place] * scale) / inverse[place, place]
        weights[:, place + 1 :] -= error[:, None] * inverse[place, place + 1 :]
    back = torch.empty(count, dtype=torch.long)
    back[order[:-1]] = torch.arange(count)
    return whole[:, back], weights[:, -1]


def _run(layer: dict[str, Tensor], seen: Tensor) -> Tensor:
    """The output of `models.layers.int8.Int8Chain` for a layer other than the last, in float."""
    made = (
        F.conv2d(seen, layer["weight"].float()) * layer["scale"][:, None, None] + layer["bias"][:, None, None]
    )
    return made.relu_().round_().clamp_max_(255)


def calibration_frames(sources: Iterable[Path]) -> list[SampleValues]:
    """The middles of images and of a few frames of each video, evenly spread.

    Raises UsageError if none is large enough.
    """
    infos = [probe(path) for path in find_inputs(sources)]
    step = max(1, len(infos) // _FRAMES)
    frames: list[SampleValues] = []
    for info in infos[::step]:
        footage, count = Footage(info), info.frame_count
        if min(footage.width, footage.height) < _SIDE_PX:
            continue
        wanted = 1 if info.is_picture else max(1, min(count, _FRAMES // len(infos[::step])))
        places = [(n * count // wanted, n * count // wanted + 1) for n in range(wanted)]
        taken = (
            [next(footage.frames())] if info.is_picture else [frame for _, frame in footage.frames_at(places)]
        )
        for frame in taken:
            codes = footage.codes(frame)
            codes = codes if codes.bits == 8 else from_values(to_values(codes), 8)
            top, left = ((side - _SIDE_PX) // 4 * 2 for side in codes.luma.shape[1:])
            frames.append(codes.crop(top, left, _SIDE_PX, _SIDE_PX))
    if not frames:
        raise UsageError(
            f"{', '.join(map(str, sources))}: no picture and no video of {_SIDE_PX} pixels or more on either"
            " side"
        )
    return frames[:: max(1, len(frames) // _FRAMES)][:_FRAMES]


def add_integers(weights: Path, layers: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Put integer layers into one of our weights files, and facts about them on its card.

    Earlier ones are replaced; other tensors are unchanged. record: for the card's table `int8`: `cost_db`,
    and how it was measured. The card is written last: if that fails, its hash does not match, which is
    noticed.
    """
    tensors = {
        name: tensor for name, tensor in load(weights.read_bytes()).items() if not name.startswith(INTEGERS)
    }
    tensors |= {f"{INTEGERS}{name}": tensor.contiguous() for name, tensor in layers.items()}
    card = weights.with_suffix(".toml")
    table = tomllib.loads(card.read_text(encoding="utf-8"))
    write_atomically(weights, save(tensors))
    table |= {"sha256": sha256_of(weights), "int8": dict(record)}
    write_atomically(card, to_toml(table).encode(errors="replace"))
