"""`StageTimer`: a worker that times each stage of a chunk alone."""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.codec.encoder import EncodedChunk, StreamFacts, encode_chunk, frame_bytes, stream_facts
from pipelines.hardware.resources import usable_cores
from pipelines.inference.temporal_windows import FrameBuffer, windows
from pipelines.media.video_info import Frame
from pipelines.workers.chunk_worker import ChunkUpscaler
from pipelines.workers.frame_order_check import FrameOrderCheck
from pipelines.workers.messages import StageSeconds
from pipelines.workers.span_frames import FrameCount, span_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.media.packet_reader import PacketData
    from pipelines.plan.plan import Plan
    from pipelines.workers.messages import SpanTask, WorkerSetup

__all__ = ["StageSampler", "StageTimer"]


_FRAMES = 24
"""Frames that are upscaled, and encoded forwards and backwards."""
_DECODED = 240
"""Most frames of a span that are decoded."""


class _Awaited:
    """Passes packets on without keeping them, and measures the waiting time."""

    def __init__(self, packets: Iterator[PacketData]) -> None:
        self._packets = packets
        self.wall = self.cpu = 0.0
        """Seconds; of the CPU, in the reading thread."""

    def __iter__(self) -> Iterator[PacketData]:
        while True:
            wall, cpu = time.perf_counter(), time.thread_time()
            packet = next(self._packets, None)
            self.wall += time.perf_counter() - wall
            self.cpu += time.thread_time() - cpu
            if packet is None:
                return
            yield packet


