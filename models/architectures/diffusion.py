"""`diffusion`: turns noise into the detail that bicubic lacks, in a few steps conditioned on the input frame.

A conditional denoiser (SR3, Saharia et al. 2021, arXiv:2104.07636) of the residual (SRDiff, Li et al. 2021,
arXiv:2104.14951), packed at the input size. Cosine schedule, x_t = cos(πt/2)·x + sin(πt/2)·ε; v- or
ε-prediction (Salimans & Ho 2022, arXiv:2202.00512); a few deterministic steps (DDIM, Song et al. 2020,
arXiv:2010.02502).

ε is one seeded field in the coordinates of the frame, the same for every frame, tile and chunk, so static
content stays static.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.activations import relu_
from models.layers.yuv_residual import CHANNELS, BicubicSkip, pack, zero_last_layer
from models.network import Planes

__all__ = ["Diffusion"]


_FIELD = 256
"""Side of the noise field in chroma samples; it repeats every 512 luma pixels."""
_FREQUENCIES = 8
_DEVIATION = (0.04, 0.01)
"""Standard deviation of the residual on bicubic, for luma and chroma: normalises it to about unit
variance."""


class _Block(nn.Module):
    """x + conv(relu(conv(relu(x)) + time)); the second convolution starts near zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(2 * _FREQUENCIES, width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=1e-3)
        for layer in (self.first, self.second):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.first(F.relu(x)) + self.time(time)[:, :, None, None]
        result: Tensor = x + self.second(relu_(y))
        return result


class Diffusion(BicubicSkip):
    """A U-Net of two levels of `width` channels, run `steps` times."""

    deviation: Tensor

    def __init__(
        self,
        *,
        scale: int,
        width: int = 64,
        steps: int = 4,
        prediction: Literal["v", "epsilon"] = "v",
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        """steps: denoising steps per frame. prediction: what the U-Net predicts.

        temperature: scale of the initial noise. seed: of that noise.
        """
        # In chroma samples beyond a cell of two, each step: 3 above, 10 by the level below and the way there
        # and back, 3 above.
        super().__init__(scale=scale, packing=scale, halo_px=2 * 16 * steps, size_multiple=4)
        self.contract = replace(self.contract, placed=True)
        self.steps, self.prediction, self.temperature, self.seed = steps, prediction, temperature, seed
        channels = CHANNELS * scale * scale
        self.head = nn.Conv2d(channels + CHANNELS, width, 3, padding=1)
        self.before = _Block(width)
        self.down = nn.Conv2d(width, width, 4, stride=2, padding=1)
        self.inside = nn.ModuleList([_Block(width), _Block(width)])
        self.up = nn.ConvTranspose2d(width, width, 4, stride=2, padding=1)
        self.after = _Block(width)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)
        zero_last_layer(self.tail)
        deviation = torch.full((1, channels, 1, 1), _DEVIATION[0])
        deviation[:, 4 * scale * scale :] = _DEVIATION[1]
        self.register_buffer("deviation", deviation, persistent=False)
        self._field: Tensor | None = None

    def predict(self, x: Tensor, frame: Tensor, time: Tensor) -> Tensor:
        """Predict v or ε, in fp32.

        x: x_t, (B,6·scale²,h,w). frame: packed, (B,6,h,w). time: t, (B,), from 0 (clean) to 1 (noise).
        """
        angles = time[:, None] * (torch.pi / 8) * 2.0 ** torch.arange(_FREQUENCIES, device=time.device)
        told = torch.cat([angles.sin(), angles.cos()], 1)
        y = self.before(self.head(torch.cat([x, frame.to(x.dtype)], 1)), told)
        inner = self.down(y)
        for block in self.inside:
            inner = block(inner, told)
        result: Tensor = self.tail(F.relu(self.after(y + self.up(inner), told)))
        return result.float()

    def clean(self, x: Tensor, predicted: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """Return (x_0, ε), given the prediction for x_t."""
        signal, noise = math.cos(math.pi / 2 * time), math.sin(math.pi / 2 * time)
        if self.prediction == "v":
            return signal * x - noise * predicted, noise * x + signal * predicted
        return (x - noise * predicted) / max(signal, 0.05), predicted

    def sample(self, frame: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Denoise ε to x_0 in `steps` deterministic steps from t = 1 to 0, given the packed frame.

        noise: ε, (B,6·scale²,h,w).
        """
        x = noise.float()
        for number in range(steps):
            now, then = 1 - number / steps, 1 - (number + 1) / steps
            predicted = self.predict(x, frame, torch.full((x.shape[0],), now, device=x.device))
            first, noise = self.clean(x, predicted, now)
            x = math.cos(math.pi / 2 * then) * first + math.sin(math.pi / 2 * then) * noise
        return x

    def noise(self, height: int, width: int, at: tuple[int, int], device: torch.device) -> Tensor:
        """Return a part of the noise field that begins at the luma pixel `at`, which must be even.

        Shape: (1,6·scale²,height,width).
        """
        if self._field is None or self._field.device != device:
            generator = np.random.Generator(np.random.Philox(key=[self.seed, 0]))
            field = generator.standard_normal((self.deviation.shape[1], _FIELD, _FIELD), dtype=np.float32)
            self._field = torch.from_numpy(field).to(device)
        rows, columns = (
            (torch.arange(n, device=device) + a // 2) % _FIELD
            for n, a in zip((height, width), at, strict=True)
        )
        return self._field[:, rows][:, :, columns][None] * self.temperature

    def residual(self, luma: Tensor, chroma: Tensor, at: tuple[int, int] = (0, 0)) -> Tensor:
        """(B,1,H,W) and (B,2,H/2,W/2) -> (B,6·scale²,H/2,W/2), the packed residual on the bicubic upscale."""
        frame = pack((luma, chroma))
        noise = self.noise(frame.shape[-2], frame.shape[-1], at, frame.device).expand(
            frame.shape[0], -1, -1, -1
        )
        return self.sample(frame, noise, self.steps) * self.deviation

    def forward(self, planes: Planes, at: tuple[int, int] = (0, 0)) -> Planes:
        """Luma (B,1,H,W), chroma (B,2,H/2,W/2) -> (B,1,SH,SW), (B,2,SH/2,SW/2).

        at: pixel of the frame at which the input begins.
        """
        return self.added(planes, self.residual(*planes, at))
