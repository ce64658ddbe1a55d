"""Linear light, as OpenEXR holds it, and the code values that networks know.

The sRGB curve, going on above white and below black.
"""

from __future__ import annotations

import numpy as np

__all__ = ["from_linear", "to_linear"]


_KNEE, _SLOPE, _GAMMA, _OFFSET = 0.0031308, 12.92, 2.4, 0.055
"""IEC 61966-2-1."""


def from_linear(light: np.ndarray) -> np.ndarray:
    """Linear light, 1 = white, any float -> float32 values of the same shape.

    Above 1 the curve is extended, below 0 it is linear.
    """
    light = light.astype(np.float64)
    curved = (1 + _OFFSET) * np.maximum(light, _KNEE) ** (1 / _GAMMA) - _OFFSET
    return np.where(light <= _KNEE, _SLOPE * light, curved).astype(np.float32)


def to_linear(values: np.ndarray) -> np.ndarray:
    """The reverse of `from_linear`."""
    values = values.astype(np.float64)
    curved = ((np.maximum(values, _SLOPE * _KNEE) + _OFFSET) / (1 + _OFFSET)) ** _GAMMA
    return np.where(values <= _SLOPE * _KNEE, values / _SLOPE, curved).astype(np.float32)
