"""`quantize`: converts a plain network to 8-bit integers, using activations for given frames.

The network is not trained again. Each activation channel gets a unit in which its highest value fits. Weights
are rounded one input at a time, and the effect of each rounding is compensated by the remaining inputs
(Frantar et al. 2022, arXiv:2210.17323, there for language models). Before that, each layer is fitted to the
float network's sums on its own rounded inputs. The noise of these inputs would attenuate the fit and soften
the frames, so the sums and the residual are scaled to the strength of the float network's.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as F

from models.architectures.compact import Compact
from models.architectures.restoring import Restoring
from models.catalog.card import sha256_of
from models.errors import UsageError
from models.layers.int8 import HIGHEST, INTEGERS
from models.layers.resampling import resample
from models.layers.yuv_residual import CHANNELS
from pipelines.frames.film_frames import frames_at
from pipelines.frames.sample_values import from_values, to_values
from pipelines.frames.video_reader import VideoReader
from pipelines.media.cicp import code_values
from pipelines.media.file_types import find_inputs
from pipelines.model_files.card_writer import to_toml
from pipelines.probe.probe import probe
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from models.network import LoadedNetwork
    from pipelines.frames.sample_values import SampleValues

_T = TypeVar("_T")

__all__ = [
    "add_integers",
    "calibration_frames",
    "code_ranges",
    "hidden_units",
    "packed_codes",
    "quantize",
    "with_integer_layers",
]


_USUAL, _EXTREME = 0.9, 0.42
"""Shares of the highest activation on the frames, and of that on black and white noise, that the integer
range covers at least. Rounding everywhere costs more than clipping a few."""
_FRAMES, _FRAME_PX = 640, 384
"""Most frames that ranges are found with, and their longest side."""
_PARTS, _PART_PX = 96, 128
"""Most frames that layers are rounded with, and the side of the part that is used, the sharpest one."""
_STEP_PX = 32
"""Distance of the parts that are compared."""
_PLACES = 1500
"""Positions per frame that layers are rounded with."""
_DAMPING = 1e-3
"""Relative to the mean square of inputs, added to all, so that rarely active inputs keep their weights."""


def quantize(network: nn.Module, frames: Sequence[SampleValues], *, seed: int = 0) -> dict[str, Tensor]:
    """Make the tensors that a network's file needs for 8-bit integers, next to its weights.

    For a `Compact`, its integer layers, as read by `models.layers.int8.read_layers`. For a `Restoring`, with
    weights that depend on the level, only activation units (`models.layers.unit_rounding`).

    frames: 8-bit, one each, of any sizes. Raises UsageError for other networks.
    """
    if isinstance(network, Restoring):
        codes = [packed_codes(frame) for frame in frames]
        return {
            f"{name}.{layer}": unit
            for name, (level, detail) in network.sets.items()
            for layer, unit in hidden_units(network.at(level, detail), codes).items()
        }
    if not isinstance(network, Compact):
        raise UsageError("int8 is for networks of the architectures compact and restoring")
    return _quantized(network, frames, seed)


def with_integer_layers(network: LoadedNetwork, found: Mapping[str, Tensor]) -> list[LoadedNetwork]:
    """Attach the result of `quantize` to a network; a `Restoring` gives one network per set of weights."""
    module = network.module
    if not isinstance(module, Restoring):
        return [replace(network, int8=found)]
    return [
        replace(
            network, module=module.at(level, detail).eval(), int8=module.integers_at(found, level, detail)
        )
        for level, detail in module.sets.values()
    ]


@torch.inference_mode()
def hidden_units(network: Compact, frames: Iterable[Tensor]) -> dict[str, Tensor]:
    """Activation units (C,) of each hidden layer, by name.

    frames: packed codes (B,6,H,W), limited range. 255 units are a share of the highest activation for
    these frames, or for black and white noise if that is higher: strong clipping at edges is visible,
    rounding is not.
    """
    extreme, usual = _highest(network, _extremes()), dict[str, Tensor]()
    for frame in frames:
        for name, highest in _highest(network, frame).items():
            usual[name] = torch.maximum(usual.get(name, highest), highest)
    found = {}
    for name, highest in usual.items():
        covered = torch.maximum(_USUAL * highest, _EXTREME * extreme[name])
        # Rarely active channels get units that are not much smaller than others.
        found[name] = covered.clamp_min(float(covered.median()) / 16).clamp_min(1e-6) / 255
    return found


def _highest(network: Compact, codes: Tensor) -> dict[str, Tensor]:
    """Highest activations (C,) of each hidden layer, by name."""
    offsets, spans = (x.reshape(-1, 1, 1) for x in code_ranges(full=False))
    seen, found = (codes - offsets) / spans, {}
    layers = network.integer_layers
    for name in ["head", *(name for name in layers if name.startswith("body"))]:
        seen = layers.get(name, network.head)(seen).relu_()
        found[name] = seen.amax((0, 2, 3))
    return found


def _extremes() -> Tensor:
    """Packed codes (8,6,H,W) with random black and white luma, or random saturated chroma."""
    generator, side = torch.Generator().manual_seed(0), _PART_PX // 2
    codes = torch.where(torch.rand(8, CHANNELS, side, side, generator=generator) < 0.5, 16.0, 235.0)
    codes[:4, 4:] = 128
    codes[4:, :4] = 126
    return codes


def _quantized(network: Compact, frames: Sequence[SampleValues], seed: int) -> dict[str, Tensor]:
    """Make the layers `head.limited`, `head.full`, `body.N` and `tail`.

    The first layer takes codes: its weights hold their offset and span, which differ by range.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}

    def keep(name: str, layer: dict[str, Tensor]) -> None:
        found.update({f"{name}.{part}": tensor for part, tensor in layer.items()})

    with torch.inference_mode():
        units = hidden_units(network, [packed_codes(frame) for frame in frames])
        codes = torch.cat([packed_codes(part) for part in _sharpest_parts(frames)])
        head, shape, unit = network.head, (-1, 1, 1), units["head"]
        for full in (True, False):
            offsets, spans = (x.reshape(shape) for x in code_ranges(full=full))
            values = F.pad((_as_full(codes) if full else codes) - offsets, (1, 1, 1, 1))
            seen, exact = values + offsets, F.conv2d(values / spans, head.weight, head.bias)
            weight = head.weight / spans
            bias = cast("Tensor", head.bias) - (weight * offsets).sum((1, 2, 3))
            made = _rounded_layer(weight, bias, seen, exact, unit, generator)
            keep("head.full" if full else "head.limited", made)
            seen = _run(made, seen)
        for name, layer in network.integer_layers.items():
            if name.startswith("head"):
                continue
            before, unit = unit, units.get(name, torch.ones(layer.out_channels))
            weight, seen = layer.weight * before.reshape(shape), F.pad(seen, (1, 1, 1, 1))
            exact = layer(exact.relu_())
            made = _rounded_layer(weight, cast("Tensor", layer.bias), seen, exact, unit, generator)
            if name == "tail":
                made = _of_equal_strength(made, seen, exact)
            keep(name, made)
            seen = _run(made, seen)
    return found


