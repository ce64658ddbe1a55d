"""`Restoring`: `compact` for compressed footage, with weights that depend on the restoration level.

It has separate weights at a few restoration levels and interpolates between them (Wang et al. 2019,
arXiv:1811.10515), in training too. A level for a whole film costs nothing: `at` builds a plain `Compact` for
it. The weights of level 0 can be kept equal to those of a network for clean sources. A second set of weights,
trained from the first for crisp detail, can be added; `detail` interpolates between the two sets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.architectures.compact import Compact
from models.layers.activations import relu_
from models.layers.unit_rounding import layers_from_units
from models.layers.yuv_residual import BicubicSkip, pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from models.network import Planes

__all__ = ["Restoring", "at_level"]


class Restoring(BicubicSkip):
    """`Compact` with weights at each of `levels`."""

    def __init__(
        self,
        *,
        scale: int,
        width: int = 32,
        depth: int = 8,
        levels: tuple[float, ...] | list[float] = (0.0, 0.5, 1.0),
        crisp: bool = False,
    ) -> None:
        """width, depth: see `Compact`. levels: ascending restoration levels, first 0, last 1.

        crisp: with the second set of weights, to train it.
        """
        if len(levels) < 2 or levels[0] != 0 or levels[-1] != 1 or any(a >= b for a, b in pairwise(levels)):
            raise TypeError(f"levels = {levels}: expected to ascend from 0 to 1")
        super().__init__(scale=scale, packing=scale, halo_px=2 * (depth + 2))
        self._shape = {"scale": scale, "width": width, "depth": depth}
        self.levels = tuple(float(n) for n in levels)
        self.knots = nn.ModuleList(Compact(**self._shape) for _ in levels)
        self.crisp = nn.ModuleList(Compact(**self._shape) for _ in levels) if crisp else None

    def at(self, level: float, detail: float = 0.0) -> Compact:
        """Return the plain network for footage of a restoration level, 0 to 1.

        detail: from the faithful weights (0) to the crisp ones (1).
        """
        plain = Compact(**self._shape)
        with torch.no_grad():
            for layer, found in zip(_layers(plain), self._weights(torch.tensor(level), detail), strict=True):
                layer.weight.copy_(found[0])
                layer.bias.copy_(found[1])  # type: ignore[union-attr]
        return plain.to(next(self.parameters()).device).train(self.training)

    @property
    def integer_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the activation units, for each hidden layer of each set of weights."""
        hidden = ["head", *(f"body.{number}" for number in range(self._shape["depth"]))]
        return {f"{knot}.{layer}": (self._shape["width"],) for knot in self.sets for layer in hidden}

    @property
    def sets(self) -> dict[str, tuple[float, float]]:
        """The sets of weights by name, with the level and detail that select each alone."""
        kinds = {"knots": 0.0} if self.crisp is None else {"knots": 0.0, "crisp": 1.0}
        return {
            f"{kind}.{number}": (level, detail)
            for kind, detail in kinds.items()
            for number, level in enumerate(self.levels)
        }

    def integers_at(
        self, units: Mapping[str, Tensor], level: float, detail: float = 0.0
    ) -> dict[str, Tensor]:
        """Make the 8-bit integer layers of `at`; activation units are mixed like weights.

        units: see `integer_shapes`.
        """
        ramps, count = self._ramps(torch.tensor(level)), len(self.levels)
        other = "knots" if self.crisp is None else "crisp"
        mixed = {}
        for layer in {name.split(".", 2)[2]: None for name in units}:
            one, crisp = (
                _mixed([units[f"{kind}.{number}.{layer}"] for number in range(count)], ramps)
                for kind in ("knots", other)
            )
            mixed[layer] = _between(one, crisp, detail)
        return layers_from_units(self.at(level, detail).integer_layers, mixed)

    def trunk(self, x: Tensor, levels: Tensor | None = None) -> Tensor:
        """(B,6,H/2,W/2) -> (B,6·scale²,H/2,W/2).

        levels: (G,), one for each of G equal parts of the batch, in order. None: the middle of the range.
        """
        if levels is None:
            levels = torch.full((1,), 0.5, device=x.device)
        return torch.cat(
            [self._at(part, level) for part, level in zip(x.chunk(len(levels)), levels, strict=True)]
        )

    def residual(self, luma: Tensor, chroma: Tensor, levels: Tensor | None = None) -> Tensor:
        """See `BicubicSkip.residual`, and `trunk` for levels."""
        return self.trunk(pack((luma, chroma)), levels)

    def forward(self, planes: Planes, levels: Tensor | None = None) -> Planes:
        """See `BicubicSkip.forward`, and `trunk` for levels."""
        return self.added(planes, self.residual(*planes, levels))

    def _at(self, x: Tensor, level: Tensor) -> Tensor:
        weights = list(self._weights(level, 0.0 if self.crisp is None else 1.0))
        for weight, bias in weights[:-1]:
            x = relu_(F.conv2d(x, weight, bias, padding=1))
        return F.conv2d(x, *weights[-1], padding=1)

    def _weights(self, level: Tensor, detail: float) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield weight and bias of each layer at a level, a scalar."""
        knots = self._along(self.knots, level)
        if self.crisp is None or not detail:
            yield from knots
        else:
            for (weight, bias), (crisp_weight, crisp_bias) in zip(
                knots, self._along(self.crisp, level), strict=True
            ):
                yield _between(weight, crisp_weight, detail), _between(bias, crisp_bias, detail)

    def _along(self, knots: nn.ModuleList, level: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield weight and bias of each layer from one set of weights."""
        ramps = self._ramps(level)
        for layers in zip(*(_layers(knot) for knot in knots), strict=True):
            yield (
                _mixed([layer.weight for layer in layers], ramps),
                _mixed([layer.bias for layer in layers], ramps),  # type: ignore[misc]
            )

    def _ramps(self, level: Tensor) -> list[Tensor]:
        """Position of a level between each pair of neighbouring `levels`, 0 to 1."""
        return [((level - low) / (high - low)).clamp(0, 1) for low, high in pairwise(self.levels)]

    def begun_from(self, old: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Initial weights, made from a plain network of the family or from another `Restoring`.

        The crisp weights start equal to the faithful ones.
        """
        found = dict(old)
        if not any(name.startswith("knots.") for name in old):
            found = {
                f"knots.{number}.{name}": tensor
                for number in range(len(self.knots))
                for name, tensor in old.items()
            }
        faithful = {
            name.removeprefix("knots."): tensor for name, tensor in found.items() if name.startswith("knots.")
        }
        return {**{f"crisp.{name}": tensor for name, tensor in faithful.items()}, **found}

    def changed_as(self, own: Mapping[str, Tensor], other: Restoring) -> dict[str, Tensor]:
        """Add what `other`, of another scale, learned beyond its level 0 to `own` weights.

        own: weights that give the same network at all levels. This is task arithmetic (Ilharco et al. 2022,
        arXiv:2212.04089). The last layer depends on the scale and is left out.
        """
        found, start = dict(own), other.at(0.0).state_dict()
        for kind, detail in (("knots", 0.0), ("crisp", 1.0)):
            for number, level in enumerate(self.levels):
                end = other.at(level, detail).state_dict()
                for layer in end:
                    name = f"{kind}.{number}.{layer}"
                    if name in own and own[name].shape == end[layer].shape:
                        found[name] = own[name] + (end[layer] - start[layer])
        return found


def _mixed(knots: Sequence[Tensor], ramps: Sequence[Tensor]) -> Tensor:
    """Interpolate between neighbouring knots."""
    mixed = knots[0]
    for ramp, knot in zip(ramps, knots[1:], strict=True):
        mixed = _between(mixed, knot, ramp)
    return mixed


def _between(one: Tensor, other: Tensor, share: Tensor | float) -> Tensor:
    """Interpolate linearly; exact at both ends.

    `torch.lerp` uses fused multiply-add on some CPUs only, and int8 plans promise the same bits on all CPUs.
    """
    return one * (1 - share) + other * share


def _layers(plain: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of a `Compact`, in the order of the data."""
    assert isinstance(plain, Compact)
    return [plain.head, *plain.body, plain.tail]  # type: ignore[list-item]


def at_level(network: nn.Module, level: float) -> nn.Module:
    """Return the plain network for a restoration level, with crisp weights; other networks are unchanged."""
    return network.at(level, 1.0).eval() if isinstance(network, Restoring) else network
