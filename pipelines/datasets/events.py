"""Events of building a data set, as values."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import counted
from pipelines.plan.events import Note

__all__ = ["DatasetDone", "Progress", "UnitLeftOut", "few_pairs"]


_FEW_PAIRS = 500
_MORE_PAIRS = (
    "more come from more footage, and up to four times as many from the same: vsr dataset INPUT... -o DIR"
    " --set passes=4"
)


@dataclass(frozen=True)
class Progress:
    """Event: a unit is in progress."""

    unit: str
    done: int
    """Frames or images examined."""
    total: int
    pairs: int


@dataclass(frozen=True)
class UnitLeftOut:
    """Event: a unit was skipped."""

    unit: str
    reason: str


@dataclass(frozen=True)
class DatasetDone:
    """Event: the manifest is written."""

    folder: str
    train_pairs: int
    validation_pairs: int
    rejected: dict[str, int]


def few_pairs(pairs: int, more: str = "") -> Note | None:
    """A note if training will have few pairs. more: where more come from."""
    if pairs >= _FEW_PAIRS:
        return None
    return Note(
        f"{counted(pairs, 'pair')} to learn from {'is' if pairs == 1 else 'are'} few: expect a network that"
        f" is no better than the one of its size that ships; {more or _MORE_PAIRS}"
    )
