"""Events of a run, as values: the library yields them, `vsr/views/progress.py` displays them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = [
    "Advanced",
    "AlreadyDone",
    "ChunkFinished",
    "Event",
    "Finished",
    "Note",
    "Phase",
    "Planned",
]


@dataclass(frozen=True)
class Planned:
    """Event: the plan of a run, before work starts."""

    input: str
    output: str
    plan: Plan
    info: VideoInfo
    estimated_bytes: int
    """Upper bound for chunks and output together; `vsr plan --measure` gives a better estimate."""
    chunks_done: int = 0
    """Kept from an earlier run."""
    frames_done: int = 0
    """Output frames in these chunks."""
    changed: tuple[str, ...] = ()
    """Why an earlier run's work was not used."""
    dropped: tuple[str, ...] = ()
    """Dropped streams, in words."""
    left_out: frozenset[int] = frozenset()
    """Indexes of the streams that are left out."""


@dataclass(frozen=True)
class Advanced:
    """Event: frames finished so far, and how long workers waited."""

    frames: int
    total: int
    seconds: dict[str, float]
    worker: int = 0
    """The worker that reports, and how many frames it finished since its last report; `host` is empty on this
    machine."""
    host: str = ""
    step: int = 0
    until_stop: int = 0
    """Frames of the current chunks that are not done yet: a run that is stopped ends after them."""


@dataclass(frozen=True)
class Phase:
    """Event: a step after all frames are made."""

    text: str


@dataclass(frozen=True)
class ChunkFinished:
    """Event: a chunk is stored on disk."""

    index: int
    chunks_done: int
    chunks: int
    frames: int
    worker: int = 0
    host: str = ""


@dataclass(frozen=True)
class Note:
    """Event: a message for the user; the work continues."""

    text: str


@dataclass(frozen=True)
class Finished:
    """Event: the output is complete and has its final name."""

    output: str
    frames: int
    """Frames of the whole output."""
    seconds: float
    """Duration of this call."""
    bytes: int
    limiting: str
    report: dict[str, Any] = field(default_factory=dict)
    made: int = 0
    """Frames made by this call; the others are from earlier runs."""
    kept: tuple[str, ...] = ()
    """Tracks of the source, and chapters, that were copied: "2 audio tracks"."""

    @property
    def fps(self) -> float:
        """Frames per second of this call; 0 if it made none."""
        return self.made / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class AlreadyDone:
    """Event: the same command has finished before."""

    output: str
    frames: int = 0
    bytes: int = 0


def limit_text(seconds: Mapping[str, float], *, is_learned: bool) -> str:
    """What limits a run, in words; empty if no time was measured.

    seconds: of a worker's middle thread, as in `Advanced`. is_learned: as in `Plan`.
    """
    spent = {name: taken for name, taken in seconds.items() if taken > 0}
    slowest = max(spent, key=spent.__getitem__, default="")
    between = "the network" if is_learned else "scaling"
    return {"decode wait": "decoding", "network": between, "encode wait": "encoding"}.get(slowest, slowest)


Event = Planned | Advanced | ChunkFinished | Phase | Note | Finished | AlreadyDone
