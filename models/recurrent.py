"""`recurrent`: `compact` that sees the frame before and the frame after as well, and remembers; YUV-native and flow-free.

What it remembers is a hidden state handed from frame to frame (RRN, Isobe et al. 2020, arXiv:2008.05765; the frame ahead as
in RLSP, Fuoli et al. 2019, arXiv:1909.08080). The caller holds the state: None at the start and after a scene cut, and after
some frames of pre-roll it no longer matters where one started.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.interpolation import resample
from models.network import Contract, Planes, State
from models.packed import LEFT_SITED
from models.relu import relu_

__all__ = ["Recurrent"]

_FRAMES = 3
_FRAME_CHANNELS = 6
"""Luma unshuffled by 2 beside U and V, as in `compact`."""


class Recurrent(nn.Module):
    """(18 + width) -> width, depth x (width -> width), width -> 6·scale² and -> state; all 3x3 at chroma resolution."""

    old_inputs: ClassVar[dict[str, list[int]]] = {"head.weight": [4, 5, 6, 7, 14, 15]}
    """Where the frame itself is among the head's channels: luma of t-1, t, t+1 by four, then U and V of each, then the state."""

    def __init__(self, *, scale: int, width: int = 64, depth: int = 10) -> None:
        """width: channels of the trunk and of the state, a multiple of 32. depth: convolutions of the trunk."""
        super().__init__()
        self.scale, self.width = scale, width
        self.head = nn.Conv2d(_FRAMES * _FRAME_CHANNELS + width, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.memory = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, _FRAME_CHANNELS * scale * scale, 3, padding=1)
        # What one frame adds to the reach: two luma pixels a convolution. The state brings what lies further off, and is
        # whole-frame at the caller's, so tiles read it with the same halo.
        halo = 2 * (depth + 2)
        self.contract = Contract(scale=scale, pixels="yuv420", past=1, future=1, recurrent=True, halo_px=halo, size_multiple=2, kernel="bicubic")
        self._start_as_bicubic()

    def _start_as_bicubic(self) -> None:
        """As in `compact`: the skip alone, and a body and a memory that pass on what they are given."""
        for conv in (*self._convolutions, self.memory):
            nn.init.dirac_(conv.weight)
            conv.weight.data.add_(torch.randn_like(conv.weight) * 0.02)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    @property
    def _convolutions(self) -> list[nn.Conv2d]:
        return list(self.body)  # type: ignore[arg-type]

    def forward(self, planes: Planes, state: State = None) -> tuple[Planes, Tensor]:
        """Luma (B,3,H,W) and chroma (B,6,H/2,W/2) of the frames t-1, t, t+1, state (B,width,H/2,W/2) or None.

        Returns luma (B,1,SH,SW) and chroma (B,2,SH/2,SW/2) of frame t, the sum in the input's dtype, and the next state.
        """
        luma, chroma = planes
        scale, height, width = self.scale, luma.shape[-2], luma.shape[-1]
        residual, state = self.residual(luma, chroma, state)
        split = 4 * scale * scale
        now_luma, now_chroma = luma[:, 1:2], chroma[:, 2:4]
        luma_up = resample(now_luma, height * scale, width * scale, "bicubic")
        chroma_up = resample(now_chroma, height * scale // 2, width * scale // 2, "bicubic", offset=LEFT_SITED)
        result = (
            luma_up + F.pixel_shuffle(residual[:, :split], 2 * scale).to(luma.dtype),
            chroma_up + F.pixel_shuffle(residual[:, split:], scale).to(chroma.dtype),
        )
        return result, state

    def residual(self, luma: Tensor, chroma: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """What is to be added to the bicubic upscale of frame t, shuffled, (B,6·scale²,H/2,W/2); and the next state."""
        batch, _, height, width = luma.shape
        if state is None:
            state = luma.new_zeros(batch, self.width, height // 2, width // 2)
        x = torch.cat([F.pixel_unshuffle(luma, 2), chroma, state.to(luma.dtype)], 1)  # (B,18+width,H/2,W/2)
        x = relu_(self.head(x))
        for conv in self._convolutions:
            x = relu_(conv(x))
        remembered: Tensor = relu_(self.memory(x))
        residual: Tensor = self.tail(x)
        return residual, remembered
