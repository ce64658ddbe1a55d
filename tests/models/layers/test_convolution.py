from __future__ import annotations

import pytest
import torch
from torch import nn

from models.architectures.compact import Compact
from models.layers.convolution import convolve, pack_weights


@pytest.fixture
def able() -> None:
    if not pack_weights(nn.Conv2d(4, 4, 3)):
        pytest.skip("this build of torch has no oneDNN convolutions")


@pytest.mark.usefixtures("able")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "relu"),
    [(6, 32, 3, True), (32, 32, 3, True), (32, 24, 3, False), (6, 64, 5, True)],
)
def test_packed_weights_give_the_bits_of_the_plain_layer(
    inputs: int, outputs: int, size: int, relu: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2).to(memory_format=torch.channels_last)
    x = torch.randn(1, inputs, 37, 53).to(dtype).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            plain = layer(x)
        assert pack_weights(layer, dtype)
        packed = convolve(layer, x, relu=relu)
    assert packed.dtype == dtype
    assert torch.equal(packed, plain.relu() if relu else plain)


def test_in_training_weights_are_never_taken_from_the_packed_copy() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1)
    pack_weights(layer)
    with torch.no_grad():
        layer.weight.zero_()
    result = convolve(layer, torch.ones(1, 4, 8, 8).bfloat16().float(), relu=True)
    result.sum().backward()
    assert layer.weight.grad is not None
    assert torch.equal(result, layer.bias.detach().clamp_min(0)[None, :, None, None].expand(1, 4, 8, 8))  # type: ignore[union-attr]


def test_without_onednn_nothing_is_packed_and_everything_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight", raising=False)
    network = Compact(scale=2, width=32, depth=1)
    assert not pack_weights(network)
    with torch.inference_mode():
        luma, _ = network((torch.rand(1, 1, 8, 8), torch.zeros(1, 2, 4, 4)))
    assert luma.shape == (1, 1, 16, 16)
