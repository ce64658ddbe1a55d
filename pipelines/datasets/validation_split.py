"""Splits footage into training and validation: whole shots of a film, whole images.

It depends on the footage alone, not on the seed or other footage, so that data sets of the same footage can
be mixed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ShotSegment", "held_out_images", "hold_out"]


_LONG, _TOO_LONG = 0.15, 0.34
"""Shares of a film."""


@dataclass(frozen=True)
class ShotSegment:
    """A run of frames of one shot that is all training or all validation; half-open."""

    start: int
    stop: int
    split: str


def hold_out(shot_list: list[tuple[int, int]], share: float, fingerprint: str) -> list[ShotSegment]:
    """Assign whole shots to validation until about `share` of the frames is held out.

    At least one shot is held out if there are several. The order follows from each shot's own identity, so a
    larger share holds out everything that a smaller one does. Shots longer than `_LONG` of the film come
    last; shots longer than `_TOO_LONG` of it are not held out. If a film has only one shot, or only such
    shots, the end of the longest one is held out, after a gap of the same length. fingerprint: hash of the
    film; it identifies a shot together with the number of the shot's first frame.
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
        ShotSegment(start, stop, "validation" if n in held else "train")
        for n, (start, stop) in enumerate(shot_list)
    ]
    if not held and total > 1:
        longest = max(stretches, key=lambda s: s.stop - s.start)
        tail = max(1, round((longest.stop - longest.start) * max(share, 0.1)))
        number = stretches.index(longest)
        if longest.stop - longest.start > 2 * tail:
            stretches[number] = ShotSegment(longest.start, longest.stop - 2 * tail, "train")
            stretches.insert(number + 1, ShotSegment(longest.stop - tail, longest.stop, "validation"))
    return stretches


def held_out_images(fingerprints: Iterable[str], share: float, *, alone: bool) -> frozenset[str]:
    """The images (SHA-256 in hex) that are held out.

    Whether an image is held out depends only on its own fingerprint; of many images, about `share` are.
    alone: there is no other validation data, so at least one of several images is held out.
    """
    pictures = frozenset(fingerprints)
    held = frozenset(f for f in pictures if int(f[:16], 16) < share * 2**64)
    return held or (frozenset({min(pictures)}) if alone and len(pictures) > 1 else held)
