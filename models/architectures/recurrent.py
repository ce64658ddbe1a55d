"""`recurrent`: `compact` with the previous and the next frame as further input, and a hidden state.

YUV-native, without optical flow. The state is passed from frame to frame (RRN, Isobe et al. 2020,
arXiv:2008.05765; the next frame as in RLSP, Fuoli et al. 2019, arXiv:1909.08080). The caller keeps the state:
None at the start and after a scene cut. After some frames of pre-roll, the result no longer depends on
where processing started.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.convolution import convolve
from models.layers.yuv_residual import CHANNELS, bicubic, from_identity, pack, unpack, zero_last_layer
from models.network import Contract, Planes, State

__all__ = ["Recurrent"]


_FRAMES = 3


class Recurrent(nn.Module):
    """(18 + width) -> width, depth x (width -> width), width -> 6·scale² and -> state.

    All 3x3 at chroma resolution.
    """

    old_inputs: ClassVar[dict[str, list[int]]] = {"head.weight": [4, 5, 6, 7, 14, 15]}
    """Indices of the current frame among the head's channels: four of luma for each of t-1, t, t+1, then U
    and V of each, then the state."""

    def __init__(self, *, scale: int, width: int = 64, depth: int = 10) -> None:
        """width: channels of the body and the state, a multiple of 32. depth: convolutions."""
        super().__init__()
        self.scale, self.width, self.packing = scale, width, scale
        self.head = nn.Conv2d(_FRAMES * CHANNELS + width, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.memory = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, CHANNELS * scale * scale, 3, padding=1)
        # Reach of one frame: two luma pixels per convolution. The state carries information from farther
        # away; the caller keeps it for the whole frame, so tiles read it with the same halo.
        halo = 2 * (depth + 2)
        self.contract = Contract(
            scale=scale,
            pixels="yuv420",
            past=1,
            future=1,
            recurrent=True,
            halo_px=halo,
            size_multiple=2,
            kernel="bicubic",
        )
        from_identity([*self.body, self.memory])
        zero_last_layer(self.tail)

    @property
    def _convolutions(self) -> list[nn.Conv2d]:
        return list(self.body)  # type: ignore[arg-type]

    def forward(self, planes: Planes, state: State = None) -> tuple[Planes, Tensor]:
        """Luma (B,3,H,W) and chroma (B,6,H/2,W/2) of the frames t-1, t, t+1, state (B,width,H/2,W/2) or None.

        Returns luma (B,1,SH,SW) and chroma (B,2,SH/2,SW/2) of frame t, the sum in the input's dtype, and the
        next state.
        """
        luma, chroma = planes
        height, width = luma.shape[-2:]
        if state is None:
            state = luma.new_zeros(luma.shape[0], self.width, height // 2, width // 2)
        residual, state = self.trunk(torch.cat([pack((luma, chroma)), state.to(luma.dtype)], 1))
        (plain_luma, plain_chroma), (more_luma, more_chroma) = (
            bicubic((luma[:, 1:2], chroma[:, 2:4]), self.scale),
            unpack(residual),
        )
        return (plain_luma + more_luma.to(luma.dtype), plain_chroma + more_chroma.to(chroma.dtype)), state

    def residuals(self, planes: Planes, frames: int) -> Tensor:
        """Compute the residuals on the bicubic upscale for whole clips, for training.

        planes: luma (B·T,1,H,W) and chroma (B·T,2,H/2,W/2), with T as the fastest index. frames: T. The state
        starts empty; beyond its ends a clip is static. Everything that doesn't depend on the state is
        computed for all frames at once. Returns (B·T,6·scale²,H/2,W/2), packed.
        """
        # (B,4,h,w) and (B,2,h,w) of each frame; channels innermost, as the convolutions want them.
        near = (
            F.pixel_unshuffle(planes[0], 2).contiguous(memory_format=torch.channels_last),
            planes[1].contiguous(memory_format=torch.channels_last),
        )
        luma, chroma = ([x[now::frames] for now in range(frames)] for x in near)
        state = (
            luma[0]
            .new_zeros(len(luma[0]), self.width, *luma[0].shape[-2:])
            .contiguous(memory_format=torch.channels_last)
        )
        features = []
        for now in range(frames):
            seen = (max(now - 1, 0), now, min(now + 1, frames - 1))
            x = torch.cat([*(luma[n] for n in seen), *(chroma[n] for n in seen), state.to(luma[0].dtype)], 1)
            x = self._features(x)
            features.append(x)
            if now < frames - 1:
                state = convolve(self.memory, x, relu=True)
        return convolve(
            self.tail, torch.stack(features, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        )

    def trunk(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the packed residual (B,6·scale²,H/2,W/2) and the next state.

        x: packed frames t-1, t, t+1 and the state, (B,18+width,H/2,W/2).
        """
        x = self._features(x)
        return convolve(self.tail, x), convolve(self.memory, x, relu=True)

    def _features(self, x: Tensor) -> Tensor:
        x = convolve(self.head, x, relu=True)
        for layer in self._convolutions:
            x = convolve(layer, x, relu=True)
        return x
