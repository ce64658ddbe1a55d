"""Third-party files are loaded as data, never as code. Case 77."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import MediaError


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.mark}'",)


def test_a_pickle_that_would_run_something_runs_nothing(tmp_path: Path) -> None:
    """Case 77."""
    path, mark = tmp_path / "evil.pth", tmp_path / "executed"
    path.write_bytes(pickle.dumps({"params": _Evil(mark)}))
    with pytest.raises(MediaError, match=r"evil\.pth: is not a network"):
        find_cards(str(path))
    assert not mark.exists()


@pytest.mark.slow
def test_a_known_checkpoint_becomes_an_rgb_network(shared_data: Path) -> None:
    import torch

    (card,) = find_cards(str(shared_data / "weights/srvgg_realesr/realesr-animevideov3.pth"))
    assert (card.scale, card.pixels, card.architecture) == (4, "rgb", "foreign")
    network = load_network(card)
    with torch.inference_mode():
        assert network.module(torch.rand(1, 3, 16, 16)).shape == (1, 3, 64, 64)  # type: ignore[arg-type, attr-defined]


def test_a_pickle_is_kept_as_data_and_opened_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from safetensors.torch import load_file
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    from pipelines.model_files.install import install_model

    monkeypatch.setenv("VSR_DATA_HOME", str(tmp_path / "home"))
    weights = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2).state_dict()
    torch.save(weights, tmp_path / "chain.pth")
    monkeypatch.setattr(torch, "load", None)
    kept = install_model(str(tmp_path / "chain.pth"))
    assert kept.name == "chain-x2"
    assert all(torch.equal(tensor, weights[name]) for name, tensor in load_file(kept.path).items())


def test_a_chain_of_convolutions_reaches_as_far_as_its_radii_together(tmp_path: Path) -> None:
    """Not farther: each pixel of a halo is computed for every tile."""
    import torch
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    path = tmp_path / "chain.pth"
    torch.manual_seed(0)
    network = SRVGGNetCompact(num_feat=8, num_conv=3, upscale=2)
    torch.save(network.state_dict(), path)
    (card,) = find_cards(str(path))
    assert card.halo_px == 5
    loaded, picture = load_network(card).module, torch.rand(1, 3, 40, 40)
    with torch.inference_mode():
        whole, part = loaded(picture)[..., 20:60, 20:60], loaded(picture[..., 5:35, 5:35])[..., 10:50, 10:50]  # type: ignore[operator]
        assert torch.equal(whole, network(picture)[..., 20:60, 20:60])
    assert (whole - part).abs().max() < 1e-6