def _of_equal_strength(made: dict[str, Tensor], seen: Tensor, exact: Tensor) -> dict[str, Tensor]:
    """The last layer with a scale and bias per channel, so that no error is proportional to the residual.

    exact: (B,O,H,W), the float network's residual.
    """
    sums = F.conv2d(seen, made["weight"].float()) * made["scale"][:, None, None]
    sums, exact = (part.transpose(0, 1).flatten(1).double() for part in (sums, exact))
    around = exact - exact.mean(1, keepdim=True)
    strength = (sums * around).sum(1) / around.square().sum(1).clamp_min(1e-12)
    strength = strength.clamp(0.9, 1.1)
    bias = exact.mean(1) - sums.mean(1) / strength
    return {**made, "scale": (made["scale"] / strength).float(), "bias": bias.float()}


def code_ranges(*, full: bool) -> tuple[Tensor, Tensor]:
    """(6,) offset and span of the packed channels' sample values."""
    pairs = [code_values(8, full, chroma=channel >= 4) for channel in range(CHANNELS)]
    offsets, spans = (torch.tensor(values) for values in zip(*pairs, strict=True))
    return offsets, spans


def packed_codes(frame: SampleValues) -> Tensor:
    """Luma and chroma of a frame, packed: (1,6,H/2,W/2) float."""
    luma, chroma = (
        torch.from_numpy(np.ascontiguousarray(p)).float() for p in (frame.luma[:, None], frame.chroma)
    )
    return torch.cat([F.pixel_unshuffle(luma, 2), chroma], 1)[:1]


