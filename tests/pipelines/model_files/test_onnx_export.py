"""An exported network computes the same in other tools."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.architectures.recurrent import Recurrent
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import UsageError, VerificationError
from models.layers.resampling import resample, upscale_in_graph
from pipelines.model_files import onnx_export
from pipelines.model_files.card_writer import NetworkFacts
from pipelines.model_files.card_writer import export as write_card
from pipelines.model_files.onnx_export import write_onnx
from tests.pipelines.run.test_color_exact import foreign

onnx = pytest.importorskip("onnx", reason="vsr[export] is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="vsr[export] is not installed")


def planes(height: int, width: int, seen: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(1, seen, height, width, generator=generator), torch.rand(
        1, 2 * seen, height // 2, width // 2, generator=generator
    ) - 0.5


def through(path: Path, **inputs: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.0, -0.25)])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_one_convolution_upscales_as_the_classical_way_does(factor: int, offset: tuple[float, float]) -> None:
    x = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    found = upscale_in_graph(x, factor, "bicubic", offset)
    assert torch.allclose(found, resample(x, 9 * factor, 11 * factor, "bicubic", offset=offset), atol=1e-6)


def test_a_native_network_takes_any_size_and_gives_torch_s_values(tmp_path: Path) -> None:
    card = find_cards("fast-x2")[0]
    made = write_onnx(card, tmp_path / "fast.onnx")
    assert made.inputs == {"luma": [1, 1, "2*h", "2*w"], "chroma": [1, 2, "h", "w"]}
    assert made.difference is not None
    for height, width in ((16, 44), (62, 34)):
        luma, chroma = planes(height, width)
        with torch.inference_mode():
            wanted = load_network(card).module((luma, chroma))
        for a, b in zip(through(tmp_path / "fast.onnx", luma=luma, chroma=chroma), wanted, strict=True):
            assert np.allclose(a, b, atol=1e-5)
    facts = {p.key: p.value for p in onnx.load(tmp_path / "fast.onnx").metadata_props}
    assert facts["vsr.pixels"] == "yuv420"
    assert json.loads(facts["vsr.scale"]) == 2
    assert facts["vsr.sha256"] == card.sha256
    assert list(tmp_path.iterdir()) == [tmp_path / "fast.onnx"]


def test_a_network_with_a_memory_takes_it_and_gives_it_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Recurrent(scale=2, width=32, depth=1)
    with torch.no_grad():
        network.tail.weight.normal_(0, 0.05)
    settings = {"width": 32, "depth": 1}
    weights = write_card(
        network.state_dict(),
        NetworkFacts("recurrent", settings, 2),
        folder=tmp_path,
        name="r-x2",
    )
    card = find_cards(str(weights))[0]
    write_onnx(card, tmp_path / "r.onnx")
    luma, chroma = planes(20, 28, 3)
    state = torch.rand(1, 32, 10, 14)
    with torch.inference_mode():
        (wanted_luma, wanted_chroma), wanted_state = load_network(card).module((luma, chroma), state)  # type: ignore[call-arg]
    found = through(tmp_path / "r.onnx", luma=luma, chroma=chroma, state=state)
    for a, b in zip(found, (wanted_luma, wanted_chroma, wanted_state), strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_a_foreign_network_becomes_rgb_of_any_size(tmp_path: Path) -> None:
    card = find_cards(str(foreign(tmp_path / "rgb.safetensors", last=0.1)))[0]
    made = write_onnx(card, tmp_path / "rgb.onnx")
    assert made.inputs == {"rgb": [1, 3, "h", "w"]}
    rgb = torch.rand(1, 3, 21, 17)
    with torch.inference_mode():
        wanted = load_network(card).module(rgb)  # type: ignore[arg-type]
    assert np.allclose(through(tmp_path / "rgb.onnx", rgb=rgb)[0], wanted, atol=1e-5)


def test_a_file_that_computes_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: torch.nn.Module, *arguments: object) -> object:
        other = copy.deepcopy(module)
        with torch.no_grad():
            other.network.tail.bias.add_(0.01)
        return traced(other, *arguments)

    traced = onnx_export._traced
    monkeypatch.setattr(onnx_export, "_traced", broken)
    with pytest.raises(VerificationError, match="differ from torch's by up to 0.01"):
        write_onnx(find_cards("fast-x2")[0], tmp_path / "fast.onnx", size=(32, 32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "size", "said"), [("lanczos", None, "no weights"), ("fast-x2", (33, 32), "sides that 2 divides")]
)
def test_what_can_not_be_exported_is_said(
    name: str, size: tuple[int, int] | None, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        write_onnx(find_cards(name)[0], tmp_path / "x.onnx", size=size)
