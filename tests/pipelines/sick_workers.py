"""Workers that do what no worker may: named "tests.pipelines.sick_workers:Class" to the job."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pipelines.encode import EncodedChunk
from pipelines.task import Progress, SpanTask, WorkerSetup
from pipelines.video import Frame
from pipelines.worker import ChunkUpscaler


class _Mixing(ChunkUpscaler):
    """Upscales, then shows a frame's neighbour in its place; count and timestamps stay right."""

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._number = 0
        self._last: Frame | None = None

    def upscale(self, frames: list[Frame]) -> list[Frame]:
        made = super().upscale(frames)
        self._number += 1
        result = [self._instead(self._number, made[0])]
        self._last = made[0]
        return result

    def _instead(self, number: int, frame: Frame) -> Frame:
        raise NotImplementedError


class Doubling(_Mixing):
    """The fifth frame shows the fourth again."""

    def _instead(self, number: int, frame: Frame) -> Frame:
        return replace(frame, planes=self._last.planes) if number == 5 and self._last is not None else frame


class Lagging(_Mixing):
    """From the fifth on every frame shows the one before: one was doubled, and the last is lost."""

    def _instead(self, number: int, frame: Frame) -> Frame:
        return replace(frame, planes=self._last.planes) if number >= 5 and self._last is not None else frame


class Swapping(ChunkUpscaler):
    """Decoded frames five and six change places, timestamps excepted, behind the worker's own eyes."""

    def upscale(self, frames: list[Frame]) -> list[Frame]:
        made = super().upscale(frames)
        self._seen = [*getattr(self, "_seen", []), made[0]]
        if len(self._seen) == 6:
            return [replace(made[0], planes=self._seen[4].planes)]
        return made


class Dropping(ChunkUpscaler):
    """A frame is left out of what goes to the encoder, and the next one comes twice to keep the count."""

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[Progress | EncodedChunk]:
        for item in super().run(task, pieces):
            if isinstance(item, EncodedChunk):
                pts = list(item.pts)
                yield replace(item, pts=tuple(pts[:-1]))
            else:
                yield item


class WrongMoments(ChunkUpscaler):
    """Chunks that trade places: each holds the pictures of another."""

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[Progress | EncodedChunk]:
        held: EncodedChunk | None = None
        for item in super().run(task, pieces):
            if isinstance(item, EncodedChunk) and item.index == 0:
                held = item
                store(item.data)
            elif isinstance(item, EncodedChunk) and item.index == 1:
                held = None
                yield replace(item, data=restore())
                continue
            yield item
        del held


_STORE: list[bytes] = []


def store(data: bytes) -> None:
    """Keep data for the next chunk."""
    _STORE[:] = [data]


def restore() -> bytes:
    """The data kept."""
    return _STORE[0]


class OtherHeader(ChunkUpscaler):
    """The second chunk is encoded with other reference settings, as another build of the encoder would."""

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[Progress | EncodedChunk]:
        if task.chunks[0].index == 1:
            encoder = self._plan.encoder
            params = encoder.options.get("x264-params", "")
            self._plan = replace(self._plan, encoder=replace(encoder, options={**encoder.options, "x264-params": f"{params}:ref=4:bframes=2"}))
        yield from super().run(task, pieces)


class DyingOnce(ChunkUpscaler):
    """Killed in the middle of its first span; the mark in the folder VSR_TEST_MARK tells the next one that it happened."""

    def upscale(self, frames: list[Frame]) -> list[Frame]:
        mark = os.environ["VSR_TEST_MARK"]
        if frames[0].pts > 0 and not os.path.exists(mark):
            with open(mark, "w", encoding="utf-8"):
                pass
            os.kill(os.getpid(), signal.SIGKILL)
        return super().upscale(frames)


class Dying(ChunkUpscaler):
    """Killed by every span that holds frame 20."""

    def upscale(self, frames: list[Frame]) -> list[Frame]:
        if frames[0].pts >= 20 * int(1 / self._plan.time_base / self._plan.rate):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().upscale(frames)
