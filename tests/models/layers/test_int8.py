"""Convolutions of 8-bit integers.

They give the same bits as integer arithmetic on every kind of CPU that can compute them exactly.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from models.layers import int8
from models.layers.int8 import Int8Chain, Int8Layer, int8_is_exact

exact = pytest.mark.skipif(not int8_is_exact(), reason="needs a CPU with VNNI, AMX or their like")


def layers(widths: tuple[int, ...], seed: int = 0) -> list[Int8Layer]:
    """Weights that let sums fill the range of u8 and go beyond it, on either side."""
    rng = np.random.default_rng(seed)
    made = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        weight = rng.integers(-127, 128, (outputs, inputs, 3, 3)).astype(np.int8)
        scale = (rng.uniform(0.5, 2, outputs) / (60 * np.sqrt(inputs * 9))).astype(np.float32)
        bias = rng.normal(60, 60, outputs).astype(np.float32)
        made.append(Int8Layer(*(torch.from_numpy(a) for a in (weight, scale, bias))))
    return made


def by_numpy(chain: list[Int8Layer], codes: np.ndarray) -> np.ndarray:
    """(C,H+2,W+2) u8 -> (O,H,W) fp32: int32 sums, then one product and one sum in fp32."""
    x = codes
    for number, layer in enumerate(chain):
        weight = layer.weight.numpy().astype(np.int32)
        x = np.pad(x, ((0, 0), (1, 1), (1, 1))) if number else x
        rows, columns = x.shape[1] - 2, x.shape[2] - 2
        total = np.zeros((len(weight), rows, columns), np.int32)
        for i in range(3):
            for j in range(3):
                total += np.tensordot(
                    weight[:, :, i, j], x[:, i : i + rows, j : j + columns].astype(np.int32), 1
                )
        values = (
            total.astype(np.float32) * layer.scale.numpy()[:, None, None] + layer.bias.numpy()[:, None, None]
        )
        if number == len(chain) - 1:
            return values
        x = np.rint(np.maximum(values, np.float32(0))).clip(0, 255).astype(np.uint8)
    raise AssertionError


def codes_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)


def as_input(codes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(codes)[None].contiguous(memory_format=torch.channels_last)


WIDTHS = [(6, 32, 32, 32, 24), (6, 64, 64, 96), (24, 32, 54)]


@exact
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("size", [(2, 2), (17, 33), (24, 70)])
def test_every_bit_is_that_of_whole_numbers(widths: tuple[int, ...], size: tuple[int, int]) -> None:
    chain, codes = layers(widths), codes_of((widths[0], size[0] + 2, size[1] + 2))
    found = Int8Chain(chain)(as_input(codes))[0].numpy()
    assert found.dtype == np.float32
    assert np.array_equal(found, by_numpy(chain, codes))


@exact
def test_rounding_is_half_to_even_and_clipped() -> None:
    weight = torch.zeros(2, 1, 3, 3, dtype=torch.int8)
    weight[:, 0, 1, 1] = torch.tensor([1, -1], dtype=torch.int8)
    passing = torch.zeros(2, 2, 3, 3, dtype=torch.int8)
    passing[0, 0, 1, 1] = passing[1, 1, 1, 1] = 1
    halves = Int8Layer(weight, torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.5]))
    doubled = Int8Layer(weight, torch.tensor([2.0, 2.0]), torch.tensor([0.0, 0.0]))
    as_they_are = Int8Layer(passing, torch.ones(2), torch.zeros(2))
    codes = np.array([[[0] * 7, [0, 1, 2, 3, 5, 255, 0], [0] * 7]], np.uint8)
    found = Int8Chain([halves, as_they_are])(as_input(codes))[0, :, 0].tolist()
    assert found == [[0, 1, 2, 2, 128], [1, 0, 0, 0, 0]]
    assert Int8Chain([doubled, as_they_are])(as_input(codes))[0, :, 0].tolist() == [
        [2, 4, 6, 10, 255],
        [0] * 5,
    ]


def digest() -> str:
    found = [Int8Chain(layers(w))(as_input(codes_of((w[0], 22, 41)))).numpy().tobytes() for w in WIDTHS]
    return hashlib.sha256(b"".join(found)).hexdigest()


@exact
def test_the_bits_are_those_of_another_makers_cpu() -> None:
    """The digest was made on an AMD CPU with AVX512-VNNI and without AMX."""
    assert digest() == "0b2d3c0b40e76ba7dba7672d49bbeb482f71b0589c9b990d56d8f239d2465f03"


@exact
@pytest.mark.parametrize("isa", ["AVX512_CORE_VNNI", "AVX2_VNNI", "AVX2"])
def test_bits_do_not_depend_on_the_kind_of_cpu_or_on_threads(isa: str) -> None:
    """Instructions that add up in 16 bits, as those of AVX2 do, are found out."""
    text = (
        "import torch; from models.layers.int8 import int8_is_exact; from tests.models.layers.test_int8 import digest; "
        "print(int8_is_exact(), *[digest() for n in (1, 2) if torch.set_num_threads(n) is None])"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "ATEN_CPU_CAPABILITY": "default"}
    told = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    if isa == "AVX2":
        assert told[0] == "False"
    elif told[0] == "True":
        assert told[1:] == [digest()] * 2
    else:
        pytest.skip(f"no {isa} here")


def test_a_build_without_the_operations_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Int8Layer) -> torch.Tensor:
        raise AttributeError("qconv_prepack")

    monkeypatch.setattr(int8, "_packed", missing)
    assert not int8_is_exact.__wrapped__()
