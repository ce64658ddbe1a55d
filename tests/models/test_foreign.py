"""Other people's checkpoints: loaded through spandrel, measured, and never trusted."""

from __future__ import annotations

import os
import pickle
import zipfile

import pytest
import torch

from models.catalog import find, load_network
from models.errors import MediaError
from models.foreign import describe


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small SRVGGNetCompact with random weights, as Real-ESRGAN saves them."""
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(3)
    network = SRVGGNetCompact(num_in_ch=3, num_out_ch=3, num_feat=16, num_conv=3, upscale=2, act_type="prelu")
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save({"params": network.state_dict()}, path)
    return path


def test_scale_halo_and_precision_are_measured(checkpoint):
    card = describe(str(checkpoint))
    assert (card.scale, card.pixels, card.architecture) == (2, "rgb", "foreign")
    assert card.halo_px is not None
    assert card.halo_px >= 5  # five 3x3 convolutions
    assert card.parameters > 0


def test_name_of_a_file_is_a_network(checkpoint):
    (card,) = find(str(checkpoint))
    network = load_network(card)
    with torch.inference_mode():
        assert network.module(torch.rand(1, 3, 9, 7)).shape == (1, 3, 18, 14)  # type: ignore[arg-type, attr-defined]


def test_file_changed_since_it_was_described_is_refused(checkpoint, tmp_path):
    copy = tmp_path / "copy.pth"
    copy.write_bytes(checkpoint.read_bytes())
    card = describe(str(copy))
    with copy.open("ab") as file:
        file.write(b"x")
    with pytest.raises(MediaError, match="changed"):
        load_network(card)


def test_pickle_that_would_run_something_does_not(tmp_path):
    mark = tmp_path / "it-ran"

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {mark}",)

    path = tmp_path / "hostile.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hostile/data.pkl", pickle.dumps(Hostile()))
        archive.writestr("hostile/version", "3")
    with pytest.raises(MediaError):
        find(str(path))
    assert not mark.exists()


def test_text_is_no_checkpoint(tmp_path):
    path = tmp_path / "notes.pth"
    path.write_text("not a network")
    with pytest.raises(MediaError, match="is not a network we can load"):
        find(str(path))
