"""Measures how much of an image is combed, to test results of deinterlacing."""

from __future__ import annotations

import numpy as np

_STEP = 10
"""Codes of 8 bits by which a line of a comb stands out from both its neighbours."""


def comb_share(luma: np.ndarray) -> float:
    """The part of a picture's samples, 0..1, that stand out from the lines above and below as only a comb
    does.

    luma: (H,W) uint8. A line of a comb differs from both neighbours by much the same, and little from the
    next but one.
    """
    lines = luma.astype(np.int16)
    above, own, below = lines[1:-3], lines[2:-2], lines[3:-1]
    up, down = own - above, own - below
    out = ((up > _STEP) & (down > _STEP)) | ((up < -_STEP) & (down < -_STEP))
    half = np.abs(up) // 2
    alike = (
        (np.abs(lines[:-4] - own) < half) & (np.abs(lines[4:] - own) < half) & (np.abs(above - below) < half)
    )
    return float((out & alike).mean())
