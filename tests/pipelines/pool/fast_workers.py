"""Workers that keep the size, named "tests.pipelines.pool.fast_workers:Class" to the job.

They load no torch, so that their child processes start at once.

All but `Plain` break the rules. Those that do it once create the file VSR_TEST_MARK, by which the next one
knows.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipelines.codec import encoder
from pipelines.codec.decoder import decode
from pipelines.codec.encoder import EncodedChunk, encode_chunk, stream_facts
from pipelines.codec.expected_frames import checked_frames
from pipelines.frames.thumbnail import grid_for, thumbnail
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame
from pipelines.workers.messages import ChunkProgress, SpanTask, WorkerSetup


class Plain:
    """Decodes a span and encodes its chunks, for plans without filters."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._plan, self._decoder = setup.plan, setup.decoder
        self._pixels = PixelFormat.parse(setup.plan.pix_fmt)
        self.facts = {"device": "none"}

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[ChunkProgress | EncodedChunk]:
        plan = self._plan
        packets = (packet for piece in pieces for packet in piece)
        frames = checked_frames(
            decode(packets, self._decoder, self._pixels), task.expected(plan, self._decoder)
        )
        position = task.chunks[0].start_frame
        for chunk in task.chunks:
            while position < chunk.start_frame:
                next(frames)
                position += 1
            shown: list[bytes] = []
            made = []
            for number in range(chunk.start_frame, chunk.stop_frame):
                made.append(self.frame(next(frames), number))
                small = thumbnail(
                    made[-1].planes, self._pixels, plan.color, grid_for(plan.width, plan.height)
                )
                shown.append(np.clip(np.round(small), 0, 255).astype(np.uint8).tobytes())
                yield ChunkProgress(1, {})
            position = chunk.stop_frame
            yield replace(self.encoded(made, chunk.index), thumbnails=b"".join(shown))
        for _ in frames:
            pass

    def frame(self, frame: Frame, number: int) -> Frame:
        """Frame `number` of the film, on its way to the encoder."""
        return frame

    def encoded(self, frames: list[Frame], index: int) -> EncodedChunk:
        """A chunk."""
        plan = self._plan
        return encode_chunk(iter(frames), index, plan.encoder, **stream_facts(plan))


def first_time() -> bool:
    """Whether this is the first worker to come here; the others see its mark."""
    mark = Path(os.environ["VSR_TEST_MARK"])
    if mark.exists():
        return False
    mark.touch()
    return True


class Poisoned(Plain):
    """Frame 12 kills every worker that looks at it."""

    def frame(self, frame: Frame, number: int) -> Frame:
        if number == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        return frame


class HangingOnce(Plain):
    """Sleeps at frame 12."""

    def frame(self, frame: Frame, number: int) -> Frame:
        if number == 12 and first_time():
            time.sleep(3600)
        return frame


class Slow(Plain):
    """Takes its time over every frame, so that something can happen meanwhile."""

    def frame(self, frame: Frame, number: int) -> Frame:
        time.sleep(0.04)
        return frame


class BrokenEncoder(Plain):
    """Its encoder fails in the middle of every chunk."""

    def encoded(self, frames: list[Frame], index: int) -> EncodedChunk:
        mux, packets = encoder._Muxer.mux, []

        def failing(muxer: Any, packet: Any) -> None:
            packets.append(1)
            if len(packets) == 5:
                raise av.error.ExternalError(-542398533, "Generic error in an external library")
            mux(muxer, packet)

        encoder._Muxer.mux = failing  # type: ignore[method-assign]
        try:
            return super().encoded(frames, index)
        finally:
            encoder._Muxer.mux = mux  # type: ignore[method-assign]


class EncoderBrokenOnce(BrokenEncoder):
    """The same, once."""

    def encoded(self, frames: list[Frame], index: int) -> EncodedChunk:
        return (
            super().encoded(frames, index)
            if index == 1 and first_time()
            else Plain.encoded(self, frames, index)
        )


class Starving(Plain):
    """From frame 12 on it may hold no more memory than it does, and needs more."""

    def frame(self, frame: Frame, number: int) -> Frame:
        if number == 12:
            held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 20), held + (1 << 20)))
            np.ones(1 << 30, np.uint8)
        return frame


class StarvingOnce(Starving):
    """The same, once."""

    def frame(self, frame: Frame, number: int) -> Frame:
        return super().frame(frame, number) if number == 12 and first_time() else frame


class Signalling(Plain):
    """Sends its parent VSR_TEST_SIGNAL, once, at the step VSR_TEST_STEP: decode, infer or encode."""

    def frame(self, frame: Frame, number: int) -> Frame:
        if number == 0:
            self._at("decode")
        if number == 12:
            self._at("infer")
        return frame

    def encoded(self, frames: list[Frame], index: int) -> EncodedChunk:
        if index == 1:
            self._at("encode")
        return super().encoded(frames, index)

    def _at(self, step: str) -> None:
        if os.environ["VSR_TEST_STEP"] == step and first_time():
            os.kill(os.getppid(), int(os.environ["VSR_TEST_SIGNAL"]))
            time.sleep(0.5)


class Cramped(Plain):
    """From frame VSR_TEST_FROM on it has memory for tiles of VSR_TEST_TILE pixels and no more.

    Its pictures show how large tiles were.
    """

    def frame(self, frame: Frame, number: int) -> Frame:
        height, width = self._plan.tile_px
        if number >= int(os.environ.get("VSR_TEST_FROM", "0")) and height * width > int(
            os.environ["VSR_TEST_TILE"]
        ):
            raise MemoryError
        luma, *chroma = frame.planes
        luma = luma.copy()
        luma[:8, :8] = height % 256
        return replace(frame, planes=(luma, *chroma))
