from __future__ import annotations

import pytest
import torch

from models.architectures.compact import Compact
from models.architectures.recurrent import Recurrent
from models.network import Planes
from pipelines.training.weight_transfer import transfer_weights


def trained(scale: int = 2, width: int = 32, depth: int = 2) -> Compact:
    """A network whose last layer does something."""
    torch.manual_seed(3)
    network = Compact(scale=scale, width=width, depth=depth)
    with torch.no_grad():
        network.tail.weight.normal_(0, 0.05)
    return network.eval()


def clip(frames: int) -> Planes:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(frames, 1, 24, 32, generator=generator), torch.rand(
        frames, 2, 12, 16, generator=generator
    ) - 0.5


@pytest.mark.parametrize(("width", "depth"), [(32, 2), (64, 2), (32, 5), (64, 4)])
def test_a_wider_and_deeper_network_begins_as_the_small_one(width: int, depth: int) -> None:
    small, large = trained(), Compact(scale=2, width=width, depth=depth).eval()
    weights, taken = transfer_weights(large, small.state_dict())
    large.load_state_dict(weights)
    assert taken == set(small.state_dict())
    with torch.inference_mode():
        for ours, theirs in zip(large(clip(1)), small(clip(1)), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_recurrent_network_begins_as_the_single_frame_network_for_any_neighbours_and_state() -> None:
    small, large = trained(depth=3), Recurrent(scale=2, width=64, depth=4).eval()
    weights, _ = transfer_weights(large, small.state_dict())
    large.load_state_dict(weights)
    luma, chroma = clip(3)
    state = torch.rand(1, 64, 12, 16)
    with torch.inference_mode():
        result, _ = large((luma.reshape(1, 3, 24, 32), chroma.reshape(1, 6, 12, 16)), state)
        wanted = small((luma[1:2], chroma[1:2]))
    for ours, theirs in zip(result, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_new_channels_are_not_asleep() -> None:
    """They hear the old ones, and a gradient reaches what will carry them on."""
    large = Compact(scale=2, width=64, depth=2)
    large.load_state_dict(transfer_weights(large, trained().state_dict())[0])
    luma, chroma = large(clip(2))
    (luma.square().mean() + chroma.square().mean()).backward()  # type: ignore[no-untyped-call]
    assert large.tail.weight.grad is not None
    assert (large.tail.weight.grad[:, 32:].abs().sum((0, 2, 3)) > 0).float().mean() > 0.5


def test_the_last_layer_of_another_scale_is_not_taken_over() -> None:
    large = Compact(scale=4, width=32, depth=2)
    _, taken = transfer_weights(large, trained().state_dict())
    assert not {name for name in taken if name.startswith("tail.")}
    assert "head.weight" in taken


def test_a_larger_network_does_not_shrink_into_a_smaller_one() -> None:
    small = Compact(scale=2, width=32, depth=1)
    weights, taken = transfer_weights(small, trained(width=64).state_dict())
    assert {name for name in taken if "weight" in name} == set()
    assert torch.equal(weights["head.weight"], small.head.weight)
