"""`adversarial`: the discriminators that distinguish images of a generator from real ones.

SRGAN (Ledig et al. 2017, arXiv:1609.04802) with blocks without normalisation (ESRGAN, Wang et al. 2018,
arXiv:1809.00219). The generator is the network of `edsr` and can start from its weights, as in the papers.
The discriminator is used in training only, and judges every patch separately (Isola et al. 2017,
arXiv:1611.07004).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from models.layers.yuv_residual import CHANNELS, pack
from models.network import Planes

__all__ = ["DISCRIMINATORS", "Discriminator", "UNetDiscriminator"]


class Discriminator(nn.Module):
    """Planes -> one logit for every patch: 6 -> width -> 2·width -> 4·width, halved twice.

    It is positive for real images.
    """

    def __init__(self, *, width: int = 32) -> None:
        """width: channels at chroma resolution.

        Spectral normalisation keeps it from becoming too strong early in training (arXiv:1802.05957).
        """
        super().__init__()
        self.layers = nn.ModuleList(
            spectral_norm(conv)
            for conv in (
                nn.Conv2d(CHANNELS, width, 3, padding=1),
                nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
                nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
                nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            )
        )
        self.verdict = spectral_norm(nn.Conv2d(4 * width, 1, 3, padding=1))

    def forward(self, planes: Planes) -> Tensor:
        """Luma (B,1,H,W), chroma (B,2,H/2,W/2) -> logits (B,1,H/8,W/8)."""
        x = pack(planes)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        logits: Tensor = self.verdict(x)
        return logits


class UNetDiscriminator(nn.Module):
    """Planes -> one logit for every chroma position, from the position and its surroundings.

    Schönfeld et al. 2020, arXiv:2002.12655.
    """

    def __init__(self, *, width: int = 32) -> None:
        """width: channels at chroma resolution, doubled at each of two halvings.

        Convolutions have spectral normalisation, as in Real-ESRGAN.
        """
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(width * n, 2 * width * n, 4, stride=2, padding=1, bias=False))
            for n in (1, 2)
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(2 * width * n, width * n, 3, padding=1, bias=False)) for n in (2, 1)
        )
        self.last = spectral_norm(nn.Conv2d(width, width, 3, padding=1, bias=False))
        self.verdict = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, planes: Planes) -> Tensor:
        """Luma (B,1,H,W), chroma (B,2,H/2,W/2), sides divisible by 8 -> logits (B,1,H/2,W/2)."""
        x = F.leaky_relu(self.first(pack(planes)), 0.2)
        seen = []
        for layer in self.down:
            seen.append(x)
            x = F.leaky_relu(layer(x), 0.2)
        for layer in self.up:
            x = F.leaky_relu(layer(F.interpolate(x, scale_factor=2.0, mode="bilinear")), 0.2) + seen.pop()
        logits: Tensor = self.verdict(F.leaky_relu(self.last(x), 0.2))
        return logits


DISCRIMINATORS: dict[str, type[Discriminator | UNetDiscriminator]] = {
    "patch": Discriminator,
    "unet": UNetDiscriminator,
}
"""By their names in a configuration."""
