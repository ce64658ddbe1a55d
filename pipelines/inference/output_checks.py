"""`TileStatistics`: checks by a few numbers per tile whether a network's output can be the upscaled input.

A network with unsuitable weights, or one that overflows in 16 bits, returns non-finite values, black frames,
or another brightness. Such a frame is computed again in fp32. If that does not help, the run ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from models.errors import VerificationError
from pipelines.media.cicp import code_values

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__all__ = ["TileStatistics", "bad_output_error", "find_fault", "sample_statistics", "value_statistics"]


_EVERY = 8
"""Only every so many rows are checked on a CPU; errors affect a whole frame."""

_BLACK = 1.5 / 255
"""Brightest sample, above black, of an output that counts as black."""
_LIT = 0.05
"""Mean luma of an input that can't become black."""
_SHIFT = 0.2
"""Largest difference between the means of luma before and after. Sharpening and restoration change it by less
than a hundredth."""


@dataclass(frozen=True)
class TileStatistics:
    """Check values of one tile; luma 0..1 from black to white."""

    checksum: float
    """Finite if all values are."""
    before: float
    """Mean luma of the input."""
    after: float
    """Mean luma of the output."""
    brightest: float
    """Largest luma sample of the output."""


def find_fault(tiles: list[TileStatistics]) -> str:
    """Describe what is wrong with a frame; empty if nothing is."""
    if not all(math.isfinite(t.before) for t in tiles):
        return ""
    if not all(math.isfinite(t.checksum) for t in tiles):
        return "non-finite values (NaN or infinity)"
    if any(t.brightest <= _BLACK and t.before > _LIT for t in tiles):
        return "black where the source is not"
    shift = max((abs(t.after - t.before) for t in tiles), default=0.0)
    return f"a brightness that is off by {shift:.0%}" if shift > _SHIFT else ""


def bad_output_error(name: str, trouble: str) -> VerificationError:
    """The error to raise if fp32 does not help."""
    return VerificationError(
        f"{name} gave {trouble}, in fp32 too; its weights are damaged, or no network for such pictures:"
        " choose another one"
    )


def value_statistics(seen: Tensor, made: Tensor, chroma: Tensor | None) -> TileStatistics:
    """Check values from luma (B,1,H,W) before and after, and from the output's chroma.

    Values beyond black and white are clipped.
    """
    checksum = made.sum() if chroma is None else made.sum() + chroma.sum()
    some = made[..., ::_EVERY, :].clamp(0, 1)
    # A source may contain such values itself (OpenEXR); then its own mean shows them, and the network is not
    # at fault.
    before = seen[..., ::_EVERY, :].clamp(0, 1).mean() + 0 * seen.sum()
    numbers = torch.stack([checksum, before, some.mean(), some.amax()])
    return TileStatistics(*numbers.tolist())


def sample_statistics(
    checksum: float,
    seen: np.ndarray,
    made: np.ndarray,
    bits: int,
    *,
    full: bool,
    finer: tuple[int, int] = (0, 0),
) -> TileStatistics:
    """Check values from integer luma before and after, with `finer` fractional bits each."""
    offset, span = code_values(bits, full, chroma=False)
    some = made[::_EVERY] >> finer[1]
    return TileStatistics(
        checksum,
        (float(seen[::_EVERY].mean()) / (1 << finer[0]) - offset) / span,
        (float(some.mean()) - offset) / span,
        (float(some.max()) - offset) / span,
    )
