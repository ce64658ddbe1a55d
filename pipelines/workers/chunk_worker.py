"""`ChunkUpscaler`: packets of a span in, encoded chunks out. A plain class: no Ray, no process.

Decoding runs ahead in one thread and encoding follows in another, with short queues between; the networks run
in the middle. Consecutive chunks overlap: the next one is decoded and upscaled while the encoder of the last
one finishes.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from models.errors import VerificationError
from pipelines.codec.encoder import EncodedChunk
from pipelines.hardware.graphics_driver import encoder_hardware
from pipelines.inference.device import choose_device, numerics_class
from pipelines.inference.shot_upscaler import ShotUpscaler
from pipelines.inference.temporal_windows import FrameBuffer, Window, windows
from pipelines.media.video_info import Frame
from pipelines.pool.interface import ReadyForNext
from pipelines.pool.malloc import TRIM_FRAMES, trim_heap
from pipelines.workers.messages import NO_ENCODER, ChunkProgress, SpanTask, WorkerSetup
from pipelines.workers.progress_reports import ProgressReports, advance_buffer
from pipelines.workers.span_frames import span_frames
from pipelines.workers.stage_threads import ChunkInProgress, Prefetch, StageClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipelines.media.packet_reader import PacketData

__all__ = ["ChunkUpscaler"]


class ChunkUpscaler:
    """Upscales spans of one plan, one after another, with networks loaded once."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._plan, self._decoder = setup.plan, setup.decoder
        self._device = choose_device(setup.device)
        if self._device.type != "cpu":
            # The CPU only copies; waiting threads would spin and take cores from the encoder.
            torch.set_num_threads(1)
        self.upscaler = ShotUpscaler(setup.plan, self._device)
        self._pixels = setup.plan.pixels
        self.facts = {**numerics_class(self._device, setup.plan), **self.upscaler.facts}
        if setup.plan.encoder.vendor:
            self.facts["encoder"] = encoder_hardware(setup.plan.encoder.vendor) or NO_ENCODER
        self._draining: threading.Thread | None = None
        """The encoder of the last chunk, possibly of the last task."""
        self._steps = _Steps()

    @property
    def pulse(self) -> int:
        """Counts decoded frames, tiles, layers of large networks, and packets."""
        return self.upscaler.pulse + self._steps.count

    def run(
        self, task: SpanTask, pieces: Iterable[list[PacketData]]
    ) -> Iterator[ChunkProgress | EncodedChunk | ReadyForNext]:
        """Decode a span and yield its chunks as they are finished, with progress reports.

        While the encoder of one chunk finishes, the next chunk is begun, also that of the next task: the last
        report comes as `ReadyForNext`. Raises CorruptError, IndexMismatchError, MediaError (the input),
        ResourceError (worth another try) and VerificationError (frames were mixed up).
        """
        making: deque[ChunkInProgress] = deque()
        try:
            yield from self._upscale(task, pieces, making)
            while making:
                yield making.popleft().finish()
        finally:
            for unfinished in making:
                unfinished.abandon()

    def _upscale(
        self, task: SpanTask, pieces: Iterable[list[PacketData]], making: deque[ChunkInProgress]
    ) -> Iterator[ChunkProgress | EncodedChunk | ReadyForNext]:
        """Everything up to the encoders; unfinished chunks are left in `making`, oldest first."""
        plan = self._plan
        packets = (packet for piece in pieces for packet in piece)
        clock = StageClock()
        reports = ProgressReports(clock, self.upscaler.notes)
        frames = span_frames(plan, self._decoder, task, packets, watch=reports.decoded)
        settling, after = plan.network_results
        with Prefetch(frames, clock) as ahead:
            shown = iter(ahead)
            began = plan.results(task.chunks[0].start_frame - task.settling)
            last = plan.results(task.chunks[-1].stop_frame + task.ahead) - 1
            buffer = FrameBuffer(shown, began, settling + after)
            for chunk in task.chunks:
                first, stop = plan.results(chunk.start_frame), plan.results(chunk.stop_frame)
                start = max(began, first - settling)
                yield from advance_buffer(buffer, start, ahead, reports)
                seen = windows(
                    buffer,
                    start,
                    stop,
                    self.upscaler.contract,
                    last=min(last, stop - 1 + after),
                    bits=self._pixels.bits,
                )
                for _ in range(start, first):
                    self.upscaler.follow(next(seen))
                    yield from reports.due()
                making.append(
                    ChunkInProgress(
                        chunk,
                        plan,
                        after=self._draining if self._device.type == "cpu" else None,
                        step=self._steps,
                    )
                )
                for number, (window, upscaled) in enumerate(self._upscaled(seen, clock), start=1):
                    frame = window.frame
                    upright = self.upscaler.turned(frame)
                    decoded_as = (
                        upright
                        if frame.origin is None
                        else self.upscaler.turned(replace(frame, planes=frame.origin))
                    )
                    making[-1].witness(decoded_as, upright, upscaled)
                    with clock("encode wait"):
                        making[-1].encoding.put(upscaled)
                    reports.frames += 1
                    if number % TRIM_FRAMES == 0:
                        trim_heap()
                    if making[0].is_drained:
                        yield making.popleft().finish()
                    yield from reports.due()
                with clock("encode wait"):
                    self._drain(making[-1])
            _ = buffer[last]
            self.upscaler.stills.forget()
            for _ in shown:
                raise VerificationError(f"more frames came than the {len(task.pts)} that were promised")
        yield ReadyForNext(reports.now())

    def _drain(self, making: ChunkInProgress) -> None:
        """Let a chunk's encoder finish; one at a time, next to the one in use."""
        making.encoding.end()
        if self._draining is not None:
            self._draining.join()
        self._draining = making.encoding.thread

    def _upscaled(self, seen: Iterator[Window], clock: StageClock) -> Iterator[tuple[Window, Frame]]:
        """Windows and their results, in order.

        Several are in progress at once if the device supports it.
        """
        pairs = (
            self.upscaler.stream(seen)
            if self.upscaler.runs_ahead
            else ((window, self.upscale(window)) for window in seen)
        )
        while True:
            with clock("network"):
                pair = next(pairs, None)
            if pair is None:
                return
            yield pair

    def upscale(self, window: Window) -> Frame:
        """Run the networks alone."""
        return self.upscaler.follow(window)


class _Steps:
    """Counts work of several threads; a lost update does no harm."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
