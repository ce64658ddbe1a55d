"""What weights are trained with is what they become."""

from __future__ import annotations

import torch

from models.architectures.compact import Compact
from models.layers.rounding_in_loop import rounded_chain
from models.layers.unit_rounding import layers_from_units
from pipelines.model_files.quantization import code_ranges, hidden_units, packed_codes
from tests.helpers.integers import network, pictures
from tests.pipelines.model_files.test_quantization import residual


def parts(made: Compact) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    codes = torch.cat([packed_codes(frame) for frame in pictures()])
    units = {name: unit.clone() for name, unit in hidden_units(made, codes).items()}
    offsets, spans = code_ranges(full=False)
    return units, 1 / spans, (codes[3:] - offsets[:, None, None]) / spans[:, None, None]


def chain(
    made: Compact, units: dict[str, torch.Tensor], gains: torch.Tensor, x: torch.Tensor
) -> torch.Tensor:
    return rounded_chain([made.head, *made.body, made.tail], list(units.values()), gains, x)  # type: ignore[list-item]


def test_it_computes_as_on_integers() -> None:
    made = network()
    units, gains, x = parts(made)
    integers = residual(layers_from_units(made.integer_layers, units), 2, pictures()[3])
    with torch.no_grad():
        floats = chain(made, units, gains, x)[..., 8:-8, 8:-8]
        exact = made.trunk(x)[..., 8:-8, 8:-8]
    # A sum on the edge between two integers may fall to the other side in fp32.
    assert (floats - integers).square().mean() < 0.02 * (exact - integers).square().mean()


def test_gradients_reach_all_weights_and_units() -> None:
    made = network()
    units, gains, x = parts(made)
    for unit in units.values():
        unit.requires_grad_()
    chain(made, units, gains, x).square().mean().backward()  # type: ignore[no-untyped-call]
    found = [*(p.grad for p in made.parameters()), *(unit.grad for unit in units.values())]
    assert all(grad is not None and bool(grad.abs().max() > 0) for grad in found)
