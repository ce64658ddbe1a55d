"""What travels to a worker and, besides chunks, comes back; free of torch, for both sides of the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.plan import Plan
    from pipelines.video import Chunk, DecoderSetup

__all__ = ["Progress", "SpanTask", "WorkerSetup"]


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker is made of."""

    plan: Plan
    decoder: DecoderSetup
    device: str
    """auto, cpu or cuda."""


@dataclass(frozen=True)
class SpanTask:
    """One run of the decoder and the chunks to make of it."""

    chunks: tuple[Chunk, ...]
    """In order; those already done are left out, their frames are skipped."""
    pts: tuple[int, ...]
    """Promised timestamps from the first of `chunks` to the end of the last, in order, with the plan's context on both sides."""
    skipped_frames: int
    """Frames before them in this span, counted from its first decoded one; for frames known by order only."""
    hidden: frozenset[int]
    """Timestamps the container says not to show."""
    before: int = 0
    """How many of the first `pts` are only there to be looked at."""
    shown: tuple[int, ...] = ()
    """Timestamps of the results from the first of `chunks` to the end of the last, where the plan filters frames."""


@dataclass(frozen=True)
class Progress:
    """Frames finished since the last report, and where the worker's time went."""

    frames: int
    seconds: dict[str, float]
