"""Planes of integer samples, turned upright and padded to the sizes that networks and outputs have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.media.pixel_format import Orientation, PixelFormat

__all__ = ["cropped", "even_sizes", "filled", "padded", "turned"]


def turned(planes: Sequence[np.ndarray], turn: Orientation) -> list[np.ndarray]:
    """Planes of the upright frame."""
    result = []
    for plane in planes:
        made = plane.T if turn.transpose else plane
        made = made[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1]
        result.append(made if made is plane else np.ascontiguousarray(made))
    return result


def filled(planes: Sequence[np.ndarray], pixels: PixelFormat, size: tuple[int, int]) -> list[np.ndarray]:
    """Repeat the last column or row where an output of that (height, width) must be even."""
    result = []
    for number, plane in enumerate(planes):
        height, width = pixels.plane_size(number, size[1], size[0])
        extra = ((0, height - plane.shape[0]), (0, width - plane.shape[1]))
        result.append(np.pad(plane, extra, mode="edge") if any(e[1] for e in extra) else plane)
    return result


def even_sizes(size: Sequence[int], multiple: int) -> list[tuple[int, int]]:
    """(height, width) of luma and both chroma planes after padding luma to the multiple."""
    height, width = (n + -n % multiple for n in size)
    return [(height, width), (height // 2, width // 2), (height // 2, width // 2)]


def _reflect_codes(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    extra = [(0, wanted - have) for wanted, have in zip(size, plane.shape, strict=True)]
    if not any(e[1] for e in extra):
        return plane
    mode = "reflect" if all(e[1] < n for e, n in zip(extra, plane.shape, strict=True)) else "edge"
    return np.pad(plane, extra, mode=mode)  # type: ignore[call-overload, no-any-return]


def padded(planes: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Pad each plane by reflection to its (height, width)."""
    return [_reflect_codes(p, n) for p, n in zip(planes, sizes, strict=True)]


def cropped(planes: Sequence[np.ndarray], size: Sequence[int], scale: int) -> list[np.ndarray]:
    """Remove the padding from upscaled planes. size: (height, width) of the original frame."""
    height, width = size
    wanted = [(height * scale, width * scale), *[(-(-height * scale // 2), -(-width * scale // 2))] * 2]
    return [plane[:rows, :columns] for plane, (rows, columns) in zip(planes, wanted, strict=True)]
