"""A network on 8-bit integers is fitted to the original network and stored in the same file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from models.architectures.espcn import Espcn
from models.architectures.restoring import Restoring
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import UsageError
from models.layers.yuv_residual import pack
from pipelines.frames.sample_values import SampleValues, to_values
from pipelines.model_files.card_writer import NetworkFacts, export
from pipelines.model_files.quantization import (
    _rounded,
    _sharpest_parts,
    add_integers,
    calibration_frames,
    quantize,
    with_integer_layers,
)
from tests.helpers.integers import card_with_integers, network, pictures

if TYPE_CHECKING:
    from models.architectures.compact import Compact


def residual(layers: dict[str, torch.Tensor], depth: int, codes: SampleValues) -> torch.Tensor:
    """What layers on integers give, in float, away from the border."""
    packed = pack(tuple(torch.from_numpy(p).float() for p in (codes.luma[:, None], codes.chroma)))
    names = ["head.limited", *(f"body.{n}" for n in range(depth)), "tail"]
    for name in names:
        weight, scale, bias = (layers[f"{name}.{part}"].float() for part in ("weight", "scale", "bias"))
        packed = F.conv2d(packed, weight, padding=1) * scale[:, None, None] + bias[:, None, None]
        packed = packed if name == "tail" else packed.relu().round().clamp(0, 255)
    return packed[..., 8:-8, 8:-8]


def error(layers: dict[str, torch.Tensor], made: Compact, codes: SampleValues) -> float:
    with torch.inference_mode():
        exact = made.trunk(pack(to_values(codes)))[..., 8:-8, 8:-8]
        return float((residual(layers, len(made.body), codes) - exact).square().mean().sqrt()) * 219


def test_the_result_is_within_a_fraction_of_a_code_on_pictures_that_it_was_not_fitted_on() -> None:
    made, frames = network(), pictures(6)
    assert error(quantize(made, frames[:4]), made, frames[5]) < 0.35


def test_weights_make_up_for_each_others_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.model_files.quantization._USUAL", 1.0)  # nothing is clipped
    made, frames = network(), pictures(6)
    fitted = error(quantize(made, frames[:4]), made, frames[5])

    def plainly(
        weights: torch.Tensor, scale: torch.Tensor, squares: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        del squares
        return (weights[:, :-1] / scale[:, None]).round(), weights[:, -1]

    monkeypatch.setattr("pipelines.model_files.quantization._rounded", plainly)
    assert fitted < 0.8 * error(quantize(made, frames[:4]), made, frames[5])


def test_layers_make_up_for_the_rounding_of_those_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made, frames = network(depth=8), pictures(28)

    def others() -> float:
        layers = quantize(made, frames[:24])
        return sum(error(layers, made, frame) ** 2 for frame in frames[24:])

    fitted = others()
    monkeypatch.setattr("pipelines.model_files.quantization._fitted", lambda wanted, *_: wanted)
    assert fitted < 0.9 * others()


def test_the_same_frames_give_the_same_layers() -> None:
    first, second = quantize(network(), pictures()), quantize(network(), pictures())
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_another_architecture_is_refused() -> None:
    with pytest.raises(UsageError, match="architectures compact and restoring"):
        quantize(Espcn(scale=2), pictures())


def test_the_other_weights_stay_as_they_are_and_the_card_says_the_cost(tmp_path: Path) -> None:
    card = card_with_integers(tmp_path)
    loaded = load_network(card)
    assert card.int8_cost_db == 0.01
    assert {name: tensor.dtype for name, tensor in loaded.int8.items() if name.startswith("tail")} == {
        "tail.weight": torch.int8, "tail.scale": torch.float32, "tail.bias": torch.float32,
    }  # fmt: skip
    plain = network().state_dict()
    assert all(
        torch.equal(tensor, plain[name].half().float()) for name, tensor in loaded.module.state_dict().items()
    )  # type: ignore[attr-defined]
    add_integers(Path(card.path), loaded.int8, {"cost_db": 0.02})
    (again,) = find_cards(card.path)
    assert load_network(again).int8.keys() == loaded.int8.keys()
    assert again.int8_cost_db == 0.02


def test_a_network_of_many_levels_keeps_units_alone_and_has_layers_at_each(tmp_path: Path) -> None:
    made = Restoring(scale=2, width=32, depth=2, levels=(0.0, 1.0), crisp=True)
    start = network().state_dict()
    for plain in [*made.knots, *made.crisp]:  # type: ignore[misc]
        plain.load_state_dict({k: v * (1 + 0.1 * torch.randn_like(v)) for k, v in start.items()})
    facts = NetworkFacts("restoring", {"width": 32, "depth": 2, "levels": [0.0, 1.0], "crisp": True}, 2)
    weights = export(made.state_dict(), facts, folder=tmp_path, name="levels-x2")
    found = quantize(made, pictures())
    assert {tuple(t.shape) for t in found.values()} == {(32,)}
    add_integers(weights, found, {"cost_db": 0.01})
    (card,) = find_cards(str(weights))
    between, end = (load_network(card, restore=level, detail=0.5) for level in (0.3, 1.0))
    for loaded in (between, end):
        assert error(dict(loaded.int8), loaded.module, pictures(6)[5]) < 0.5  # type: ignore[arg-type]
    assert not torch.equal(between.int8["tail.weight"], end.int8["tail.weight"])
    assert load_network(card).int8 == {}
    assert len(with_integer_layers(load_network(card), found)) == 4


def test_the_integer_range_has_room_for_edges_sharper_than_any_in_the_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, flat = network(), [replace(frame, luma=frame.luma // 8 + 100) for frame in pictures(6)]
    stripes = np.where(np.arange(64) // 4 % 2, 235, 16).astype(np.uint8)
    sharp = replace(flat[0], luma=np.broadcast_to(stripes, (1, 64, 64)).copy())
    roomy = error(quantize(made, flat[:4]), made, sharp)
    monkeypatch.setattr("pipelines.model_files.quantization._EXTREME", 0.0)
    assert roomy < 0.7 * error(quantize(made, flat[:4]), made, sharp)


def strength(layers: dict[str, torch.Tensor], made: Compact, frames: list[SampleValues]) -> torch.Tensor:
    """Each channel's share of the float network's residual that the integer layers give."""
    with torch.inference_mode():
        exact = torch.cat([made.trunk(pack(to_values(codes)))[..., 8:-8, 8:-8] for codes in frames])
        found = torch.cat([residual(layers, 2, codes) for codes in frames])
    around = exact - exact.mean((0, 2, 3), keepdim=True)
    return (found * around).sum((0, 2, 3)) / around.square().sum((0, 2, 3))


def test_the_residual_is_neither_smaller_nor_larger_than_the_float_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, frames = network(), pictures(6)
    monkeypatch.setattr(
        "pipelines.model_files.quantization._rounded",
        lambda weights, scale, squares: _rounded(0.98 * weights, scale, squares),
    )
    assert (strength(quantize(made, frames), made, frames) - 1).abs().mean() < 0.01


def test_layers_are_rounded_with_the_sharpest_part_of_a_picture(tmp_path: Path) -> None:
    picture = np.full((640, 640, 3), 90, np.uint8)
    picture[320:, :320] = np.random.default_rng(0).integers(0, 256, (80, 80, 1)).repeat(4, 0).repeat(4, 1)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    (frame,) = calibration_frames([tmp_path / "picture.png"], 2)
    assert frame.luma.shape == (1, 320, 320)
    (part,) = _sharpest_parts([frame])
    assert part.luma.shape == (1, 128, 128)
    assert part.luma.std() > 30
