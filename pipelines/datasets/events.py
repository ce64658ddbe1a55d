"""Events of building a data set, as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DatasetDone", "Progress", "UnitLeftOut"]


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