class _Stopwatch:
    """Seconds per frame of each stage, wall clock and CPU."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.queued: dict[str, float] = {}
        """Seconds in which threads were ready to run but got no core, in total."""

    @contextmanager
    def timed(self, name: str, count: int = 1) -> Iterator[None]:
        """Time the context, for so many frames."""
        wall, cpu, queued = time.perf_counter(), time.process_time(), _queued_seconds()
        yield
        self.wall[name] = (time.perf_counter() - wall) / count
        self.cpu[name] = (time.process_time() - cpu) / count
        self.queued[name] = max(0.0, _queued_seconds() - queued) / count


def _queued_seconds(tasks: Path = Path("/proc/self/task")) -> float:
    """Seconds that the threads of this process have waited for a core while they were ready to run.

    tasks: a folder that has one folder per thread. 0 if the system does not report it; see sched-stats.rst of
    Linux.
    """
    waited = 0
    for stat in tasks.glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            waited += int(stat.read_text(encoding="ascii").split()[1])
    return waited / 1e9


class StageTimer:
    """Times decode, check, network and encode of the span it is given."""

    _there_and_back = True
    """Encode the frames a second time in reverse, to have more of them. Repeated frames would take few
    bytes."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._worker = ChunkUpscaler(setup)
        self.facts = self._worker.facts

    def run(self, task: SpanTask, pieces: Iterator[list[PacketData]]) -> Iterator[StageSeconds]:
        """Yield one `StageSeconds`."""
        plan, upscaler = self._setup.plan, self._worker.upscaler
        watch = _Stopwatch()
        sources = self._decode(task, pieces, watch)
        buffer, bits = FrameBuffer(iter(sources), 0, len(sources)), plan.pixels.bits
        last = len(sources) - 1
        windowed = list(windows(buffer, 0, len(sources), upscaler.contract, last=last, bits=bits))
        upscaler.follow(windowed[0])  # kernels are compiled and caches filled
        upscaler.stills.forget()
        with watch.timed("network", len(windowed)):
            made = [made for _, made in upscaler.stream(windowed)]
        with watch.timed("check", len(made)):
            self._check(sources, made)
        shown = [*made, *reversed(made)] if self._there_and_back else made
        stamped = [Frame(number, frame.planes) for number, frame in enumerate(shown)]
        facts: StreamFacts = {**stream_facts(plan), "time_base": 1 / plan.rate}
        with watch.timed("encode", len(stamped)):
            chunk = encode_chunk(stamped, 0, plan.encoder, **facts)
        cuda = self.facts.get("device") == "cuda"
        planes = sum(p.nbytes for p in (*sources[0].planes, *made[0].planes)) if cuda else 0
        order = ("decode", "check", "network", "encode")
        yield StageSeconds(
            {n: watch.wall[n] for n in order},
            {n: watch.cpu[n] for n in order},
            usable_cores(),
            cuda,
            planes,
            self._convolution_tflops(),
            upscaler.stills.tiles,
            upscaler.stills.taken,
            *_sizes(chunk, plan),
            watch.queued["network"],
        )

    def _decode(self, task: SpanTask, pieces: Iterator[list[PacketData]], watch: _Stopwatch) -> list[Frame]:
        """The first frames of the span; the time is that of all decoded frames, without waiting."""
        plan = self._setup.plan
        packets = _Awaited(packet for piece in pieces for packet in piece)
        decoded = FrameCount()
        kept = []
        with watch.timed("decode"):
            frames = span_frames(plan, self._setup.decoder, task, packets, watch=decoded.count)
            for passed, frame in enumerate(frames, start=1):
                if passed <= _FRAMES:
                    kept.append(frame)
                if passed >= _DECODED:
                    break  # a span may be the whole film
        # from where decoding can start, which may be far ahead
        count = max(1, passed, decoded.frames * plan.per_frame)
        watch.wall["decode"] = max(0.0, watch.wall["decode"] - packets.wall) / count
        watch.cpu["decode"] = max(0.0, watch.cpu["decode"] - packets.cpu) / count
        return kept

    def _check(self, sources: list[Frame], made: list[Frame]) -> None:
        """Compare results with their sources, as a run does."""
        check, upscaler = FrameOrderCheck(self._setup.plan), self._worker.upscaler
        for source, result in zip(sources, made, strict=True):
            plain = source if source.origin is None else Frame(source.pts, source.origin)
            check.source(upscaler.turned(plain))
            check.result(result)

    def _convolution_tflops(self) -> float:
        """Speed of 3x3 convolutions with the network's number of channels, on maps of its tile size."""
        from models.layers.convolution import convolve, pack_weights

        plan, upscaler = self._setup.plan, self._worker.upscaler
        width = int(plan.stages[0].card.settings.get("width", 0))
        if not width:
            return 0.0
        height, columns = (n // 2 for n in plan.tile_px)
        x = torch.randn(1, width, height, columns, device=upscaler.device, dtype=upscaler.dtype).contiguous(
            memory_format=torch.channels_last
        )
        layer = torch.nn.Conv2d(width, width, 3, padding=1, device=upscaler.device).to(
            memory_format=torch.channels_last
        )  # type: ignore[call-overload]
        if upscaler.device.type == "cpu":
            pack_weights(layer, upscaler.dtype)
        times = []
        with (
            torch.inference_mode(),
            torch.autocast(upscaler.device.type, upscaler.dtype, enabled=upscaler.dtype != torch.float32),
        ):
            for _ in range(12):
                began = time.perf_counter()
                convolve(layer, x, relu=True)
                if upscaler.device.type == "cuda":
                    torch.cuda.synchronize()
                times.append(time.perf_counter() - began)
        return 2 * 9 * width * width * height * columns / sorted(times)[len(times) // 2] / 1e12


class StageSampler(StageTimer):
    """A `StageTimer` for a few frames of each of several places of a film, which are encoded once."""

    _there_and_back = False

    def _convolution_tflops(self) -> float:
        """Not measured: an estimate needs the time of the frames alone."""
        return 0.0


def _sizes(chunk: EncodedChunk, plan: Plan) -> tuple[float, float]:
    """Bytes of a chunk's first frame, and of the others on average."""
    first, *others = frame_bytes(chunk, plan.encoder)
    return float(first), float(np.mean(others or first))
