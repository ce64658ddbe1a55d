"""`vae`: a variational autoencoder with a decoder conditioned on the low-resolution frame.

After Kingma & Welling 2013 (arXiv:1312.6114), conditional as in Sohn et al. 2015 (NeurIPS 28). The encoder
predicts μ and log σ² of the latent values at every place. Training samples from this distribution, which
makes the decoder robust to inexact latents; inference uses μ.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.activations import relu_
from models.layers.yuv_residual import CHANNELS, BicubicSkip, from_identity, pack, zero_last_layer

__all__ = ["Vae"]


class Vae(BicubicSkip):
    """Encoder 6 -> width -> 2·width -> latent at a quarter of luma's size; decoder from latent and frame."""

    def __init__(self, *, scale: int, width: int = 32, latent: int = 32, depth: int = 3) -> None:
        """width: channels at chroma resolution. latent: latent channels.

        depth: convolutions of the decoder.
        """
        # In chroma samples: 1 and up to 3 down to the code, 2 in it, 2 up, and the decoder's.
        super().__init__(scale=scale, packing=scale, halo_px=2 * (depth + 11), size_multiple=4)
        self.head = nn.Conv2d(CHANNELS, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.encoder = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.mean = nn.Conv2d(2 * width, latent, 3, padding=1)
        self.log_variance = nn.Conv2d(2 * width, latent, 3, padding=1)
        self.up = nn.ConvTranspose2d(latent, width, 4, stride=2, padding=1)
        self.decoder = nn.ModuleList(nn.Conv2d(2 * width, 2 * width, 3, padding=1) for _ in range(depth))
        self.tail = nn.Conv2d(2 * width, CHANNELS * scale * scale, 3, padding=1)
        from_identity([self.head, self.down, self.encoder, self.mean, self.up, *self.decoder])
        zero_last_layer(self.log_variance)
        zero_last_layer(self.tail)

    def encode(self, luma: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of the frame (B,width,H/2,W/2), and μ and log σ² (B,latent,H/4,W/4).

        log σ² is clamped to ±8.
        """
        near = relu_(self.head(pack((luma, chroma))))
        x = relu_(self.encoder(relu_(self.down(near))))
        return near, self.mean(x), self.log_variance(x).float().clamp(-8, 8)

    def decode(self, near: Tensor, code: Tensor) -> Tensor:
        """Features of the frame and latent values -> the packed residual, (B,6·scale²,H/2,W/2)."""
        x = torch.cat([near, relu_(self.up(code))], 1)
        for conv in self.decoder:
            x = relu_(conv(x))
        residual: Tensor = self.tail(x)
        return residual

    def residual(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """(B,1,H,W), (B,2,H/2,W/2) -> (B,6·scale²,H/2,W/2), the packed residual, computed from μ."""
        near, mean, _ = self.encode(luma, chroma)
        return self.decode(near, mean)
