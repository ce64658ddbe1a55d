"""`Pulldown`: from which fields of which source frames each output frame is woven.

Telecine spreads film frames over fields: 3:2 pulldown makes five frames of four, AA BB BC CD DD. The plan has
a letter for each source frame, so that weaving needs only a frame and the one before it: cuts, resumes and
random access give the same frames by construction.

A film frame lasts two or three fields, 2.5 on average. Its timestamp differs from that of the source frame
with its letter by a multiple of a quarter frame, so that the four film frames of a cycle are evenly spaced.
"""

from __future__ import annotations

import functools
from array import array
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NONE", "PARTS", "Pulldown", "surrounding_frames"]


NONE = "-"
"""Letter of a source frame that gives no output frame. Its fields are shown as part of other frames."""
PARTS = 4
"""Output ticks per source tick."""
_QUARTERS = {"A": 0, "B": 1, "C": -2, "D": -1, "E": -2, "P": -2, "W": 0, "V": 0}
"""Timestamp for each letter, in quarters of a source frame after its own. A, B, C, D: film frames of 3:2
pulldown. E: the third one of 2:3:3:2, where one frame in five is woven from two. P: 2:2 pulldown, one field
late. W: progressive, at its own time. V: video, at its own time. Lower case: the same, deinterlaced."""
_WOVEN = frozenset("CP")
_VIDEO = frozenset("PWV")
_CYCLE = frozenset({"AB", "B-", "-C", "CD", "DA", "-E", "ED"})


@dataclass(frozen=True)
class Pulldown:
    """Inverse telecine of a film, frame by frame."""

    first_field: Literal["top", "bottom"]
    first_frame: int
    """Source frame of the first letter. Frames before it, and after the last letter, don't matter."""
    letters: str

    def letter(self, frame: int) -> str:
        """How output is made from a source frame, as a letter; "W", progressive, outside `letters`."""
        place = frame - self.first_frame
        return self.letters[place] if 0 <= place < len(self.letters) else "W"

    def is_woven(self, frame: int) -> bool:
        """Whether its first field is combined with the second one of the frame before."""
        return self.letter(frame) in _WOVEN

    def is_deinterlaced(self, frame: int) -> bool:
        """Whether it is made from its first field alone."""
        letter = self.letter(frame)
        return letter == "V" or letter.islower()

    def results(self, frame: int) -> int:
        """Output frames made from source frames before `frame`."""
        place = frame - self.first_frame
        end = len(self.letters)
        return min(frame, self.first_frame) + self._made[min(max(0, place), end)] + max(0, place - end)

    @functools.cached_property
    def _made(self) -> array[int]:
        """Output frames before each letter, and in total."""
        made = array("q", [0])
        for letter in self.letters:
            made.append(made[-1] + (letter != NONE))
        return made

    @functools.cached_property
    def longest_gap(self) -> int:
        """Longest run of source frames without output."""
        return max(
            (len(run) for run in "".join(NONE if n == NONE else " " for n in self.letters).split()), default=0
        )

    @property
    def breaks(self) -> int:
        """Number of places where the cycle of film frames starts again."""
        letters = self.letters.upper()
        found = 0
        for place, pair in enumerate(map("".join, pairwise(letters))):
            begun_before = pair == "-D" and (not place or letters[place - 1] == NONE)
            found += not (pair in _CYCLE or begun_before or _VIDEO & set(pair))
        return found

    def share(self, letters: str) -> float:
        """The share of source frames with one of these letters; frames without output count as film."""
        return sum(map(self.letters.upper().count, letters)) / max(1, len(self.letters))

    def times(
        self, pts: Sequence[int], durations: Sequence[int], start: int, stop: int
    ) -> tuple[array[int], array[int]]:
        """(timestamps, durations) of the output of all source frames, in ticks a fourth as long.

        The frames [start, stop) are in the range: their output begins when the first of them does, and ends
        when the last one does.
        """
        usual = Counter(durations).most_common(1)[0][0] if len(durations) else 1
        times, owners = array("q"), array("q")
        for frame, own in enumerate(pts):
            letter = self.letter(frame)
            if letter == NONE:
                continue
            quarters = _QUARTERS[letter.upper()]
            other = frame + (1 if quarters > 0 else -1)
            step = abs(pts[other] - own) if 0 <= other < len(pts) else usual
            times.append(PARTS * own + quarters * min(step, 2 * usual))
            owners.append(frame)
        first, end = self.results(start), self.results(stop)
        ends = times[1:]
        if len(times):
            ends.append(PARTS * (pts[-1] + durations[-1]))
        if end > first:
            times[first] = PARTS * pts[start]
            ends[end - 1] = PARTS * (pts[stop - 1] + durations[stop - 1])
            if first:
                ends[first - 1] = times[first]
        return times, array("q", (b - a for a, b in zip(times, ends, strict=True)))


@functools.lru_cache(maxsize=16)
def surrounding_frames(pulldown: Pulldown, before: int, after: int) -> tuple[int, int]:
    """Source frames before and after any place that contain so many output frames.

    Places that are too close to the start or the end of the film don't count.
    """
    owners = [n for n, letter in enumerate(pulldown.letters) if letter != NONE]
    count = len(owners)
    back = (
        max((n - owners[at - before] for n, at in enumerate(pulldown._made) if at >= before), default=0)
        if before
        else 0
    )
    ahead = (
        max(
            (owners[at + after - 1] + 1 - n for n, at in enumerate(pulldown._made) if at + after <= count),
            default=0,
        )
        if after
        else 0
    )
    return max(before, back) if before else 0, max(after, ahead) if after else 0
