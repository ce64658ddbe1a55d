"""What is held out to validate by: whole shots of a film, whole pictures.

By what the footage is, whatever the seed and whatever lies beside it, so that a data set can be mixed with
others of the same footage.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Stretch", "held_pictures", "hold_out"]


_LONG, _TOO_LONG = 0.15, 0.34
"""Parts of a film."""


@dataclass(frozen=True)
class Stretch:
    """A run of frames of one shot that is all training or all validation; half-open."""

    start: int
    stop: int
    split: str


def hold_out(shot_list: list[tuple[int, int]], share: float, fingerprint: str) -> list[Stretch]:
    """Give whole shots to validation until about `share` of the frames is held out.

    At least one shot if there are several.

    In an order that follows from each shot's own identity, so what a small share holds out a larger one does,
    too. Shots of more than `_LONG` of the film come last, those of more than `_TOO_LONG` never: a film of one
    shot, or of such shots alone, holds out the end of its longest one, after a gap as long as what is held
    out. fingerprint: of the film, which with its first frame is a shot's identity.
    """
    total = sum(stop - start for start, stop in shot_list)

    def place(number: int) -> tuple[bool, str]:
        start, stop = shot_list[number]
        return stop - start > _LONG * total, hashlib.sha256(f"{fingerprint} {start}".encode()).hexdigest()

    held: set[int] = set()
    length = 0
    able = [n for n, (start, stop) in enumerate(shot_list) if stop - start <= _TOO_LONG * total]
    for number in sorted(able, key=place) if len(shot_list) > 1 else []:
        if length >= share * total:
            break
        held.add(number)
        length += shot_list[number][1] - shot_list[number][0]
    stretches = [
        Stretch(start, stop, "validation" if n in held else "train")
        for n, (start, stop) in enumerate(shot_list)
    ]
    if not held and total > 1:
        longest = max(stretches, key=lambda s: s.stop - s.start)
        tail = max(1, round((longest.stop - longest.start) * max(share, 0.1)))
        number = stretches.index(longest)
        if longest.stop - longest.start > 2 * tail:
            stretches[number] = Stretch(longest.start, longest.stop - 2 * tail, "train")
            stretches.insert(number + 1, Stretch(longest.stop - tail, longest.stop, "validation"))
    return stretches


def held_pictures(fingerprints: Iterable[str], share: float, *, alone: bool) -> frozenset[str]:
    """Those of the pictures (SHA-256 in hex) that are held out.

    Each by its own fingerprint, about `share` of many.

    alone: there is nothing else to validate by, so of several pictures one is held out in any case.
    """
    pictures = frozenset(fingerprints)
    held = frozenset(f for f in pictures if int(f[:16], 16) < share * 2**64)
    return held or (frozenset({min(pictures)}) if alone and len(pictures) > 1 else held)
