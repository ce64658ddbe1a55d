from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.layers import activations
from models.layers.activations import Prelu


def layers(parameters: int) -> tuple[Prelu, nn.PReLU]:
    ours, theirs = Prelu(parameters), nn.PReLU(parameters)
    with torch.no_grad():
        theirs.weight.copy_(torch.linspace(-0.5, 1.5, parameters))
        ours.weight.copy_(theirs.weight)
    return ours, theirs


def picture(dtype: torch.dtype, channels: int = 24) -> Tensor:
    x = (
        torch.randn(2, channels, 9, 7, generator=torch.Generator().manual_seed(3))
        * torch.logspace(-30, 30, 9)[:, None]
    )
    x[0, 0, 0, :4] = torch.tensor([0.0, -0.0, float("inf"), float("-inf")])
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("parameters", [1, 24])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_bits_are_those_of_torch_and_lie_where_the_input_lay(dtype: torch.dtype, parameters: int) -> None:
    if not activations._kernels():
        pytest.skip("numba is not installed here")
    (ours, theirs), x = layers(parameters), picture(dtype)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        wanted = theirs(x)
        found = ours(x)
    assert found.data_ptr() == x.data_ptr()
    assert torch.equal(found, wanted)


def test_nan_stays_nan() -> None:
    """A sick network is noticed by it."""
    ours, _ = layers(24)
    for dtype in (torch.float32, torch.bfloat16):
        x = picture(dtype)
        x[1, 5, 3, 2] = float("nan")
        with torch.inference_mode():
            assert ours(x)[1, 5, 3, 2].isnan()


@pytest.mark.parametrize("why", ["gradients", "another order of memory", "another type"])
def test_elsewhere_it_is_torch_s_own_and_leaves_its_input_alone(why: str) -> None:
    ours, theirs = layers(24)
    x = picture(torch.float32)
    x = x.contiguous() if why == "another order of memory" else x.double() if why == "another type" else x
    ours, theirs = (layer.to(x.dtype) for layer in (ours, theirs))
    before = x.clone()
    with torch.set_grad_enabled(why == "gradients"):
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(x, before)
