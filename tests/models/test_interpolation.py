"""Classical scaling: exact where it can be, at the right place, whatever the siting."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from models.interpolation import KERNELS, Interpolation, resample, resample_axis, upscale_plane


@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("size", [(31, 17), (7, 40), (96, 64), (20, 9)])
def test_flat_stays_flat(kernel, size):
    assert torch.allclose(resample(torch.full((1, 1, 24, 16), 0.3), *size, kernel), torch.tensor(0.3), atol=1e-6)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_ramp_stays_a_ramp_at_the_right_place(kernel, factor):
    line = torch.arange(32.0).reshape(1, 32)
    out = resample_axis(line, -1, 32 * factor, kernel)[0]
    expected = (torch.arange(32.0 * factor) + 0.5) / factor - 0.5
    inner = slice(4 * factor, -4 * factor)
    assert torch.allclose(out[inner], expected[inner], atol=1e-4)


@pytest.mark.parametrize("factor", [2, 3])
def test_sited_ramp_stays_at_its_siting(factor):
    offset = -0.25
    line = torch.arange(32.0).reshape(1, 32)
    out = resample_axis(line, -1, 32 * factor, "bicubic", in_offset=offset, out_offset=offset)[0]
    expected = (torch.arange(32.0 * factor) + 0.5 + offset) / factor - 0.5 - offset
    inner = slice(4 * factor, -4 * factor)
    assert torch.allclose(out[inner], expected[inner], atol=1e-4)


def test_bicubic_is_pillows():
    x = torch.rand(1, 1, 20, 30)
    ours = resample(x, 40, 60, "bicubic")[..., 6:-6, 6:-6]
    theirs = F.interpolate(x, (40, 60), mode="bicubic", antialias=True)[..., 6:-6, 6:-6]
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_shrinking_is_antialiased():
    stripes = (torch.arange(64) % 2).float().reshape(1, 64)
    shrunk = resample_axis(stripes, -1, 16, "lanczos")[:, 3:-3]
    assert (shrunk - 0.5).abs().max() < 0.05


@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_whole_factors_agree_with_the_general_way(kernel, factor, monkeypatch):
    x = torch.rand(1, 2, 11, 14)
    fast = resample(x, 11 * factor, 14 * factor, kernel, offset=(0.0, -0.25))
    monkeypatch.setattr("models.interpolation._phases", lambda *_: None)
    assert torch.allclose(fast, resample(x, 11 * factor, 14 * factor, kernel, offset=(0.0, -0.25)), atol=1e-6)


def test_nearest_repeats_pixels():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert torch.equal(resample(x, 4, 6, "nearest"), x.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_chroma_of_odd_pictures_goes_its_exact_way():
    chroma = torch.arange(5.0).repeat(1, 2, 3, 1)
    out = upscale_plane(chroma, (5, 9), (10, 18), "nearest", (0.0, 0.0))
    assert out.shape[-2:] == (5, 9)
    assert out[0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_identity_hands_on_what_it_gets():
    planes = torch.rand(1, 1, 4, 6), torch.rand(1, 2, 2, 3)
    assert Interpolation("identity")(planes) is planes
