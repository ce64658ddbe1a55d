"""`find_cadence`: finds the pulldown phase of each frame, over the film as a whole.

Each frame is in one of a few states: one of the five phases of 3:2 or of 2:3:3:2 pulldown, progressive, one
field late (2:2), or video. A state predicts which fields were taken at one time and which one is repeated;
votes against it have a cost. A frame in the state that is expected after the last one has no further cost;
any other state is a break. The path with the lowest cost (Viterbi, 1967) is the cadence. So static or faint
frames are decided by those around them, and one odd frame breaks nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.interlacing.field_matching import FACTS
from pipelines.plan.pulldown import NONE

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["find_cadence"]


_FILM = 5
"""Phases: states 0 to 4 are 3:2, 5 to 9 are 2:3:3:2."""
_WHOLE, _LATE, _VIDEO = 10, 11, 12
_STATES = 13
_BEFORE_TOGETHER = (2, 3, 4, 7, 8, _LATE)
"""States in which the first field belongs to the second one of the frame before."""
_OWN_TOGETHER = (0, 1, 4, 5, 6, 8, 9, _WHOLE)
_FIRST_AGAIN, _SECOND_AGAIN = (2, 7), (4, 8)
"""States in which a field repeats that of the frame before."""
_USUAL = {5: 0.02, 6: 0.02, 7: 0.02, 8: 0.02, 9: 0.02, _WHOLE: 0.04, _LATE: 0.06, _VIDEO: 0.12}
"""Cost of a frame in a rarer state, without any votes."""
_BREAK = 2.5
_FEW = 3.0
"""Number of votes that give half of the largest weight."""
_RESIDUAL, _RESIDUAL_BLOCKS = 0.012, 4
"""Share of the moving blocks, and their number, that comb if a frame has to be deinterlaced."""


def find_cadence(facts: npt.NDArray[np.int32]) -> str:
    """The letters of `pulldown.Pulldown` for these frames. facts: (frames, FACTS)."""
    if not len(facts):
        return ""
    states = _cheapest(*_costs(facts))
    table = dict(zip(FACTS, facts.T, strict=True))
    letters = []
    for frame, state in enumerate(states):
        follows = frame > 0 and states[frame - 1] != state and _next(states[frame - 1]) == state
        letter = _letter(state, follows=follows, late=frame > 0 and states[frame - 1] == _LATE)
        combed = table["before_combed" if letter in "CP" else "own_combed"][frame]
        if letter in "ABCDEP" and combed >= _RESIDUAL_BLOCKS and combed > _RESIDUAL * table["moving"][frame]:
            letter = letter.lower()
        if letter == "W" and combed >= _RESIDUAL_BLOCKS and combed > _RESIDUAL * table["moving"][frame]:
            letter = "V"
        letters.append(letter)
    return "".join(letters)


def _letter(state: int, *, follows: bool, late: bool) -> str:
    if state == _WHOLE:
        return "W"
    if state == _VIDEO:
        return "V"
    if state == _LATE:
        return "P" if late else NONE
    if state == 3:
        return "C" if follows else NONE  # otherwise its first field is alone: the matching field was cut off
    return (
        "ABECD"[state]
        if state in (0, 1)
        else NONE
        if state == 2
        else {4: "D", 5: "A", 6: "B", 7: NONE, 8: "E", 9: "D"}[state]
    )


def _next(state: int) -> int:
    return state if state >= 2 * _FILM else state // _FILM * _FILM + (state + 1) % _FILM


def _costs(facts: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(frames, states): costs of a frame that continues the one before, and of the first after a break."""
    table = {name: column.astype(np.float64) for name, column in zip(FACTS, facts.T, strict=True)}

    def balance(a: str, b: str) -> npt.NDArray[np.float64]:
        """-1..1: how much votes `a` outweigh votes `b`."""
        return np.asarray((table[a] - table[b]) / (table[a] + table[b] + _FEW))

    before, own = balance("before_apart", "before_together"), balance("own_apart", "own_together")
    first, second = balance("first_again", "first_moved"), balance("second_again", "second_moved")
    combed_before, combed_own = (
        table[name] / (table["moving"] + _FEW) for name in ("before_combed", "own_combed")
    )
    costs, alone = np.zeros((len(facts), _STATES)), np.zeros((len(facts), _STATES))
    for state in range(_STATES):
        alone[:, state] += _USUAL.get(state, 0.0)
        alone[:, state] += np.maximum(0, own) + combed_own if state in _OWN_TOGETHER else np.maximum(0, -own)
        costs[:, state] = alone[:, state]
        costs[:, state] += (
            np.maximum(0, before) + combed_before if state in _BEFORE_TOGETHER else np.maximum(0, -before)
        )
        costs[:, state] += np.maximum(0, -first if state in _FIRST_AGAIN else first)
        costs[:, state] += np.maximum(0, -second if state in _SECOND_AGAIN else second)
    return costs, alone


def _cheapest(costs: npt.NDArray[np.float64], alone: npt.NDArray[np.float64]) -> list[int]:
    """The state of each frame on the path with the lowest cost."""
    count = len(costs)
    came_from = np.zeros((count, _STATES), np.int8)
    last = np.zeros(_STATES, np.int64)
    for state in range(_STATES):
        last[_next(state)] = state
    total = alone[0].copy()
    for frame in range(1, count):
        best = int(total.argmin())
        following, anew = total[last] + costs[frame], total[best] + _BREAK + alone[frame]
        breaks = following > anew
        came_from[frame] = np.where(breaks, best, last)
        total = np.where(breaks, anew, following)
    path = [int(total.argmin())]
    for frame in range(count - 1, 0, -1):
        path.append(int(came_from[frame, path[-1]]))
    return path[::-1]
