"""A network on 8-bit integers in a run: the bits of integer arithmetic, whatever the tiles.

It is refused where it can't be used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.catalog.card import Card
from models.errors import UsageError
from models.layers.int8 import int8_is_exact, read_layers
from pipelines.inference.device import INT8_CLASS, numerics_class
from pipelines.inference.fused_cpu import Adder
from pipelines.inference.upscaler import Upscaler
from pipelines.media.pixel_format import PixelCrop
from pipelines.media.video_info import Frame
from pipelines.plan.plan import Plan
from tests.helpers.integers import card_with_integers
from tests.models.layers.test_int8 import by_numpy
from tests.pipelines.inference.test_upscaler import BT709, CPU, picture, plan_of, same

pytestmark = pytest.mark.skipif(not int8_is_exact(), reason="needs a CPU with VNNI, AMX or their like")
FULL = replace(BT709, range=2)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Card:
    return card_with_integers(tmp_path_factory.mktemp("int8"))


def plan(card: Card, width: int, height: int, precision: str = "int8", **options: object) -> Plan:
    return replace(plan_of(card, width, height, card.scale, **options), precision=precision)


def eight_bits(frame: Frame, *, full: bool) -> list[np.ndarray]:
    """Planes of 10 bits, rounded to 8."""
    exact = [
        (plane.astype(float) - offset) * (255 / 1023 if full else 0.25) + offset // 4
        for plane, offset in zip(frame.planes, (0 if full else 64, 512, 512), strict=True)
    ]
    return [np.floor(plane + 0.5).clip(0, 255).astype(np.uint8) for plane in exact]


def by_whole_numbers(card: Card, frame: Frame, *, full: bool) -> list[np.ndarray]:
    """The planes of the result, by numpy alone."""
    from models.catalog.loader import load_network

    network = load_network(card)
    names = ["head.full" if full else "head.limited", "body.0", "body.1", "tail"]
    bits = 8 if frame.planes[0].dtype == np.uint8 else 10
    luma, *chroma = eight_bits(frame, full=full) if bits == 10 else frame.planes
    packed = np.stack([luma[i::2, j::2] for i in (0, 1) for j in (0, 1)] + chroma)
    neutral = [0 if full else 16] * 4 + [128] * 2
    padded = np.stack([np.pad(p, 1, constant_values=value) for p, value in zip(packed, neutral, strict=True)])
    residual = torch.from_numpy(by_numpy(read_layers(network.int8, names), padded))[None].contiguous(
        memory_format=torch.channels_last
    )
    made = [np.zeros((p.shape[0] * card.scale, p.shape[1] * card.scale), p.dtype) for p in frame.planes]
    rows, columns = chroma[0].shape
    Adder(card.scale, bits, full=full)(frame.planes, residual, (0, 0), (0, rows, 0, columns), made)
    return made


@pytest.mark.parametrize("color", [BT709, FULL])
def test_every_sample_is_that_of_whole_numbers(small: Card, color) -> None:
    frame = picture("yuv420p", 70, 46)
    made = Upscaler(plan(small, 70, 46, color=color, tile=(96, 128)), CPU)([frame])[0]
    for found, expected in zip(made.planes, by_whole_numbers(small, frame, full=color == FULL), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("color", [BT709, FULL])
def test_ten_bits_keep_their_own_next_to_a_residual_from_eight(small: Card, color) -> None:
    card = replace(small, more={"int8": {"cost_db": 0.01, "ramps_db": 60.0}})
    asked = plan(card, 70, 46, color=color, pix_fmt="yuv420p10le")
    assert asked.takes_int8
    frame = picture("yuv420p10le", 70, 46)
    made = Upscaler(asked, CPU)([frame])[0]
    for found, expected in zip(made.planes, by_whole_numbers(card, frame, full=color == FULL), strict=True):
        assert np.array_equal(found, expected)


def test_tiles_are_the_same_bits_as_the_whole_picture(small: Card) -> None:
    frame = picture("yuv420p", 96, 64)
    whole = Upscaler(plan(small, 96, 64, tile=(96, 128)), CPU)([frame])[0]
    assert same(whole, Upscaler(plan(small, 96, 64, tile=(24, 32)), CPU)([frame])[0])


def test_what_has_not_changed_is_taken_over(small: Card) -> None:
    upscaler, frame = Upscaler(plan(small, 96, 64, tile=(32, 48)), CPU), picture("yuv420p", 96, 64)
    first, second = upscaler([frame])[0], upscaler([replace(frame, pts=8)])[0]
    assert upscaler.stills.taken == 4
    assert same(first, second)


@pytest.mark.parametrize("color", [BT709, FULL])
def test_it_is_near_the_network_in_fp32(small: Card, color) -> None:
    frame = picture("yuv420p", 96, 64)
    integers, floats = (
        Upscaler(plan(small, 96, 64, p, color=color), CPU)([frame])[0] for p in ("int8", "fp32")
    )
    for a, b in zip(integers.planes, floats.planes, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).mean() < 0.5


def test_black_bars_are_the_bicubic_upscale_in_the_same_order(small: Card) -> None:
    frame = picture("yuv420p", 96, 128)
    frame.planes[0][:48], frame.planes[1][:24], frame.planes[2][:24] = 16, 128, 128
    made = Upscaler(replace(plan(small, 96, 128), bars=PixelCrop(top=48)), CPU)([frame])[0]
    assert (made.planes[0][:60] == 16).all()
    assert (made.planes[1][:30] == 128).all()


@pytest.mark.parametrize(("pix_fmt", "strength"), [("yuv420p12le", 1.0), ("yuv444p", 1.0), ("yuv420p", 0.5)])
def test_what_is_not_for_8_bit_integers_is_refused(small: Card, pix_fmt: str, strength: float) -> None:
    asked = replace(plan(small, 64, 48, pix_fmt=pix_fmt), strength=strength)
    assert not asked.takes_int8
    with pytest.raises(UsageError, match="--precision int8"):
        Upscaler(asked, CPU)


def test_a_cpu_that_is_not_exact_is_refused(small: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.inference.device.int8_is_exact", lambda: False)
    with pytest.raises(UsageError, match="--precision int8 is for CPUs with VNNI"):
        Upscaler(plan(small, 64, 48), CPU)


def test_the_numerics_class_names_no_cpu_where_none_shapes_bits(small: Card) -> None:
    facts = numerics_class(CPU, plan(small, 64, 48))
    assert (facts["dtype"], facts["compute"]) == (INT8_CLASS, "any")
    grainy = numerics_class(CPU, replace(plan(small, 64, 48), grain=((1.0,) * 8,)))
    assert grainy["dtype"] == INT8_CLASS
    assert grainy["compute"] == numerics_class(CPU)["compute"]
    assert numerics_class(CPU, plan(small, 64, 48, "bf16"))["dtype"] == "bfloat16"
    assert numerics_class(CPU, plan(small, 64, 48, "")) == numerics_class(CPU)


def test_a_plan_that_does_not_name_a_precision_keeps_its_id(small: Card) -> None:
    assert "precision" not in plan(small, 64, 48, "").to_json()
    assert plan(small, 64, 48).to_json()["precision"] == "int8"


def digest(path: str) -> str:
    from models.catalog.lookup import find_cards

    made = Upscaler(plan(find_cards(path)[0], 70, 46, tile=(24, 32)), CPU)([picture("yuv420p", 70, 46)])[0]
    return hashlib.sha256(b"".join(p.tobytes() for p in made.planes)).hexdigest()


def test_another_kind_of_cpu_makes_the_same_frame(small: Card) -> None:
    text = "import sys; from tests.pipelines.inference.test_int8_run import digest, int8_is_exact; print(int8_is_exact() and digest(sys.argv[1]))"
    environment = {
        **os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2_VNNI", "ATEN_CPU_CAPABILITY": "default", "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    told = subprocess.run(
        [sys.executable, "-c", text, small.path], env=environment, capture_output=True, text=True, check=True
    )
    if told.stdout.strip() == "False":
        pytest.skip("no AVX-VNNI here")
    assert told.stdout.strip() == digest(small.path)


def test_layers_of_another_shape_are_refused(small: Card, tmp_path: Path) -> None:
    from models.catalog.loader import load_network
    from models.errors import MediaError
    from pipelines.model_files.quantization import add_integers

    card = card_with_integers(tmp_path)
    layers = dict(load_network(card).int8)
    layers["body.0.scale"] = torch.ones(31)
    add_integers(Path(card.path), layers, {"cost_db": 0.01})
    with pytest.raises(MediaError, match="its tensors are not those of compact"):
        load_network(replace(card, sha256=""))
