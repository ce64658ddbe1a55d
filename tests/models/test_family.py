"""What all networks of the wider family keep: their start as bicubic, how far a pixel reaches, seams, size."""

from __future__ import annotations

import pytest
import torch

from models.architectures import ARCHITECTURES
from models.errors import UsageError
from models.network import Planes
from models.packed import BicubicSkip, bicubic, pack, unpack
from pipelines.card import parameter_count
from pipelines.tiles import cut

FAMILY = [
    ("srcnn", 2), ("srcnn", 3), ("espcn", 2), ("espcn", 3), ("edsr", 2), ("progressive", 2), ("progressive", 4), ("backprojection", 2), ("cosine", 2),
    ("autoencoder", 2), ("deconvolution", 1), ("deconvolution", 2),
]  # fmt: skip
IDS = [f"{name}-x{scale}" for name, scale in FAMILY]


def frame(height: int, width: int, batch: int = 1) -> Planes:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 1, height, width, generator=generator), torch.rand(batch, 2, height // 2, width // 2, generator=generator) - 0.5


def awake(name: str, scale: int) -> BicubicSkip:
    """A network whose last layer does something, as after training."""
    torch.manual_seed(1)
    network: BicubicSkip = ARCHITECTURES[name](scale=scale)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return network.eval()


def test_planes_are_packed_and_unpacked_without_loss() -> None:
    planes = frame(24, 16, batch=2)
    for factor in (1, 2, 4):
        packed = pack(planes, factor)
        assert packed.shape == (2, 6 * factor * factor, 12 // factor, 8 // factor)
        assert all(torch.equal(a, b) for a, b in zip(unpack(packed), planes, strict=True))


@pytest.mark.parametrize(("name", "scale"), FAMILY, ids=IDS)
def test_it_begins_as_bicubic(name: str, scale: int) -> None:
    torch.manual_seed(0)
    planes = frame(24, 32, batch=2)
    with torch.inference_mode():
        result = ARCHITECTURES[name](scale=scale)(planes)
    assert all(torch.equal(a, b) for a, b in zip(result, bicubic(planes, scale), strict=True))


@pytest.mark.parametrize(("name", "scale"), FAMILY, ids=IDS)
def test_tiles_with_their_halo_equal_the_whole_frame(name: str, scale: int) -> None:
    network = awake(name, scale)
    multiple, halo = network.contract.size_multiple, network.contract.halo_px
    assert halo is not None
    height, width = 96, 128
    luma, chroma = frame(height, width)
    with torch.inference_mode():
        whole = network((luma, chroma))
        for part in cut(height, width, 32, 48, halo, multiple):
            top, bottom, left, right = part.halo_top, part.halo_bottom, part.halo_left, part.halo_right
            tile = network((luma[..., top:bottom, left:right], chroma[..., top // 2 : bottom // 2, left // 2 : right // 2]))
            for ours, all_of_it, by in zip(tile, whole, (1, 2), strict=True):
                rows, columns = ((a * scale // by, b * scale // by) for a, b in ((part.top, part.bottom), (part.left, part.right)))
                y, x = ((a * scale // by) for a in (part.top - top, part.left - left))
                kept = ours[..., y : y + rows[1] - rows[0], x : x + columns[1] - columns[0]]
                assert torch.allclose(kept, all_of_it[..., slice(*rows), slice(*columns)], atol=1e-5)


@pytest.mark.parametrize(("name", "scale"), FAMILY, ids=IDS)
def test_the_halo_is_not_far_larger_than_what_a_pixel_reaches(name: str, scale: int) -> None:
    network = awake(name, scale).double()
    halo = network.contract.halo_px
    assert halo is not None
    multiple = network.contract.size_multiple  # tiles begin and end between cells of so many luma pixels
    size = -(-4 * halo // multiple) * multiple
    first = size // 2 // multiple * multiple
    luma, chroma = (p.double() for p in frame(size, size))
    reached = 0
    for place in {first, first + multiple - 1}:
        changed = luma.clone()
        changed[..., place, size // 2] += 0.5
        with torch.inference_mode():
            difference = (network((luma, chroma))[0] - network((changed, chroma))[0]).abs()[0, 0].amax(1)
        rows = torch.nonzero(difference).flatten() // scale
        reached = max(reached, int(rows.max()) - first - multiple + 1, first - int(rows.min()))
    assert halo // 2 <= reached <= halo


@pytest.mark.parametrize(("name", "scale"), FAMILY, ids=IDS)
def test_it_stays_small(name: str, scale: int) -> None:
    assert parameter_count(ARCHITECTURES[name](scale=scale)) <= 300_000


@pytest.mark.parametrize(("name", "scale"), [("progressive", 3), ("backprojection", 3), ("deconvolution", 3)])
def test_scales_a_network_is_not_built_for_are_refused(name: str, scale: int) -> None:
    with pytest.raises(UsageError, match="scale = 3"):
        ARCHITECTURES[name](scale=scale)


def test_the_levels_of_a_pyramid_share_their_weights() -> None:
    two, four = awake("progressive", 2), ARCHITECTURES["progressive"](scale=4)
    four.load_state_dict(two.state_dict())
    assert torch.isfinite(four(frame(16, 16))[0]).all()
