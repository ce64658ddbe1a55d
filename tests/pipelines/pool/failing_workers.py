"""Workers that break the rules, passed to the job as "tests.pipelines.pool.failing_workers:Class".

Those that mix up frames recognise the images of `media.cfr` by their number, so they need not look ahead.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pipelines.codec.encoder import EncodedChunk, encode_chunk
from pipelines.inference.temporal_windows import Window
from pipelines.media.video_info import Frame
from pipelines.workers import chunk_worker, stage_threads
from pipelines.workers.chunk_worker import ChunkUpscaler
from pipelines.workers.messages import ChunkProgress, SpanTask, WorkerSetup
from tests import media


class _Mixing(ChunkUpscaler):
    """Upscales by keeping the size, but shows another frame's picture; count and timestamps stay right."""

    order: dict[int, int]

    def upscale(self, window: Window) -> Frame:
        made = super().upscale(window)
        number = round(made.pts * self._plan.time_base * self._plan.rate)
        other = self.order.get(number, number)
        return replace(
            made, planes=media.planes_of(other, self._plan.width, self._plan.height, self._plan.pix_fmt)
        )


class Swapping(_Mixing):
    """Frames 4 and 5 change places."""

    order = {4: 5, 5: 4}  # noqa: RUF012


class Doubling(_Mixing):
    """Frame 5 shows frame 4 again."""

    order = {5: 4}  # noqa: RUF012


class Dropping(_Mixing):
    """Frame 4 is left out; all later ones move up, and the last is doubled."""

    order = {n: n + 1 for n in range(4, 23)}  # noqa: RUF012


class Lagging(_Mixing):
    """Every frame of the film shows the one before it."""

    order = {n: n - 1 for n in range(1, 24)}  # noqa: RUF012


class Trimming(ChunkUpscaler):
    """Hands on fewer timestamps than it encoded packets."""

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[ChunkProgress | EncodedChunk]:
        for item in super().run(task, pieces):
            yield replace(item, pts=item.pts[:-1]) if isinstance(item, EncodedChunk) else item


class Stale(ChunkUpscaler):
    """Hands on the pictures of the first chunk for every other one as well."""

    first: EncodedChunk | None = None

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[ChunkProgress | EncodedChunk]:
        for item in super().run(task, pieces):
            if isinstance(item, EncodedChunk):
                Stale.first = item if item.index == 0 else Stale.first
                assert Stale.first is not None
                yield replace(item, data=Stale.first.data)
            else:
                yield item


class OtherHeader(ChunkUpscaler):
    """The second chunk is encoded with other reference settings, as another build of the encoder would."""

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[ChunkProgress | EncodedChunk]:
        if task.chunks[0].index == 1:
            encoder = self._plan.encoder
            params = encoder.options.get("x264-params", "")
            self._plan = replace(
                self._plan,
                encoder=replace(
                    encoder, options={**encoder.options, "x264-params": f"{params}:ref=4:bframes=2"}
                ),
            )
        yield from super().run(task, pieces)


class SpoilingOnce(ChunkUpscaler):
    """The driver of its encoder repeats a frame in the first chunk that any such worker makes.

    The file VSR_TEST_MARK tells the next one that it happened.
    """

    def __init__(self, setup: WorkerSetup) -> None:
        chunk_worker.encoder_hardware = lambda _: "GPU, driver 1"  # type: ignore[attr-defined]
        stage_threads.encode_chunk = self._encode  # type: ignore[attr-defined]
        super().__init__(setup)

    @staticmethod
    def _encode(frames: Iterable[Frame], *given: Any, **named: Any) -> EncodedChunk:
        mark, shown = os.environ["VSR_TEST_MARK"], list(frames)
        if not os.path.exists(mark):
            with open(mark, "w", encoding="utf-8"):
                pass
            shown[2] = replace(shown[2], planes=shown[1].planes)
        return encode_chunk(shown, *given, **named)


class DyingOnce(ChunkUpscaler):
    """Killed in the middle of a span; the file VSR_TEST_MARK tells the next one that it happened."""

    def upscale(self, window: Window) -> Frame:
        mark = os.environ["VSR_TEST_MARK"]
        if window.frame.pts > 0 and not os.path.exists(mark):
            with open(mark, "w", encoding="utf-8"):
                pass
            os.kill(os.getpid(), signal.SIGKILL)
        return super().upscale(window)


class AssertingOnce(ChunkUpscaler):
    """Its device fails an assertion in the middle of a span, and its context is broken for good.

    The next one is sound.
    """

    def upscale(self, window: Window) -> Frame:
        mark = os.environ["VSR_TEST_MARK"]
        if window.frame.pts > 0 and not os.path.exists(mark):
            with open(mark, "w", encoding="utf-8") as file:
                file.write(str(os.getpid()))
            raise RuntimeError(
                "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported"
            )
        return super().upscale(window)
