"""Finds where frames of several videos differ most, and cuts images out there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.frames.images import SHOWN_PX, marked, most_detailed_crop, png, to_pixels
from pipelines.frames.sample_values import to_values
from pipelines.quality.paired_reader import fit_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.frames.sample_values import SampleValues
    from pipelines.quality.paired_reader import PairedReader

__all__ = ["cut_out", "differing_place", "fitted_frames"]


def cut_out(
    matched: PairedReader, frames: Sequence[SampleValues], most_px: tuple[int, int] = SHOWN_PX
) -> tuple[tuple[bytes, ...], bytes]:
    """PNG files of the place where frames differ most from the first, and of the first with it marked.

    They have the pixels of the largest video. most_px: height and width of the place; a smaller image is
    shown whole.
    """
    fitted = fitted_frames(matched, frames)
    box = differing_place(fitted, most_px)
    cut = (
        to_pixels(to_values(c.crop(*box)), 0, f.tags.matrix)
        for c, f in zip(fitted, matched.films, strict=False)
    )
    return tuple(map(png, cut)), png(
        marked(to_pixels(to_values(fitted[0]), 0, matched.films[0].tags.matrix), *box)
    )


def fitted_frames(matched: PairedReader, frames: Sequence[SampleValues]) -> list[SampleValues]:
    """Frames at the size of the largest video, all at one bit depth."""
    bits = max(c.bits for c in frames)
    return [fit_size(c, *matched.largest, bits) for c in frames]


def differing_place(fitted: Sequence[SampleValues], most_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the place where frames of one size differ most from the first."""
    truth = fitted[0].luma[0].astype(np.float32)
    error = sum((np.square(c.luma[0] - truth) for c in fitted[1:]), start=np.zeros_like(truth))
    rows, columns = (min(most, side) for most, side in zip(most_px, truth.shape, strict=True))
    return *most_detailed_crop(error, rows, columns), rows, columns
