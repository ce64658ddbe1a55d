"""What happens in a run, as values: the library yields them, `vsr/views/progress.py` draws them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

__all__ = ["Advanced", "AlreadyDone", "ChunkFinished", "Event", "Finished", "Note", "Phase", "Planned"]


@dataclass(frozen=True)
class Planned:
    """What will be done, before it is."""

    input: str
    output: str
    plan: Plan
    info: VideoInfo
    estimated_bytes: int
    """Chunks and result together, at most; `vsr plan --measure` knows better."""
    chunks_done: int = 0
    """Kept from an earlier run."""
    frames_done: int = 0
    """Frames of the result in these chunks."""
    changed: tuple[str, ...] = ()
    """Why an earlier run's work was not used."""
    dropped: tuple[str, ...] = ()
    """Streams left out, in words."""
    left_out: frozenset[int] = frozenset()
    """Their indexes."""


@dataclass(frozen=True)
class Advanced:
    """Frames finished so far, and where workers waited."""

    frames: int
    total: int
    seconds: dict[str, float]
    worker: int = 0
    """The one that reports, and how many frames it finished since it did last; `host` is empty on this
    machine."""
    host: str = ""
    step: int = 0
    until_stop: int = 0
    """Frames that the chunks under way still lack: a run that is asked to stop ends with them."""


@dataclass(frozen=True)
class Phase:
    """What is done with all frames at hand; no frame is made any more."""

    text: str


@dataclass(frozen=True)
class ChunkFinished:
    """A chunk is on the disk."""

    index: int
    chunks_done: int
    chunks: int
    frames: int
    worker: int = 0
    host: str = ""


@dataclass(frozen=True)
class Note:
    """Something a person should know; the work continues."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The result has its name."""

    output: str
    frames: int
    """Of the whole result."""
    seconds: float
    """Of this call."""
    bytes: int
    limiting: str
    report: dict[str, Any] = field(default_factory=dict)
    made: int = 0
    """Frames that this call made; the others are of earlier runs."""
    kept: tuple[str, ...] = ()
    """Tracks of the source, and chapters, that the result has, too: "2 audio tracks"."""

    @property
    def fps(self) -> float:
        """Frames a second that this call made; 0 where it made none."""
        return self.made / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class AlreadyDone:
    """The very same command was finished before."""

    output: str
    frames: int = 0
    bytes: int = 0


Event = Planned | Advanced | ChunkFinished | Phase | Note | Finished | AlreadyDone
