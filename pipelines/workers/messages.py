"""What travels to a worker and, besides chunks, comes back; free of torch, for both sides of the line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.catalog.card import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.codec.promised_frames import Promise
    from pipelines.media.video_info import Chunk, DecoderSetup
    from pipelines.plan.plan import Plan

__all__ = [
    "NO_ENCODER",
    "ChunkProgress",
    "HardwareFacts",
    "Sampled",
    "SpanTask",
    "Stages",
    "WorkerKind",
    "WorkerSetup",
]


class WorkerKind(StrEnum):
    """The classes that workers are of, by name: the parent of a run never loads them, for they load torch."""

    CHUNK_UPSCALER = "pipelines.workers.chunk_worker:ChunkUpscaler"
    HARDWARE = "pipelines.workers.hardware_report:Hardware"
    SAMPLER = "pipelines.workers.preview_worker:Sampler"
    STAGE_SAMPLER = "pipelines.workers.stage_timer:StageSampler"
    STAGE_TIMER = "pipelines.workers.stage_timer:StageTimer"


NO_ENCODER = "none"
"""Fact "encoder" of a worker where the plan's hardware is not."""


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker is made of."""

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
        """The same with weights at other places."""
        stages = tuple(
            replace(s, card=replace(s.card, path=str(places[file_name(s.card)]))) if s.card.path else s
            for s in self.plan.stages
        )
        return replace(self, plan=replace(self.plan, stages=stages))


@dataclass(frozen=True)
class SpanTask:
    """One run of the decoder and the chunks to make of it."""

    chunks: tuple[Chunk, ...]
    """In order; those already done are left out, their frames are skipped."""
    pts: Sequence[int]
    """Promised timestamps from the first of `chunks` to the end of the last, in order, with the plan's
    context on both sides."""
    skipped_frames: int
    """Frames before them in this span, counted from its first decoded one; for frames known by order only."""
    checks: dict[int, int] | None = None
    """`decode.checksum` of some frames as the container's own decoder gives them, by number; for films with
    frames known by order only."""
    before: int = 0
    """How many of the first `pts` only filters look at."""
    settling: int = 0
    """How many frames behind those, and before the first chunk's own, networks are shown."""
    ahead: int = 0
    """How many frames behind the last chunk's own networks are shown."""
    shown: Sequence[int] = ()
    """Timestamps of what filters make of the frames that networks are shown, where the plan filters
    frames."""

    @property
    def first_frame(self) -> int:
        """Number in the film of the first of `pts`."""
        return self.chunks[0].start_frame - self.settling - self.before

    def promise(self, plan: Plan, setup: DecoderSetup) -> Promise:
        """What its packets must give."""
        from pipelines.codec.promised_frames import Promise

        return Promise(self.pts, plan.linear, self.skipped_frames, self.first_frame, setup.clock)


@dataclass(frozen=True)
class ChunkProgress:
    """Frames finished since the last report, and where the worker's time went."""

    frames: int
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()
    """What a person should know; the same thing each time it happens."""

    def counts(self) -> list[tuple[str, dict[str, str], float]]:
        """For a cluster's monitoring: (counter, tags, amount)."""
        steps = [
            ("vsr_seconds", {"step": name.replace(" ", "_")}, spent) for name, spent in self.seconds.items()
        ]
        return [("vsr_frames", {}, float(self.frames)), *steps]


@dataclass(frozen=True)
class Stages:
    """Seconds a frame of the result, each stage alone."""

    wall: dict[str, float]
    """decode, check, network, encode."""
    cpu: dict[str, float]
    """The same as CPU seconds, of all threads together."""
    cores: int
    cuda: bool
    bus_bytes: int
    """That go to the device and back for a frame; 0 without one."""
    convolution_tflops: float
    """Rate of the network's own kind of convolution alone; 0 where it has none."""
    tiles: int
    reused: int
    """Tiles looked at, and those of them that were taken over from the frame before."""
    key_bytes: float = 0.0
    """Of an encoded chunk's first frame, and of each of the others on average."""
    bytes_a_frame: float = 0.0
    queued: float = 0.0
    """Seconds a frame that threads of the network waited for a core; 0 where the system does not tell."""


@dataclass(frozen=True)
class HardwareFacts:
    """What a machine has, as far as it could be used."""

    cores: int
    capability: str
    """Of the CPU, as torch names it, such as AVX512."""
    amx: bool
    avx512_bf16: bool
    dtype: str
    """In which networks run on the default device."""
    cuda_build: str
    """CUDA version torch was built with; empty: it has none."""
    cuda: tuple[dict[str, Any], ...]
    """name, compute, memory_bytes of each device."""
    encoders: tuple[str, ...]
    """In hardware, that made a picture."""
    decoders: tuple[str, ...]
    """Kinds of device that decoded an H.264 picture."""


@dataclass(frozen=True)
class Sampled:
    """A moment of a film through several networks; each tuple has one entry a network."""

    moment: int
    pictures: tuple[bytes, ...]
    """PNG files of the same place, at pixel size."""
    side_by_side: bytes
    """PNG file."""
    overview: bytes
    """PNG file of the whole frame of the source, small, with that place marked."""
    key_bytes: tuple[float, ...]
    """Of the first encoded frame."""
    bytes_a_frame: tuple[float, ...]
    """Of the others, on average."""
    stages: tuple[Stages, ...]