def _as_full(codes: Tensor) -> Tensor:
    """Convert sample values of limited range to full range."""
    offsets, spans = code_ranges(full=False)
    to_offsets, to_spans = code_ranges(full=True)
    values = (codes - offsets[:, None, None]) / spans[:, None, None]
    return (values * to_spans[:, None, None] + to_offsets[:, None, None]).round().clamp(0, 255)


def _rounded_layer(
    weight: Tensor, bias: Tensor, seen: Tensor, exact: Tensor, unit: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """One layer: weights for the codes it sees, so that it gives its sums in multiples of `unit`.

    weight: (O,I,3,3) for `seen`, (B,I,H+2,W+2). exact: (B,O,H,W), the float network's sums.
    """
    inputs, sums = _sampled(seen, exact, generator)
    inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], 1).double()
    squares = inputs.T @ inputs / len(inputs)
    damping = _DAMPING * squares.diagonal().mean()
    squares.diagonal().add_(damping)
    wanted = torch.cat([weight.flatten(1), bias[:, None]], 1).double() / unit.double()[:, None]
    wanted = _fitted(wanted, inputs, sums.double() / unit.double(), squares, damping)
    scale = (wanted[:, :-1].abs().amax(1) / HIGHEST).clamp_min(1e-12).float()
    whole, bias = _rounded(wanted, scale.double(), squares)
    return {"weight": whole.reshape(weight.shape).to(torch.int8), "scale": scale, "bias": bias.float()}


def _fitted(wanted: Tensor, inputs: Tensor, sums: Tensor, squares: Tensor, damping: Tensor) -> Tensor:
    """Weights (O,N+1) that undo what earlier layers' rounding did to these inputs, as far as they can.

    The damping keeps them near `wanted`. Least squares alone would make the sums weaker, as inputs have
    noise; so they are scaled to be as strong as the float network's where that is active.
    """
    target = sums.T @ inputs / len(inputs) + damping * wanted
    fitted: Tensor = torch.linalg.solve(squares, target.T).T
    found, active = inputs @ fitted.T, (sums > 0).double()
    count = active.sum(0).clamp_min(1)
    mean, found_mean = (active * sums).sum(0) / count, (active * found).sum(0) / count
    around = active * (sums - mean)
    strength = (around * found).sum(0) / around.square().sum(0).clamp_min(1e-9)
    strength = strength.clamp(0.9, 1.1)
    fitted = fitted / strength[:, None]
    fitted[:, -1] += mean - found_mean / strength
    return fitted


