"""`adversarial`: a generator, and the discriminator that tells its pictures from real ones.

SRGAN (Ledig et al. 2017, arXiv:1609.04802) with blocks without normalisation (ESRGAN, Wang et al. 2018, arXiv:1809.00219).
The generator is `edsr`'s network, so that it can begin where `edsr` ended, as the papers' do. The discriminator is used in
training only; it judges every patch by itself (Isola et al. 2017, arXiv:1611.07004).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from models.layers.yuv_residual import CHANNELS, pack
from models.network import Planes

__all__ = ["Discriminator"]


class Discriminator(nn.Module):
    """Planes -> one logit for every patch: 6 -> width -> 2·width -> 4·width, halved twice; positive for real ones."""

    def __init__(self, *, width: int = 32) -> None:
        """width: channels at chroma resolution. Spectral normalisation keeps it from winning too early (arXiv:1802.05957)."""
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
