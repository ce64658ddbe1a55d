"""Film grain for an output, with the strength measured in its source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.media.video_info import Frame
    from pipelines.plan.plan import Plan

__all__ = ["GrainMaker"]


_TILE = 512
_SEED = 7


class GrainMaker:
    """Adds a plan's grain to its frames."""

    def __init__(self, plan: Plan) -> None:
        self._strength: list[tuple[np.ndarray, np.ndarray] | np.ndarray | None] = []
        """For each plane, strength by sample value; for floats, (brightnesses, strengths) to interpolate."""
        if not any(any(strengths) for strengths in plan.grain):
            return
        pixels = plan.out_pixels
        self._largest = 0 if pixels.is_float else (1 << pixels.bits) - 1
        unit = 1 / 255 if pixels.is_float else 1 << (pixels.bits - 8)
        for strengths in plan.grain:
            centres = (np.arange(len(strengths)) + 0.5) * 256 / len(strengths) * unit
            line = centres, np.array(strengths) * unit
            if not any(strengths):
                self._strength.append(None)
            elif pixels.is_float:
                self._strength.append(line)
            else:
                self._strength.append(np.interp(np.arange(self._largest + 1), *line).astype(np.float32))
        self._pattern = np.tile(_pattern(max(1, round(plan.out_height / plan.height))), (2, 2))

    def __call__(self, frame: Frame) -> Frame:
        """The frame with grain; if the plan has none, the same frame."""
        if not any(s is not None for s in self._strength):
            return frame
        planes = list(frame.planes)
        for number, strength in enumerate(self._strength):
            if strength is not None:
                planes[number] = self._added(planes[number], strength, number, frame.pts)
        return replace(frame, planes=planes)

    def _added(
        self, plane: np.ndarray, strength: tuple[np.ndarray, np.ndarray] | np.ndarray, number: int, pts: int
    ) -> np.ndarray:
        result = np.empty_like(plane)
        for top in range(0, plane.shape[0], _TILE):
            for left in range(0, plane.shape[1], _TILE):
                part = (slice(top, top + _TILE), slice(left, left + _TILE))
                codes = plane[part]
                down, right = divmod(_mixed(pts, number, top, left) % (_TILE * _TILE), _TILE)
                grain = self._pattern[down : down + codes.shape[0], right : right + codes.shape[1]]
                if isinstance(strength, tuple):
                    result[part] = codes + np.interp(codes, *strength) * grain
                else:
                    result[part] = np.clip(np.rint(codes + strength[codes] * grain), 0, self._largest)
        return result


def _pattern(size: int) -> np.ndarray:
    """(_TILE, _TILE) of normal noise that repeats seamlessly, with a grain size of `size` pixels."""
    noise = np.random.default_rng(_SEED).standard_normal((_TILE, _TILE))
    for _ in range(size - 1):
        for axis in (0, 1):
            noise = (np.roll(noise, 1, axis) + 2 * noise + np.roll(noise, -1, axis)) / 4
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)  # type: ignore[no-any-return]


def _mixed(*values: int) -> int:
    """Mix all values into a 64-bit number (splitmix64, Steele et al. 2014)."""
    state = 0
    for value in values:
        state = (state + value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state
