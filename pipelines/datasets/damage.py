"""`measure_damage`: what a degraded clip lost against the clean one of its size, and `level_of_damage`, that
as one number 0..1.

The *restoration level* is what `real` networks are told: 0 for a clip that is only scaled down, 1 for a
ruined one. It is measured on the pair, not read off the settings: one CRF is another quality with every
encoder, preset and scene. The same treatment leaves more error in busy places than in flat ones (of x264 at
one CRF it goes with the 0.7th power of activity, of noise with the 0th), and the level is freed of that, so
that it says how hard a clip was treated and not what it shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from pipelines.frames.sample_values import SampleValues

__all__ = ["Damage", "level_of_damage", "measure_damage"]


_LEAST, _MOST = 1.0, 150.0
"""Severity that is level 0, and level 1; a factor of two is the same step of the level everywhere between
them."""
_HIDDEN = 0.6
"""Power of activity that the same treatment goes with."""
_ACTIVITY = 200.0
"""Of a usual place, where severity is the mean squared error itself."""
_ROUNDING = 1 / 12
"""Variance of rounding to codes, which every clip has."""


@dataclass(frozen=True)
class Damage:
    """Of luma, in 8-bit codes squared."""

    error: float
    """Mean squared difference from the clean clip."""
    activity: float
    """Mean squared difference of the clean clip's neighbouring pixels, along both axes."""


def measure_damage(degraded: SampleValues, clean: SampleValues) -> Damage:
    """Compare two clips of one size and depth."""
    unit = 1 << (clean.bits - 8)
    x, y = (torch.from_numpy(c.luma.astype(np.float32)) / unit for c in (degraded, clean))
    across, down = y.diff(dim=-1).square().mean(), y.diff(dim=-2).square().mean()
    return Damage(F.mse_loss(x, y).item(), (across + down).item() / 2)


def level_of_damage(damage: Damage) -> float:
    """0 (only scaled down) to 1 (ruined), four decimals."""
    severity = max(damage.error - _ROUNDING, 1e-3) / (max(damage.activity, 1.0) / _ACTIVITY) ** _HIDDEN
    level = math.log(severity / _LEAST) / math.log(_MOST / _LEAST)
    return round(min(1.0, max(0.0, level)), 4)