def _sampled(seen: Tensor, exact: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(N,I·9) of (B,I,H+2,W+2) around places taken at random, and (N,O) of (B,O,H,W) there."""
    height, width = (side - 2 for side in seen.shape[-2:])
    steps = torch.arange(3)
    inputs, sums = [], []
    for frame, wanted in zip(seen, exact, strict=True):
        place = torch.randint(height * width, (_PLACES,), generator=generator)
        rows, columns = place // width, place % width
        patch = frame[:, (rows[:, None] + steps)[:, :, None], (columns[:, None] + steps)[:, None, :]]
        inputs.append(patch.transpose(0, 1).flatten(1))
        sums.append(wanted[:, rows, columns].T)
    return torch.cat(inputs), torch.cat(sums)


def _rounded(weights: Tensor, scale: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """Integer weights (O,N) and the bias (O,) for (O,N+1) weights.

    The last one is the bias, which is not rounded and compensates the rest.
    """
    weights = weights.clone()
    count = weights.shape[1] - 1
    order = [*squares.diagonal()[:count].argsort(descending=True).tolist(), count]
    weights, squares = weights[:, order], squares[order][:, order]
    # Rows of the inverse for the remaining inputs; one Cholesky factor contains all of them.
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(squares)), upper=True)
    whole = torch.zeros_like(weights)
    for place in range(count):
        whole[:, place] = (weights[:, place] / scale).round().clamp(-HIGHEST, HIGHEST)
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


def calibration_frames(sources: Iterable[Path], scale: int) -> list[SampleValues]:
    """Images and a few frames of each video, evenly spread over all files.

    Frames are downscaled by the network's scale, which makes them as sharp as the sharpest inputs, so that
    edges fit into the range of integers and are not softened. Then large ones are cropped to their sharpest
    part. Raises UsageError if none is large enough.
    """
    infos = [probe(path) for path in _evenly(find_inputs(sources), _FRAMES)]
    frames: list[SampleValues] = []
    for info in infos:
        reader, count = VideoReader(info), info.frame_count
        if min(reader.width, reader.height) < _PART_PX * scale:
            continue
        wanted = 1 if info.is_picture else max(1, min(count, _FRAMES // len(infos)))
        places = [(n * count // wanted, n * count // wanted + 1) for n in range(wanted)]
        taken = [next(reader.frames())] if info.is_picture else [f for _, f in frames_at(info, places)]
        frames += [_sharpest_part(_shrunk(reader.codes(frame), scale), _FRAME_PX) for frame in taken]
    if not frames:
        raise UsageError(
            f"{', '.join(map(str, sources))}: no picture and no video of {_PART_PX * scale} pixels or more on"
            " either side"
        )
    return _evenly(frames, _FRAMES)


def _evenly(items: Sequence[_T], most: int) -> list[_T]:
    """At most that many, evenly spread."""
    count = min(most, len(items))
    return [items[n * len(items) // count] for n in range(count)]


def _sharpest_parts(frames: Sequence[SampleValues]) -> list[SampleValues]:
    """Parts of one size for rounding layers."""
    taken = _evenly(frames, _PARTS)
    side = min(_PART_PX, *(min(frame.luma.shape[-2:]) for frame in taken))
    return [_sharpest_part(frame, side) for frame in taken]


def _sharpest_part(frame: SampleValues, side: int) -> SampleValues:
    """The part of a frame, at most `side` high and wide, with the largest mean square of differences."""
    height, width = (min(side, length) for length in frame.luma.shape[-2:])
    values = torch.from_numpy(frame.luma[:1]).double()
    steps = values.diff(dim=1)[..., :-1].square() + values.diff(dim=2)[:, :-1].square()
    means = F.avg_pool2d(steps, (height - 1, width - 1), _STEP_PX)[0]
    row, column = divmod(int(means.argmax()), means.shape[1])
    part = frame.crop(row * _STEP_PX, column * _STEP_PX, height, width)
    return replace(part, luma=part.luma.copy(), chroma=part.chroma.copy())


def _shrunk(codes: SampleValues, scale: int) -> SampleValues:
    """Downscale to 8-bit planes of even size; chroma siting is ignored, as ranges do not depend on it."""
    luma, chroma = to_values(codes)
    height, width = (side // (2 * scale) for side in luma.shape[-2:])
    small = (
        resample(luma, 2 * height, 2 * width, "bicubic"),
        resample(chroma, height, width, "bicubic"),
    )
    return from_values(small, 8)


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
