"""Parsers of option values: sizes, times, rates, tiles, clusters, prefilters."""

from __future__ import annotations

import re
from fractions import Fraction

from models.errors import UsageError

__all__ = [
    "PREFILTERS",
    "local_workers",
    "parse_frame_rate",
    "parse_range",
    "parse_size",
    "parse_tile",
    "prefilter_names",
    "tile_text",
]


_LEAST_TILE_PX = 32
_MOST_DIGITS = 12
"""Largest number of digits: more than any time or size needs, and few enough to calculate with."""
_NUMBER = re.compile(
    rf"(\d{{1,{_MOST_DIGITS}}}\.?\d{{0,{_MOST_DIGITS}}}|\.\d{{1,{_MOST_DIGITS}}})(?:/(\d{{1,{_MOST_DIGITS}}}))?",
    re.ASCII,
)

PREFILTERS = ("denoise", "deblock", "deband", "dehalo", "decomb")
NO_PREFILTER = "none"
"""Takes back the prefilters of a settings file."""


def prefilter_names(text: str) -> tuple[str, ...]:
    """Names joined by commas, in order; "none" means none. Raises UsageError for unknown and repeated names.

    >>> prefilter_names("deblock, deband")
    ('deblock', 'deband')
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == (NO_PREFILTER,):
        return ()
    if text and not names:
        raise UsageError(f"--prefilter {text!r}: expected one or several of {', '.join(PREFILTERS)}, or none")
    for place, name in enumerate(names):
        if name not in PREFILTERS:
            raise UsageError(f"--prefilter {name}: expected one or several of {', '.join(PREFILTERS)}")
        if name in names[:place]:
            raise UsageError(f"--prefilter {text}: {name} comes twice")
    return names


def _number(text: str) -> Fraction:
    """Parse a decimal or a fraction without sign or exponent.

    Raises ValueError, also for a denominator of 0.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None or not int(match[2] or 1):
        raise ValueError(text)
    return Fraction(match[1].rstrip(".")) / int(match[2] or 1)


def parse_frame_rate(text: str) -> Fraction:
    """Parse frames per second; decimals close to an NTSC rate mean this rate.

    >>> parse_frame_rate("23.976")
    Fraction(24000, 1001)
    """
    try:
        rate = _number(text.strip().lower().removesuffix("fps"))
    except ValueError:
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise UsageError(f"--rate {text}: expected frames a second, such as 24, 25, 29.97 or 24000/1001")
    whole = -(-rate // 1)
    ntsc = Fraction(whole * 1000, 1001)
    return ntsc if "." in text and rate != whole and abs(rate - ntsc) < Fraction(1, 100) else rate


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (width, height); (0, 0) for any other text."""
    width, _, height = text.lower().partition("x")
    return (
        (int(width), int(height))
        if all(side.isdecimal() and len(side) <= _MOST_DIGITS for side in (width, height))
        else (0, 0)
    )


_MOST_LOCAL_WORKERS = 1024
"""Each is a process of this machine."""


def local_workers(address: str) -> int | None:
    """The number of workers in "local:N".

    The result is None for "local" without a number, and for other clusters. Raises UsageError if N is not a
    number.
    """
    kind, _, count = address.partition(":")
    if kind != "local" or not count:
        return None
    if not (count.isdecimal() and len(count) <= _MOST_DIGITS and 0 < int(count) <= _MOST_LOCAL_WORKERS):
        raise UsageError(
            f"--cluster {address}: expected local, local:N with up to {_MOST_LOCAL_WORKERS} workers, auto, or"
            " HOST:PORT"
        )
    return int(count)


def parse_tile(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width) of a tile.

    >>> parse_tile("480x272")
    (272, 480)
    """
    width, height = parse_size(text)
    if min(width, height) < _LEAST_TILE_PX:
        raise UsageError(
            f"--tile {text}: expected WIDTHxHEIGHT with sides of {_LEAST_TILE_PX} or more, such as 480x272"
        )
    return height, width


def tile_text(tile_px: tuple[int, int]) -> str:
    """(height, width) of a tile -> WIDTHxHEIGHT."""
    return f"{tile_px[1]}x{tile_px[0]}"


def parse_range(text: str) -> tuple[Fraction, Fraction | None]:
    """FROM-TO -> seconds; an empty FROM is 0, an empty TO is None (the end).

    >>> parse_range("1:30-1:35.5")
    (Fraction(90, 1), Fraction(191, 2))
    >>> parse_range("90s-1m35.5s")
    (Fraction(90, 1), Fraction(191, 2))
    """
    start, dash, stop = text.partition("-")
    try:
        first = _seconds(start) if start.strip() else Fraction(0)
        last = _seconds(stop) if stop.strip() else None
    except ValueError:
        dash = ""
        first, last = Fraction(0), None
    if not dash:
        raise UsageError(
            f"--range {text}: expected FROM-TO in seconds or [hh:]mm:ss[.fff], such as 1:30-1:45"
        )
    if last is not None and last <= first:
        raise UsageError(f"--range {text}: ends before it begins; expected FROM-TO, such as 1:30-1:45")
    return first, last


_UNITS = re.compile(r"(?:(\d+) ?h)? ?(?:(\d+) ?m(?:in)?)? ?(?:([\d.]+) ?s(?:ec)?)?", re.ASCII | re.IGNORECASE)


def _seconds(text: str) -> Fraction:
    """Parse 1:30, 90, 90s or 1m30s; names of outputs use the last form."""
    named = _UNITS.fullmatch(text.strip())
    if named is not None and any(named.groups()):
        hours, minutes, seconds = (_number(part or "0") for part in named.groups())
        return (hours * 60 + minutes) * 60 + seconds
    parts = [_number(p) for p in text.split(":")]
    if len(parts) > 3 or any(part >= 60 for part in parts[1:]):
        raise ValueError(text)
    total = Fraction(0)
    for part in parts:
        total = total * 60 + part
    return total
