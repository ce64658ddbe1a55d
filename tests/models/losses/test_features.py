from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.architectures.autoencoder import Autoencoder
from models.errors import MediaError, UsageError
from models.losses.features import load_features
from models.network import Planes
from pipelines.model_files.card_writer import NetworkFacts, export

CPU = torch.device("cpu")


def planes(side: int = 32) -> Planes:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, 1, side, side, generator=generator), torch.rand(
        1, 2, side // 2, side // 2, generator=generator
    ) - 0.5


def test_an_autoencoder_s_encoder_gives_three_maps_and_is_frozen(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Autoencoder(scale=2, width=16)
    path = export(
        network.state_dict(),
        NetworkFacts("autoencoder", {"width": 16}, 2),
        folder=tmp_path,
        name="own-x2",
    )
    luma, chroma = planes()
    maps = load_features(str(path), CPU)((luma.requires_grad_(), chroma))
    assert [tuple(m.shape) for m in maps] == [(1, 16, 16, 16), (1, 32, 8, 8), (1, 64, 4, 4)]
    sum(m.sum() for m in maps).backward()  # type: ignore[union-attr]
    assert luma.grad is not None
    assert luma.grad.abs().sum() > 0


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_vgg19_is_read_by_torchvision_s_names(tmp_path: Path, suffix: str) -> None:
    """Weights that pass on the first colour: only the poolings, and the normalisation, are left of it."""
    channels = [3, 64, 64, 128, 128, *[256] * 4, *[512] * 8]
    indexes = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    weights = {}
    for index, before, behind in zip(indexes, channels, channels[1:], strict=False):
        weights[f"features.{index}.weight"] = torch.zeros(behind, before, 3, 3, dtype=torch.float16)
        weights[f"features.{index}.weight"][0, 0, 1, 1] = 1
        weights[f"features.{index}.bias"] = torch.zeros(behind, dtype=torch.float16)
    path = tmp_path / f"vgg19{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    grey = torch.full((1, 1, 32, 32), 0.8), torch.zeros(1, 2, 16, 16)
    (found,) = load_features(str(path), CPU)(grey)
    assert found.shape == (1, 512, 2, 2)
    assert torch.allclose(found[:, 0], torch.full((1, 2, 2), (0.8 - 0.485) / 0.229), atol=1e-3)
    assert not found[:, 1:].any()


def test_what_has_no_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected an autoencoder"):
        load_features("fast-x2", CPU)
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match=r"features\.34"):
        load_features(str(tmp_path / "a.safetensors"), CPU)
    (tmp_path / "b.pth").write_bytes(b"damaged")
    with pytest.raises(MediaError, match="can't be read"):
        load_features(str(tmp_path / "b.pth"), CPU)
