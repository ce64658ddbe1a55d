"""Integers that follow from float weights and the units of activations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.layers import unit_rounding
from models.layers.int8 import layer_shapes
from models.layers.unit_rounding import layers_from_units
from pipelines.media.cicp import code_values
from pipelines.model_files.quantization import hidden_units, packed_codes
from tests.helpers.integers import network, pictures
from tests.pipelines.model_files.test_quantization import error


def units_of(made) -> dict[str, torch.Tensor]:
    return hidden_units(made, torch.cat([packed_codes(frame) for frame in pictures()]))


def test_they_have_the_shapes_of_layers_on_integers() -> None:
    made = network()
    found = layers_from_units(made.integer_layers, units_of(made))
    assert {name: tuple(t.shape) for name, t in found.items()} == layer_shapes(made.integer_layers)
    assert {t.dtype for n, t in found.items() if n.endswith("weight")} == {torch.int8}


def test_the_result_is_near_the_float_network() -> None:
    made = network()
    assert error(layers_from_units(made.integer_layers, units_of(made)), made, pictures(6)[5]) < 0.5


def test_the_sum_of_each_kernel_is_within_half_a_step() -> None:
    steps = np.random.default_rng(0).uniform(-60, 60, (8, 5, 3, 3))
    whole = unit_rounding._rounded(steps)
    assert np.abs((whole - steps).sum((2, 3))).max() <= 0.5 + 1e-9
    assert np.abs(whole - steps).max() < 1.5
    assert np.abs((np.rint(steps) - steps).sum((2, 3))).max() > 1


@pytest.mark.parametrize("full", [False, True])
def test_black_leaves_the_first_layer_as_its_bias(full: bool) -> None:
    made = network()
    units = units_of(made)
    layers, name = layers_from_units(made.integer_layers, units), "head.full" if full else "head.limited"
    codes = torch.tensor([code_values(8, full, chroma=channel >= 4)[0] for channel in range(6)])
    sums = (layers[f"{name}.weight"].double() * codes[:, None, None]).sum((1, 2, 3))
    left = sums * layers[f"{name}.scale"] + layers[f"{name}.bias"]
    assert torch.allclose(left * units["head"], made.head.bias.double(), atol=1e-5)
