"""Target size and sample aspect ratio."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from pipelines.settings.run_settings import BOXES

if TYPE_CHECKING:
    from pipelines.media.video_info import VideoInfo
    from pipelines.settings.run_settings import TargetSettings

__all__ = ["square_size", "target_size", "upright_sar"]


LARGEST_DEFAULT_4K = 1920 * 1088


def target_size(
    width: int, height: int, target: TargetSettings, *, even: tuple[bool, bool]
) -> tuple[int, int]:
    """(width, height) of the output for an upright source of that size.

    `--to` keeps the aspect ratio, fits the largest frame, and is rotated for portrait video. Sides that must
    be even for chroma subsampling are made even: for a factor by one more column or row, for `--to` by
    rounding to nearest. even: whether (width, height) must be even.
    """
    if target.scale is not None:
        return tuple(
            n * target.scale + (n * target.scale % 2 if e else 0)
            for n, e in zip((width, height), even, strict=True)
        )  # type: ignore[return-value]
    box = target.box or BOXES["4k" if width * height <= LARGEST_DEFAULT_4K else "8k"]
    long, short = max(box), min(box)
    if target.to is None or target.to.lower() in BOXES:
        box = (short, long) if height > width else (long, short)
    factor = min(Fraction(box[0], width), Fraction(box[1], height))
    return tuple(_round_side(n * factor, e) for n, e in zip((width, height), even, strict=True))  # type: ignore[return-value]


def upright_sar(info: VideoInfo) -> Fraction:
    """Sample aspect ratio of the upright frame."""
    return 1 / info.sar if info.orientation.transpose else info.sar


def square_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """(width, height) of the same frame with square pixels: the side that is too short grows."""
    return (round(width * sar), height) if sar > 1 else (width, round(height / sar))


def _round_side(side: Fraction, even: bool) -> int:
    return max(2, round(side / 2) * 2) if even else max(1, round(side))
