"""Integers computed from float weights and the units of activations."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from models.architectures.restoring import Restoring
from models.layers import unit_rounding
from models.layers.int8 import layer_shapes
from models.layers.unit_rounding import layers_from_units
from pipelines.media.cicp import code_values
from pipelines.model_files.quantization import hidden_units, packed_codes
from tests.helpers.integers import network, pictures
from tests.pipelines.model_files.test_quantization import error


def units_of(made) -> dict[str, torch.Tensor]:
    return hidden_units(made, [packed_codes(frame) for frame in pictures()])


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


def mixed_digest() -> str:
    """Of layers from weights and units between two levels and two ends, all from numpy's generator."""
    made, rng = Restoring(scale=2, width=32, depth=2, levels=(0.0, 1.0), crisp=True), np.random.default_rng(0)
    filled = {
        name: torch.from_numpy(rng.uniform(-0.2, 0.2, tuple(tensor.shape)).astype(np.float32))
        for name, tensor in made.state_dict().items()
    }
    made.load_state_dict(filled)
    units = {
        name: torch.from_numpy(rng.uniform(0.002, 0.02, shape).astype(np.float32))
        for name, shape in made.integer_shapes.items()
    }
    layers = made.integers_at(units, 0.3, 0.4)
    return hashlib.sha256(b"".join(layers[name].numpy().tobytes() for name in sorted(layers))).hexdigest()


MIXED = "52b910d02af68f493e09a33d5493ca4cff8d8dbf6395b9d7b7e801b1dff7ea66"


def test_mixed_weights_become_the_same_integers_on_every_cpu() -> None:
    """The digest was made on an AMD CPU with AVX-512."""
    assert mixed_digest() == MIXED
    text = "from tests.models.layers.test_unit_rounding import mixed_digest; print(mixed_digest())"
    environment = {
        **os.environ,
        "ATEN_CPU_CAPABILITY": "default",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2 FMA3",
    }
    told = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == MIXED
