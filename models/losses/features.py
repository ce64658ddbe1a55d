"""`load_features`: extractors of deep features for perceptual and cosine losses.

They are the autoencoder of this project, VGG19 or VGG16. VGG19's weights are the user's own: torchvision's
file (vgg19-*.pth) or the same tensors as safetensors. Its features are those of conv5_4 before its ReLU, as
in ESRGAN (Wang et al. 2018, arXiv:1809.00219). VGG16's weights are torchvision's or HED's (`backbones`); the
outputs of its first three stages are compared, each normalised by its own strength: edges and textures, at a
lower cost than deeper features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.architectures.autoencoder import Autoencoder
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.errors import UsageError
from models.layers.activations import relu_
from models.layers.resampling import resample
from models.layers.yuv_residual import LEFT_SITED
from models.losses.backbones import DEVIATION, MEAN, Backbone, read_weights
from models.network import Planes

__all__ = ["Features", "load_features"]


_VGG19 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)
"""Channels of its convolutions; 0 is a pooling."""
_LAST = "features.34.weight"
"""conv5_4, by torchvision's name."""


class Features(Protocol):
    """Deep features of planes."""

    def __call__(self, planes: Planes) -> list[Tensor]:
        """Luma (B,1,H,W), chroma (B,2,H/2,W/2) -> maps; H and W must be divisible by 16."""
        ...


def load_features(name_or_path: str, device: torch.device, stages: int = 3) -> Features:
    """Load the extractor of an autoencoder by name or file, or VGG19 or VGG16 from a file of weights.

    Its weights are frozen. stages: number of VGG16's stages to compare; the first ones are the cheapest.
    Raises UsageError for any other file, MediaError for a damaged one.
    """
    path = Path(name_or_path)
    weights = read_weights(path) if path.is_file() and not path.with_suffix(".toml").is_file() else None
    module: Any
    if weights is not None:
        module = _Vgg19(weights) if _LAST in weights else _vgg16(path, weights, stages)
    else:
        cards = [c for c in find_cards(name_or_path) if c.architecture == "autoencoder"]
        if not cards:
            raise UsageError(
                f"features {name_or_path!r}: expected an autoencoder, such as autoencoder-x2, or the weights"
                " of VGG19 or VGG16"
            )
        module = load_network(cards[0]).module
    module.requires_grad_(requires_grad=False)
    module.eval().to(device, memory_format=torch.channels_last)
    result: Features = module.encode if isinstance(module, Autoencoder) else module
    return result


def _vgg16(path: Path, weights: dict[str, Tensor], stages: int) -> nn.Module:
    backbone = Backbone.of(weights)
    if backbone is None or backbone.name != "vgg16":
        raise UsageError(
            f"{path}: has no tensor {_LAST}; expected the weights of VGG19 or VGG16 as torchvision names them"
        )
    module = _Vgg16(backbone, stages)
    with torch.no_grad():
        module.measure_strengths()
    return module


class _Vgg16(nn.Module):
    """The first stages of VGG16 (Simonyan & Zisserman 2014, arXiv:1409.1556)."""

    def __init__(self, backbone: Backbone, stages: int) -> None:
        super().__init__()
        self._stages = nn.ModuleList()
        for _, convolutions in backbone.stages[:stages]:
            layers = nn.ModuleList()
            for weight, bias in convolutions:
                layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
                layer.load_state_dict({"weight": weight, "bias": bias})
                layers.append(layer)
            self._stages.append(layers)
        self.strengths = [1.0] * stages
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, planes: Planes) -> list[Tensor]:
        """Planes, converted to R'G'B' by BT.601 and normalised as for ImageNet -> output of each stage."""
        x, found = (_rgb(planes) - self.mean) / self.deviation, []  # type: ignore[operator]
        for number, layers in enumerate(self._stages):
            x = F.max_pool2d(x, 2) if number else x
            for layer in layers:  # type: ignore[attr-defined]
                x = relu_(layer(x))
            found.append(x / self.strengths[number])
        return found

    def measure_strengths(self) -> None:
        """Normalise each stage by its output for noise, so that stages and weight files count equally."""
        generator = torch.Generator().manual_seed(0)
        luma = torch.rand(1, 1, 64, 64, generator=generator)
        self.strengths = [float(maps.mean()) for maps in self((luma, torch.zeros(1, 2, 32, 32)))]


class _Vgg19(nn.Module):
    """VGG19 up to conv5_4 (Simonyan & Zisserman 2014, arXiv:1409.1556)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for channels in _VGG19:
            if channels:
                layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
                inputs = channels
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-1])  # without the last ReLU
        own = self.state_dict()
        self.load_state_dict({name: weights[name].float() for name in own})
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, planes: Planes) -> list[Tensor]:
        """Planes, converted to R'G'B' by BT.601 and normalised as for ImageNet -> features."""
        return [self.features((_rgb(planes) - self.mean) / self.deviation)]


def _rgb(planes: Planes) -> Tensor:
    """(B,3,H,W) R'G'B' by BT.601."""
    luma, chroma = planes
    full = resample(
        chroma, luma.shape[-2], luma.shape[-1], "bilinear", offset=LEFT_SITED, out_offset=(0.0, 0.0)
    )
    red, blue = luma + 1.402 * full[:, 1:], luma + 1.772 * full[:, :1]
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return torch.cat([red, green, blue], 1)
