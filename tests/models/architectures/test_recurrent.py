from __future__ import annotations

import pytest
import torch

from models.architectures.recurrent import Recurrent
from models.network import Planes
from pipelines.frames.reference_upscaler import classical, upscale, window
from pipelines.model_files.card_writer import parameter_count


def awake(scale: int = 2, depth: int = 2) -> Recurrent:
    """A network whose last layer does something, as after training."""
    torch.manual_seed(0)
    network = Recurrent(scale=scale, width=32, depth=depth)
    with torch.no_grad():
        network.tail.weight.normal_(0, 0.02)
    return network.eval()


def clip(frames: int = 6, height: int = 32, width: int = 48) -> Planes:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(frames, 1, height, width, generator=generator), torch.rand(
        frames, 2, height // 2, width // 2, generator=generator
    ) - 0.5


@pytest.mark.parametrize("scale", [2, 4])
def test_untrained_it_is_bicubic_of_the_middle_frame(scale: int) -> None:
    planes = clip(3)
    (luma, chroma), state = Recurrent(scale=scale)(window(planes, 1, Recurrent(scale=scale).contract))
    plain = classical((planes[0][1:2], planes[1][1:2]), scale, "bicubic")
    assert torch.equal(luma, plain[0])
    assert torch.equal(chroma, plain[1])
    assert state.shape == (1, 64, 16, 24)


def test_the_family_stays_within_its_size() -> None:
    assert parameter_count(Recurrent(scale=4)) <= 1_300_000


def test_no_state_is_a_state_of_zeros_and_another_state_is_not() -> None:
    network = awake()
    seen = window(clip(), 2, network.contract)
    with torch.inference_mode():
        (plain, _), next_state = network(seen, None)
        (zeros, _), _ = network(seen, torch.zeros(1, 32, 16, 24))
        (later, _), _ = network(seen, next_state)
    assert torch.equal(plain, zeros)
    assert not torch.equal(plain, later)


def test_it_sees_one_frame_ahead_and_no_further() -> None:
    network, planes = awake(), clip()
    changed = (planes[0].clone(), planes[1])
    changed[0][4] += 0.5
    a, b = upscale(network, planes)[0], upscale(network, changed)[0]
    same = [torch.equal(x, y) for x, y in zip(a, b, strict=True)]
    assert same == [True, True, True, False, False, False]


def test_tiles_with_their_halo_and_a_whole_frame_state_equal_the_whole_frame() -> None:
    network = awake(depth=1)
    halo = network.contract.halo_px
    assert halo == 6
    luma, chroma = window(clip(3, 64, 64), 1, network.contract)
    state = torch.rand(1, 32, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        (whole, _), whole_state = network((luma, chroma), state)
        stop = 32 + halo
        (part, _), part_state = network(
            (luma[..., :stop, :], chroma[..., : stop // 2, :]), state[..., : stop // 2, :]
        )
    # The bicubic skip is resampled from a shorter line in the tile, which may round differently in the last
    # bit.
    assert torch.allclose(part[..., :64, :], whole[..., :64, :], atol=1e-6)
    assert torch.allclose(part_state[..., :16, :], whole_state[..., :16, :], atol=1e-6)


def test_gradients_reach_back_through_the_state() -> None:
    network, planes = awake(), clip(3)
    first = planes[0].clone().requires_grad_()
    state = None
    for now in range(3):
        (luma, _), state = network(window((first, planes[1]), now, network.contract), state)
    luma.sum().backward()
    assert first.grad is not None
    assert (
        first.grad[0].abs().sum() > 0
    )  # the last result sees frames 1 and 2 itself, frame 0 only through the state
