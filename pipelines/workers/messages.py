"""Messages to and from a worker, besides chunks; free of torch, as both sides use them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog.card import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.codec.expected_frames import ExpectedFrames
    from pipelines.media.video_info import Chunk, DecoderSetup
    from pipelines.plan.plan import Plan

__all__ = [
    "NO_ENCODER",
    "ChunkProgress",
    "HardwareFacts",
    "PreviewSample",
    "SpanTask",
    "StageSeconds",
    "WorkerKind",
    "WorkerSetup",
]


class WorkerKind(StrEnum):
    """Names of worker classes: the main process never loads them, as they load torch."""

    CHUNK_UPSCALER = "pipelines.workers.chunk_worker:ChunkUpscaler"
    HARDWARE = "pipelines.workers.hardware_report:HardwareTester"
    SAMPLER = "pipelines.workers.preview_worker:PreviewWorker"
    STAGE_SAMPLER = "pipelines.workers.stage_timer:StageSampler"
    STAGE_TIMER = "pipelines.workers.stage_timer:StageTimer"


NO_ENCODER = "none"
"""Fact "encoder" of a worker without the plan's hardware encoder."""


@dataclass(frozen=True)
class WorkerSetup:
    """Setup of a worker."""

    plan: Plan
    decoder: DecoderSetup
    device: str
    """One of DEVICES."""
    others: tuple[Plan, ...] = ()
    """Other networks for the same frames, for workers that compare."""

    def files(self) -> dict[str, Path]:
        """The weights it needs, by names that begin with their SHA-256; for workers on other machines."""
        return {file_name(s.card): Path(s.card.path) for s in self.plan.stages if s.card.path}

    def placed(self, places: dict[str, Path]) -> WorkerSetup:
        """Replace the paths of the weights."""
        stages = tuple(
            replace(s, card=replace(s.card, path=str(places[file_name(s.card)]))) if s.card.path else s
            for s in self.plan.stages
        )
        return replace(self, plan=replace(self.plan, stages=stages))


@dataclass(frozen=True)
class SpanTask:
    """One run of the decoder, and the chunks to make from it."""

    chunks: tuple[Chunk, ...]
    """Unfinished chunks in order; frames of finished ones are skipped."""
    pts: Sequence[int]
    """Expected timestamps from the first of `chunks` to the end of the last, in order, with the plan's
    context on both sides."""
    skipped_frames: int
    """Frames before them in this span, counted from its first decoded one; for frames known by order only."""
    checks: dict[int, int] | None = None
    """`decoder.checksum` of some frames from the container's own decoder, by number; for films with frames
    known by order only."""
    before: int = 0
    """Number of the first `pts` that only filters use."""
    settling: int = 0
    """Number of frames after those, and before the first chunk's own, that networks get."""
    ahead: int = 0
    """Number of frames after the last chunk's own that networks get."""
    shown: Sequence[int] = ()
    """Timestamps after filters of the frames that networks get, if the plan has filters."""

    @property
    def first_frame(self) -> int:
        """Number in the film of the first of `pts`."""
        return self.chunks[0].start_frame - self.settling - self.before

    def expected(self, plan: Plan, setup: DecoderSetup) -> ExpectedFrames:
        """The frames that its packets must give."""
        from pipelines.codec.expected_frames import ExpectedFrames

        return ExpectedFrames(self.pts, plan.linear, self.skipped_frames, self.first_frame, setup.clock)


@dataclass(frozen=True)
class ChunkProgress:
    """Frames finished since the last report, and how the worker's time was spent."""

    frames: int
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()
    """Messages for the user, repeated for each chunk that causes them."""

    def counts(self) -> list[tuple[str, dict[str, str], float]]:
        """Counts for the monitoring of a cluster: (counter, tags, amount)."""
        steps = [
            ("vsr_seconds", {"step": name.replace(" ", "_")}, spent) for name, spent in self.seconds.items()
        ]
        return [("vsr_frames", {}, float(self.frames)), *steps]


@dataclass(frozen=True)
class StageSeconds:
    """Seconds per output frame, each stage alone."""

    wall: dict[str, float]
    """decode, check, network, encode."""
    cpu: dict[str, float]
    """CPU seconds of all threads together, by stage."""
    cores: int
    cuda: bool
    bus_bytes: int
    """Bytes transferred to the device and back per frame; 0 without one."""
    convolution_tflops: float
    """Speed of the network's own kind of convolution alone; 0 if it has none."""
    tiles: int
    reused: int
    """Tiles compared, and tiles reused from the frame before."""
    key_bytes: float = 0.0
    """Bytes of an encoded chunk's first frame, and of the others on average."""
    bytes_a_frame: float = 0.0
    queued: float = 0.0
    """Seconds per frame that threads of the network waited for a core; 0 if the system does not report it."""


@dataclass(frozen=True)
class HardwareFacts:
    """Usable hardware of a machine."""

    cores: int
    capability: str
    """Instruction set of the CPU, by torch's name, such as AVX512."""
    amx: bool
    avx512_bf16: bool
    dtype: str
    """Precision of networks on the default device."""
    cuda_build: str
    """CUDA version that torch was built for; empty if none."""
    cuda: tuple[dict[str, Any], ...]
    """name, compute, memory_bytes of each device."""
    accelerator: str
    """Name of a device of another kind that computes networks; empty if there is none."""
    encoders: tuple[str, ...]
    """Hardware encoders that encoded a frame."""
    decoders: tuple[str, ...]
    """Kinds of device that decoded an H.264 frame."""


@dataclass(frozen=True)
class PreviewSample:
    """A sample frame of a film through several networks; each tuple has one entry per network."""

    moment: int
    pictures: tuple[bytes, ...]
    """PNG files of the same place, at pixel size."""
    side_by_side: bytes
    """PNG file."""
    overview: bytes
    """PNG file of the whole source frame, scaled down, with that place marked."""
    key_bytes: tuple[float, ...]
    """Bytes of the first encoded frame."""
    bytes_a_frame: tuple[float, ...]
    """Mean bytes of the other encoded frames."""
    stages: tuple[StageSeconds, ...]
