"""`measure_damage`: error of a degraded clip; `level_of_damage`: the error as a restoration level 0..1.

The *restoration level* is an input of `real` networks: 0 for a clip that is only scaled down, 1 for a
severely degraded one. It is measured on the pair, not derived from the settings: the same CRF has another
quality with every encoder, preset and scene. The same treatment leaves more error in busy places than in flat
ones (proportional to the 0.7th power of activity for x264 at one CRF, to the 0th for noise), and the level is
corrected for that, so that it describes the treatment and not the content.
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
"""Severity of level 0, and of level 1; between them a factor of two is always the same step of the level."""
_HIDDEN = 0.6
"""Power of activity that the error of a treatment is proportional to."""
_ACTIVITY = 200.0
"""Activity of a typical place, where severity equals the mean squared error."""
_ROUNDING = 1 / 12
"""Variance of rounding to integers, which every clip has."""


@dataclass(frozen=True)
class Damage:
    """Damage of a clip's luma, in squared 8-bit values."""

    error: float
    """Mean squared difference from the clean clip."""
    activity: float
    """Mean squared difference of the clean clip's neighbouring pixels, along both axes."""


def measure_damage(degraded: SampleValues, clean: SampleValues) -> Damage:
    """Compare two clips of the same size and bit depth."""
    unit = 1 << (clean.bits - 8)
    x, y = (torch.from_numpy(c.luma.astype(np.float32)) / unit for c in (degraded, clean))
    across, down = y.diff(dim=-1).square().mean(), y.diff(dim=-2).square().mean()
    return Damage(F.mse_loss(x, y).item(), (across + down).item() / 2)


def level_of_damage(damage: Damage) -> float:
    """Convert damage to a restoration level: 0 (only scaled down) to 1 (severely degraded), four decimals."""
    severity = max(damage.error - _ROUNDING, 1e-3) / (max(damage.activity, 1.0) / _ACTIVITY) ** _HIDDEN
    level = math.log(severity / _LEAST) / math.log(_MOST / _LEAST)
    return round(min(1.0, max(0.0, level)), 4)
