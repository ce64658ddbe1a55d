"""The built-in trunk: its sizes, that it starts as bicubic, and its receptive field."""

from __future__ import annotations

import pytest
import torch

from models.architectures.compact import Compact
from models.layers.resampling import resample


def random_weights(network: Compact) -> Compact:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.1)
    return network.eval()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_untrained_network_is_bicubic(scale):
    luma, chroma = torch.rand(2, 1, 12, 16), torch.rand(2, 2, 6, 8) - 0.5
    with torch.inference_mode():
        out, out_chroma = Compact(scale=scale, width=32, depth=2)((luma, chroma))
    assert torch.allclose(out, resample(luma, 12 * scale, 16 * scale, "bicubic"))
    assert torch.allclose(out_chroma, resample(chroma, 6 * scale, 8 * scale, "bicubic", offset=(0.0, -0.25)))


@pytest.mark.parametrize("scale", [2, 3])
def test_halo_covers_all_that_a_pixel_reaches(scale):
    network = random_weights(Compact(scale=scale, width=32, depth=3))
    halo = network.contract.halo_px
    assert halo is not None
    size = 4 * halo
    luma, chroma = torch.rand(1, 1, size, size), torch.rand(1, 2, size // 2, size // 2) - 0.5
    changed = luma.clone()
    changed[..., size // 2, size // 2] += 0.5
    with torch.inference_mode():
        difference = (network((luma, chroma))[0] - network((changed, chroma))[0]).abs()[0, 0]
    rows = torch.nonzero(difference.amax(1)).flatten() // scale
    # Tiles begin and end between cells of 2x2 luma pixels, so it is the cell that counts.
    first, last = size // 2, size // 2 + 1
    assert int(rows.max()) - last <= halo
    assert first - int(rows.min()) <= halo
    assert int(rows.max()) - last > halo // 2, "the halo is far larger than needed"


def test_shipped_size_is_within_its_budget():
    assert sum(p.numel() for p in Compact(scale=2, width=32, depth=8).parameters()) <= 120_000
