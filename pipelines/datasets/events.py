"""What happens while a data set is built, as values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DatasetDone", "Progress", "UnitLeftOut"]


@dataclass(frozen=True)
class Progress:
    """Event: a unit is being worked on."""

    unit: str
    done: int
    """Frames or pictures looked at."""
    total: int
    pairs: int


@dataclass(frozen=True)
class UnitLeftOut:
    """Event: a unit was not worked on."""

    unit: str
    reason: str


@dataclass(frozen=True)
class DatasetDone:
    """Event: the manifest is written."""

    folder: str
    train_pairs: int
    validation_pairs: int
    rejected: dict[str, int]
