"""Names of prefilters, and what they make of a pixel format."""

from __future__ import annotations

from models.errors import MediaError, UsageError
from pipelines.media.pixel_format import PixelFormat

__all__ = ["PREFILTERS", "prefilter_names", "raised_format"]


PREFILTERS = ("denoise", "deblock", "deband", "dehalo", "decomb")


def prefilter_names(text: str) -> tuple[str, ...]:
    """Names joined by commas, in order. Raises UsageError for one that there is not, or that comes twice.

    >>> prefilter_names("deblock, deband")
    ('deblock', 'deband')
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for place, name in enumerate(names):
        if name not in PREFILTERS:
            raise UsageError(f"--prefilter {name}: expected one or several of {', '.join(PREFILTERS)}")
        if name in names[:place]:
            raise UsageError(f"--prefilter {text}: {name} comes twice")
    return names


def raised_format(pixels: PixelFormat) -> str | None:
    """The same planes in ten bits, for 8-bit ones; None where there is no such format."""
    if pixels.bits != 8 or pixels.is_float:
        return None
    try:
        return PixelFormat.parse(f"{pixels.name}10le").name
    except MediaError:
        return None
