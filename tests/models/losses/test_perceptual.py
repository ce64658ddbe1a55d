"""LPIPS and DISTS with backbones of random weights.

Properties that hold for any weights, and the formulas computed in another way.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.errors import MediaError, UsageError
from models.losses.backbones import Backbone
from models.losses.dists import Dists
from models.losses.lpips import Lpips

ALEXNET = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG16 = {
    0: (64, 3, 3), 2: (64, 64, 3), 5: (128, 64, 3), 7: (128, 128, 3), 10: (256, 128, 3), 12: (256, 256, 3), 14: (256, 256, 3), 17: (512, 256, 3),
    19: (512, 512, 3), 21: (512, 512, 3), 24: (512, 512, 3), 26: (512, 512, 3), 28: (512, 512, 3),
}  # fmt: skip
WIDTHS = {"alexnet": (64, 192, 384, 256, 256), "vgg16": (64, 128, 256, 512, 512)}


def backbone(table: dict[int, tuple[int, int, int]], seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    weights = {}
    for number, (outputs, inputs, size) in table.items():
        weights[f"features.{number}.weight"] = (
            torch.randn(outputs, inputs, size, size, generator=draw) * (2 / (inputs * size * size)) ** 0.5
        )
        weights[f"features.{number}.bias"] = torch.randn(outputs, generator=draw) * 0.1
    return {**weights, "classifier.1.weight": torch.zeros(3, 3)}


def heads(name: str) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(9)
    return {
        f"lin{n}.model.1.weight": torch.rand(1, width, 1, 1, generator=draw)
        for n, width in enumerate(WIDTHS[name])
    }


def saved(folder: Path, name: str, weights: dict[str, Tensor]) -> str:
    torch.save(weights, folder / name)
    return str(folder / name)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("weights")
    weights = {
        "alexnet": backbone(ALEXNET), "vgg16": backbone(VGG16), "alex-heads": heads("alexnet"), "vgg-heads": heads("vgg16"),
        "dists": {"alpha": torch.rand(1, 1475, 1, 1), "beta": torch.rand(1, 1475, 1, 1)},
    }  # fmt: skip
    return {name: saved(folder, f"{name}.pth", content) for name, content in weights.items()}


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor, Tensor]:
    """A picture, the same with a little and with much noise."""
    draw = torch.Generator().manual_seed(1)
    x = F.interpolate(torch.rand(2, 3, 12, 16, generator=draw), scale_factor=6, mode="bicubic").clamp(0, 1)
    noise = torch.randn(x.shape, generator=draw)
    return x, (x + 0.02 * noise).clamp(0, 1), (x + 0.2 * noise).clamp(0, 1)


@pytest.mark.parametrize(
    ("kind", "names"),
    [(Lpips, ("alexnet", "alex-heads")), (Lpips, ("vgg-heads", "vgg16")), (Dists, ("dists", "vgg16"))],
)
def test_distances_are_nothing_for_equal_pictures_symmetric_and_grow_with_noise(
    kind: type[Lpips | Dists],
    names: tuple[str, str],
    files: dict[str, str],
    pictures: tuple[Tensor, Tensor, Tensor],
) -> None:
    measure = kind.read(tuple(files[name] for name in names))
    x, near, far = pictures
    assert measure(x, x).abs().max() < 1e-5
    assert measure(x, near).shape == (2,)
    assert torch.allclose(measure(x, near), measure(near, x), atol=1e-6)
    assert (measure(x, near) > 0).all()
    assert (measure(x, far) > 2 * measure(x, near)).all()
    assert torch.allclose(
        measure(x, far)[1:], measure(x[1:], far[1:]), atol=1e-5
    )  # pictures of a batch do not touch each other


def test_lpips_is_the_formula_of_its_paper(
    files: dict[str, str], pictures: tuple[Tensor, Tensor, Tensor]
) -> None:
    """Layer by layer with torch's modules, as torchvision builds AlexNet."""
    weights, weighting = backbone(ALEXNET), heads("alexnet")
    layers: list[torch.nn.Module] = []
    for number, (outputs, inputs, size) in ALEXNET.items():
        layer = torch.nn.Conv2d(inputs, outputs, size, 4 if size == 11 else 1, 2 if size == 11 else size // 2)
        layer.load_state_dict(
            {"weight": weights[f"features.{number}.weight"], "bias": weights[f"features.{number}.bias"]}
        )
        layers += [layer, torch.nn.ReLU(), *([torch.nn.MaxPool2d(3, 2)] if number in {0, 3} else [])]
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    found = []
    for picture in pictures[::2]:
        x, taps = (picture - mean[:, None, None]) / deviation[:, None, None], []
        for layer in layers:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                taps.append(F.normalize(x, dim=1))
        found.append(taps)
    expected = sum(
        (weighting[f"lin{n}.model.1.weight"] * (a - b) ** 2).sum(1).mean((1, 2))
        for n, (a, b) in enumerate(zip(*found, strict=True))
    )
    # The authors' constants are ImageNet's mean and deviation rounded to three digits.
    assert torch.allclose(
        Lpips.read((files["alexnet"], files["alex-heads"]))(pictures[0], pictures[2]), expected, rtol=0.02
    )


def test_dists_counts_texture_and_structure_apart(files: dict[str, str]) -> None:
    """With all weight on the picture itself.

    Brighter by a constant changes its texture term, a shift of noise its structure.
    """
    alpha, beta = torch.zeros(1475), torch.zeros(1475)
    alpha[:3] = 1
    vgg = Backbone.of(backbone(VGG16))
    assert vgg is not None
    x = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(3)) * 0.5
    texture, structure = Dists(vgg, alpha, beta), Dists(vgg, beta, alpha)
    assert structure(x, x + 0.3).abs().item() < 1e-4
    a, b = x.mean((2, 3)), x.mean((2, 3)) + 0.3
    assert texture(x, x + 0.3).item() == pytest.approx(
        1 - ((2 * a * b) / (a * a + b * b)).mean().item(), abs=1e-4
    )
    assert structure(x, x.roll(7, -1)).item() > 0.8  # noise beside itself has nothing in common
    assert texture(x, x.roll(7, -1)).abs().item() < 1e-5


@pytest.mark.parametrize(("kind", "names"), [
    (Lpips, ("alex-heads",)), (Lpips, ("alexnet",)), (Lpips, ("vgg16", "alex-heads")), (Dists, ("vgg16",)), (Dists, ("alexnet", "dists")),
    (Dists, ("dists",)),
])  # fmt: skip
def test_files_that_do_not_belong_together_are_refused(
    kind: type[Lpips | Dists], names: tuple[str, ...], files: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="torchvision's"):
        kind.read(tuple(files[name] for name in names))


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "no.pth").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="no.pth"):
        Lpips.read((str(tmp_path / "no.pth"), files["alexnet"]))


def test_the_authors_heads_fit(
    shared_data: Path, files: dict[str, str], pictures: tuple[Tensor, Tensor, Tensor]
) -> None:
    folder = shared_data / "weights"
    for head, net in (("alex", "alexnet"), ("vgg", "vgg16")):
        measure = Lpips.read((str(folder / "lpips" / "v0.1" / f"{head}.pth"), files[net]))
        assert measure(pictures[0], pictures[2]).min() > measure(pictures[0], pictures[1]).max() > 0
    dists = Dists.read((str(folder / "dists" / "DISTS_pytorch" / "weights.pt"), files["vgg16"]))
    assert dists(pictures[0], pictures[2]).min() > dists(pictures[0], pictures[1]).max() > 0
