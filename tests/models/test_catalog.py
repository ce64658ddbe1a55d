"""Names of networks, their cards, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from models.catalog import cards, default_model, find, load_network, sha256_of
from models.compact import Compact
from models.errors import MediaError, UsageError


def write_network(folder, name="mine-x2", *, sha256=None, **changes):
    network = Compact(scale=2, width=32, depth=2)
    path = folder / f"{name}.safetensors"
    save_file({k: v.half() for k, v in network.state_dict().items()}, path)
    table = {"scale": 2, "architecture": '"compact"', "sha256": f'"{sha256 or sha256_of(path)}"', **changes}
    text = "".join(f"{k} = {v}\n" for k, v in table.items()) + "[settings]\nwidth = 32\ndepth = 2\n"
    path.with_suffix(".toml").write_text(text)
    return path


def test_classical_scalers_are_always_there():
    names = {c.name for c in cards()}
    assert {"identity", "nearest", "bilinear", "bicubic", "lanczos"} <= names


def test_shipped_networks_load_and_are_what_their_cards_say():
    shipped = [c for c in cards() if c.path]
    assert shipped
    for card in shipped:
        network = load_network(card)
        parameters = sum(p.numel() for p in network.module.parameters())  # type: ignore[attr-defined]
        assert (parameters, network.contract.scale, network.contract.halo_px) == (card.parameters, card.scale, card.halo_px)


def test_default_is_the_first_family_there_is():
    assert default_model() == "fast"
    assert {c.family for c in find("fast")} == {"fast"}


def test_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(UsageError, match="did you mean lanczos"):
        find("lancos")


def test_file_with_card_is_a_network(tmp_path):
    (card,) = find(str(write_network(tmp_path)))
    assert card.name == "mine-x2"
    with torch.inference_mode():
        luma, _ = load_network(card).module((torch.rand(1, 1, 8, 8), torch.zeros(1, 2, 4, 4)))
    assert luma.shape == (1, 1, 16, 16)


def test_weights_that_are_not_those_of_the_card_are_refused(tmp_path):
    path = write_network(tmp_path, sha256="0" * 64)
    with pytest.raises(MediaError, match="not the file its card describes"):
        find(str(path))


def test_tensors_of_another_shape_are_refused(tmp_path):
    path = write_network(tmp_path)
    card_path = path.with_suffix(".toml")
    card_path.write_text(card_path.read_text().replace("depth = 2", "depth = 3"))
    with pytest.raises(MediaError, match="body"):
        load_network(find(str(path))[0])


def test_unknown_architecture_is_refused(tmp_path):
    (card,) = find(str(write_network(tmp_path, architecture='"mystery"')))
    with pytest.raises(MediaError, match="mystery"):
        load_network(card)


def test_reading_cards_loads_no_torch():
    code = "import sys; from models.catalog import cards; cards(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
