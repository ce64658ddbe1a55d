"""The classical scalers, compared with their definitions."""

from __future__ import annotations

import pytest
import torch

from models.architectures.interpolation import Interpolation
from models.layers.resampling import resample


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(18, 30), (9, 10), (27, 45), (13, 17), (4, 5)])
def test_a_constant_stays_constant_at_any_size(kernel: str, size: tuple[int, int]) -> None:
    out = resample(torch.full((1, 1, 9, 15), 0.3), *size, kernel)
    assert out.shape == (1, 1, *size)
    assert torch.allclose(out, torch.tensor(0.3), atol=1e-6)


def test_nearest_by_a_whole_factor_repeats() -> None:
    x = torch.rand(1, 1, 5, 7)
    assert torch.equal(resample(x, 15, 21, "nearest"), x.repeat_interleave(3, 2).repeat_interleave(3, 3))


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("factor", [2, 3])
def test_the_fast_way_by_phases_equals_the_definition(kernel: str, factor: int) -> None:
    from models.layers.resampling import _taps

    x = torch.rand(1, 1, 1, 11, dtype=torch.float64)
    positions, weights = _taps(11, 11 * factor, kernel, 0.0, 0.0)
    expected = []
    for row, factors in zip(positions, weights, strict=True):
        mirrored = [p % 22 if p % 22 < 11 else 21 - p % 22 for p in row]
        expected.append(sum(float(x[0, 0, 0, m]) * w for m, w in zip(mirrored, factors, strict=True)))
    found = resample(x, 1, 11 * factor, kernel)[0, 0, 0]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_a_ramp_stays_a_ramp_inside(kernel: str) -> None:
    ramp = torch.arange(32, dtype=torch.float64).reshape(1, 1, 1, 32)
    out = resample(ramp, 1, 64, kernel)[0, 0, 0, 8:-8]
    assert torch.allclose(out, (torch.arange(64, dtype=torch.float64)[8:-8] + 0.5) / 2 - 0.5, atol=1e-9)


def test_identity_hands_its_planes_on_and_names_reach_a_size() -> None:
    planes = (torch.rand(1, 1, 6, 8), torch.rand(1, 2, 3, 4))
    same = Interpolation("identity")(planes)
    assert same[0] is planes[0]
    assert same[1] is planes[1]
    luma, chroma = Interpolation("lanczos", height=13, width=17)(planes)
    assert luma.shape[-2:] == (13, 17)
    assert chroma.shape[-2:] == (7, 9)


def test_left_sited_chroma_moves_with_its_luma() -> None:
    """A chroma sample co-sited with luma column 2k lies at column 4k + 0.5 of a picture twice as wide."""
    x = torch.arange(16, dtype=torch.float64).reshape(1, 1, 1, 16)
    out = resample(x, 1, 32, "bilinear", offset=(0.0, -0.25))[0, 0, 0, 6:-6]
    at = torch.arange(32, dtype=torch.float64)[6:-6]
    assert torch.allclose(out, (at + 0.25) / 2 - 0.25 + 0.0, atol=1e-9)
