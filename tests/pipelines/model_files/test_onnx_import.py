"""Networks that vsr exports can be imported again: the same image within one code, also with a memory.

They are installed under a name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.architectures.recurrent import Recurrent
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.catalog.onnx_reader import describe
from models.errors import UsageError
from pipelines.model_files.card_writer import NetworkFacts
from pipelines.model_files.card_writer import export as write_card
from pipelines.model_files.install import install_model
from pipelines.model_files.onnx_export import write_onnx
from tests import media
from tests.helpers.inline import upscaled
from tests.helpers.view import decoded

pytest.importorskip("onnx", reason="vsr[export] is not installed")
pytest.importorskip("onnxruntime", reason="vsr[onnx] is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "fast.onnx"
    write_onnx(find_cards("fast-x2")[0], path)
    return path


def test_a_film_through_an_exported_network_is_within_one_code(
    exported: Path, tmp_path: Path, inline: None
) -> None:
    """Case 91."""
    film = media.cfr(tmp_path / "film.mp4", 2)
    planes = []
    for name, model in (("torch", "fast-x2"), ("onnx", str(exported))):
        upscaled(
            film, tmp_path / f"{name}.mkv", scale=2, model=model, codec="ffv1", device="cpu", precision="fp32"
        )
        planes.append(decoded(tmp_path / f"{name}.mkv"))
    assert len(planes[0]) == 2
    for a, b in zip(*planes, strict=True):
        assert np.abs(a.to_ndarray().astype(int) - b.to_ndarray().astype(int)).max() <= 1


def test_what_the_network_reaches_and_needs_is_measured_again(exported: Path) -> None:
    card, ours = describe(str(exported)), find_cards("fast-x2")[0]
    assert (card.scale, card.pixels, card.settings["size_multiple"]) == (2, "yuv420", 2)
    assert card.halo_px is not None
    assert ours.halo_px is not None
    assert card.halo_px >= ours.halo_px - 2


def test_a_network_with_a_memory_keeps_it(tmp_path: Path) -> None:
    """Case 91."""
    torch.manual_seed(0)
    network = Recurrent(scale=2, width=32, depth=1)
    with torch.no_grad():
        network.tail.weight.normal_(0, 0.05)
    weights = write_card(
        network.state_dict(),
        NetworkFacts("recurrent", {"width": 32, "depth": 1}, 2),
        folder=tmp_path,
        name="r-x2",
    )
    ours = find_cards(str(weights))[0]
    write_onnx(ours, tmp_path / "r.onnx")
    card = describe(str(tmp_path / "r.onnx"))
    assert (card.past, card.future, card.recurrent) == (ours.past, ours.future, True)
    seen = ours.past + 1 + ours.future
    states: list[Any] = [None, None]
    for _ in range(2):
        planes = torch.rand(1, seen, 32, 48), torch.rand(1, 2 * seen, 16, 24) - 0.5
        made = []
        for n, one in enumerate((ours, card)):
            with torch.inference_mode():
                out, states[n] = load_network(one).module(planes, states[n])  # type: ignore[call-arg]
            made.append(out)
        for a, b in zip(*made, strict=True):
            assert torch.allclose(a, b, atol=1e-4)


def test_an_onnx_file_is_kept_as_it_is_under_its_name(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path))
    card = install_model(str(exported), name="mine", facts={"licence": "MIT", "commercial": "yes"})
    assert Path(card.path).read_bytes() == exported.read_bytes()
    (found,) = find_cards("mine-x2")
    assert (found.path, found.architecture, found.licence) == (card.path, "onnx", "MIT")
    with pytest.raises(UsageError, match="is an ONNX file already"):
        write_onnx(found, tmp_path / "again.onnx")
