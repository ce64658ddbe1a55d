"""Properties that all networks of the wider family must keep.

They start as bicubic; their receptive field, seams and size are as declared.
"""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from models.architectures.diffusion import Diffusion
from models.architectures.registry import ARCHITECTURES
from models.architectures.vae import Vae
from models.errors import UsageError
from models.layers.yuv_residual import BicubicSkip, bicubic, pack, unpack
from models.losses.discriminator import Discriminator
from models.network import Planes
from pipelines.model_files.card_writer import parameter_count
from pipelines.plan.tiling import cut_tiles

FAMILY = [
    ("srcnn", 2), ("srcnn", 3), ("espcn", 2), ("espcn", 3), ("edsr", 2), ("progressive", 2), ("progressive", 4), ("backprojection", 2), ("cosine", 2),
    ("autoencoder", 2), ("deconvolution", 1), ("deconvolution", 2), ("adversarial", 2), ("vae", 2), ("diffusion", 2),
]  # fmt: skip
IDS = [f"{name}-x{scale}" for name, scale in FAMILY]


def frame(height: int, width: int, batch: int = 1) -> Planes:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 1, height, width, generator=generator), torch.rand(
        batch, 2, height // 2, width // 2, generator=generator
    ) - 0.5


def awake(name: str, scale: int) -> BicubicSkip:
    """A network whose last layer does something, as after training."""
    torch.manual_seed(1)
    network: BicubicSkip = ARCHITECTURES[name](scale=scale, **({"steps": 1} if name == "diffusion" else {}))
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


@pytest.mark.parametrize(("name", "scale"), [f for f in FAMILY if f[0] != "diffusion"], ids=str)
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
        placed = network.contract.placed
        for part in cut_tiles((height, width), (32, 48), halo, multiple):
            top, bottom, left, right = part.halo_top, part.halo_bottom, part.halo_left, part.halo_right
            planes = (
                luma[..., top:bottom, left:right],
                chroma[..., top // 2 : bottom // 2, left // 2 : right // 2],
            )
            tile = network(planes, at=(top, left)) if placed else network(planes)
            for ours, all_of_it, by in zip(tile, whole, (1, 2), strict=True):
                rows, columns = (
                    (a * scale // by, b * scale // by)
                    for a, b in ((part.top, part.bottom), (part.left, part.right))
                )
                y, x = ((a * scale // by) for a in (part.top - top, part.left - left))
                kept = ours[..., y : y + rows[1] - rows[0], x : x + columns[1] - columns[0]]
                assert torch.allclose(kept, all_of_it[..., slice(*rows), slice(*columns)], atol=1e-5)


@pytest.mark.parametrize(("name", "scale"), FAMILY, ids=IDS)
def test_the_halo_is_not_far_larger_than_what_a_pixel_reaches(name: str, scale: int) -> None:
    network = awake(name, scale)
    halo = network.contract.halo_px
    assert halo is not None
    multiple = network.contract.size_multiple  # tiles begin and end between cells of so many luma pixels
    size = -(-4 * halo // multiple) * multiple
    first = size // 2 // multiple * multiple
    luma, chroma = frame(size, size)
    reached = 0
    for place in {first, first + multiple - 1}:
        changed = luma.clone()
        changed[..., place, size // 2] += 0.5
        with torch.inference_mode():
            before, after = (unpack(network.residual(x, chroma))[0] for x in (luma, changed))
        rows = torch.nonzero((before - after).abs()[0, 0].amax(1) > 1e-9).flatten() // scale
        reached = max(reached, int(rows.max()) - first - multiple + 1, first - int(rows.min()))
    assert halo // 2 <= reached <= halo


@pytest.mark.parametrize(("name", "scale"), FAMILY, ids=IDS)
def test_it_stays_small(name: str, scale: int) -> None:
    assert parameter_count(ARCHITECTURES[name](scale=scale)) <= (
        1_000_000 if name == "diffusion" else 300_000
    )


@pytest.mark.parametrize(("name", "scale"), [("progressive", 3), ("backprojection", 3), ("deconvolution", 3)])
def test_scales_a_network_is_not_built_for_are_refused(name: str, scale: int) -> None:
    with pytest.raises(UsageError, match="scale = 3"):
        ARCHITECTURES[name](scale=scale)


def test_the_noise_of_diffusion_is_a_field_of_the_frame() -> None:
    """The same for every frame, seen alike from every tile, another for another seed."""
    network = Diffusion(scale=2, width=32)
    cpu = torch.device("cpu")
    whole = network.noise(40, 60, (0, 0), cpu)
    assert torch.equal(network.noise(16, 20, (24, 36), cpu), whole[..., 12:28, 18:38])
    assert torch.equal(Diffusion(scale=2, width=32).noise(40, 60, (0, 0), cpu), whole)
    assert not torch.equal(Diffusion(scale=2, width=32, seed=1).noise(40, 60, (0, 0), cpu), whole)
    assert whole.mean().abs() < 0.02
    assert abs(whole.std().item() - 1) < 0.02


def test_frames_of_a_still_scene_stay_the_same_under_diffusion() -> None:
    network = awake("diffusion", 2)
    luma, chroma = frame(32, 32)
    with torch.inference_mode():
        result, _ = network((luma.repeat(3, 1, 1, 1), chroma.repeat(3, 1, 1, 1)))
        alone, _ = network((luma, chroma))
    assert torch.allclose(result, alone.expand(3, -1, -1, -1), atol=1e-6)


@pytest.mark.parametrize("prediction", ["v", "epsilon"])
def test_diffusion_that_predicts_the_truth_ends_at_it(prediction: Literal["v", "epsilon"]) -> None:
    """Deterministic steps with an oracle in the place of the U-Net lead from noise to the very residual."""

    class Oracle(Diffusion):
        def predict(self, x: torch.Tensor, frame: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            signal, hidden = torch.cos(torch.pi / 2 * time), torch.sin(torch.pi / 2 * time)
            noise = (x - signal[:, None, None, None] * truth) / hidden[:, None, None, None]
            return (
                signal[:, None, None, None] * noise - hidden[:, None, None, None] * truth
                if prediction == "v"
                else noise
            )

    truth = torch.randn(1, 24, 8, 8, generator=torch.Generator().manual_seed(0))
    network = Oracle(scale=2, width=32, prediction=prediction)
    found = network.sample(
        torch.zeros(1, 6, 8, 8), torch.randn(1, 24, 8, 8, generator=torch.Generator().manual_seed(1)), 4
    )
    assert torch.allclose(found, truth, atol=1e-4)


def test_a_discriminator_gives_a_logit_a_patch() -> None:
    torch.manual_seed(0)
    assert Discriminator(width=16)(frame(64, 32, batch=2)).shape == (2, 1, 8, 4)


def test_a_vae_draws_near_its_mean_and_uses_the_mean() -> None:
    network = awake("vae", 2)
    assert isinstance(network, Vae)
    planes = frame(32, 32)
    with torch.inference_mode():
        near, mean, log_variance = network.encode(*planes)
        assert mean.shape == log_variance.shape == (1, 32, 8, 8)
        assert torch.equal(network.residual(*planes), network.decode(near, mean))
        assert not torch.equal(
            network.residual(*planes), network.decode(near, mean + (0.5 * log_variance).exp())
        )


def test_the_levels_of_a_pyramid_share_their_weights() -> None:
    two, four = awake("progressive", 2), ARCHITECTURES["progressive"](scale=4)
    four.load_state_dict(two.state_dict())
    assert torch.isfinite(four(frame(16, 16))[0]).all()
