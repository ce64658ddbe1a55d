"""`merge_ratings`: merges the ratings of several people in a blind test."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FORMAT", "Opinion", "Opinions", "merge_ratings"]


FORMAT = "vsr-blind-1"
"""Format name in files saved by the page."""
_SIGMAS = 1.96
"""Half the width of the 95 % interval of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Opinion:
    """Ratings of one result."""

    name: str
    mean: float
    """Mean opinion score, 1 (bad) to 5 (excellent), ITU-T P.910's absolute category rating."""
    interval: float | None
    """Half of its 95 % confidence interval, 1.96·S/√N (ITU-R BT.500-15, part 1, annex 1); None for a single
    rating."""


@dataclass(frozen=True)
class Opinions:
    """Ratings of all raters together."""

    test: str
    raters: int
    ratings: int
    """Number of pairs of ratings."""
    opinions: tuple[Opinion, Opinion]
    preferred: tuple[int, int, int]
    """How often the first was rated higher, equal, lower."""
    rate: float
    """Preference rate of the first: how often it was rated higher, ties counted half."""
    low: float
    high: float
    """Upper end of the 95 % confidence interval of `rate` (Wilson 1927)."""


def merge_ratings(paths: Sequence[Path]) -> Opinions:
    """Merge files saved by a blind test's page.

    Raises UsageError if a file has another format, is from another test than the first one, or if two files
    are from the same rater.
    """
    pairs: list[tuple[int, int]] = []
    raters: dict[str, Path] = {}
    first: dict[str, Any] = {}
    for path in paths:
        table = _read(path)
        first = first or table
        if table["test"] != first["test"]:
            raise UsageError(
                f"{path}: is of another blind test than {paths[0]}; expected ratings of the same page"
            )
        if table["rater"] in raters:
            raise UsageError(
                f"{path}: is by the same rater as {raters[table['rater']]}; give each rater's file once"
            )
        raters[table["rater"]] = path
        pairs += [tuple(t["ratings"]) for t in table["trials"]]
    names = first["names"]
    above, equal, below = (sum(c) for c in zip(*((a > b, a == b, a < b) for a, b in pairs), strict=True))
    low, high, rate = _wilson(above + equal / 2, len(pairs))
    one, other = (_opinion(name, [p[n] for p in pairs]) for n, name in enumerate(names))
    return Opinions(
        first["test"], len(raters), len(pairs), (one, other), (above, equal, below), rate, low, high
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: can't be read as ratings: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not isinstance(table, dict) or table.get("format") != FORMAT or not _is_whole(table):
        raise UsageError(
            f'{path}: holds no ratings; expected a file saved from a page of vsr compare --blind ("format":'
            f' "{FORMAT}")'
        )
    return table


def _is_whole(table: dict[str, Any]) -> bool:
    try:
        kinds = (
            all(isinstance(table[k], str) and table[k] for k in ("test", "rater"))
            and len(table["names"]) == 2
        )
        ratings = [t["ratings"] for t in table["trials"]]
        return bool(
            kinds
            and ratings
            and all(len(r) == 2 and all(type(x) is int and 1 <= x <= 5 for x in r) for r in ratings)
        )
    except (KeyError, TypeError):
        return False


def _opinion(name: str, ratings: Sequence[int]) -> Opinion:
    count = len(ratings)
    mean = sum(ratings) / count
    if count < 2:
        return Opinion(name, mean, None)
    deviation = math.sqrt(sum((r - mean) ** 2 for r in ratings) / (count - 1))
    return Opinion(name, mean, _SIGMAS * deviation / math.sqrt(count))


def _wilson(hits: float, count: int) -> tuple[float, float, float]:
    """Wilson score interval of a share: (low, high, share)."""
    share, square = hits / count, _SIGMAS**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = (
        _SIGMAS / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    )
    return max(0.0, middle - half), min(1.0, middle + half), share
