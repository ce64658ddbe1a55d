"""Films of any length without pixels.

They consist of an index for a real file of a few frames, and workers that make nothing; the cost is measured.
"""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.codec.encoder import EncodedChunk, encode_chunk
from pipelines.frames.thumbnail import grid_for
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame, PacketIndex, VideoInfo
from pipelines.pool.interface import Done, Task, WorkerReady, WorkItem
from pipelines.probe.probe import probe
from pipelines.workers.messages import SpanTask, WorkerSetup
from tests import media
from tests.helpers.command import ROOT

_GOP = 120


def long_film(folder: Path, frames: int, *, edits: int = 0) -> VideoInfo:
    """A film of 60 frames a second with B-frames and a clean point every two seconds, as far as a plan can
    tell.

    edits: every so many-th packet is hidden, as by an edit list.
    """
    info = probe(media.cfr(folder / "long.mp4", frames=4))
    tick = int(1 / (60 * info.time_base))
    order = np.arange(frames, dtype=np.int64)
    shown = np.where(
        order % 3 == 1, order + 1, np.where(order % 3 == 2, order - 1, order)
    )  # I P B P B: decoded before what it is shown behind
    shown = np.minimum(shown, frames - 1) if frames % 3 == 2 else shown
    index = PacketIndex(
        array("q", (shown * tick).tobytes()),
        array("q", (order * tick).tobytes()),
        array("q", [tick]) * frames,
    )
    index.size = array("q", [9000]) * frames
    index.clean = bytearray((order % _GOP == 0).astype(np.uint8).tobytes())
    index.discard = bytearray((order % edits == 1).astype(np.uint8).tobytes() if edits else bytes(frames))
    hidden = np.frombuffer(index.discard, np.uint8) == 1
    pts = array("q", np.sort((shown * tick)[~hidden]).tobytes())
    return replace(
        info, index=index, pts=pts, durations=array("q", [tick]) * len(pts), rate=Fraction(60), linear=False
    )


class Idle:
    """A `work.Map` with workers that return the same small chunk for every task."""

    def __init__(self, *, most_tasks: int | None = None, real: bool = False) -> None:
        """real: chunks are encoded, so that they can be put together."""
        self._most, self._real = most_tasks, real
        self.first_piece: Any = None

    def waiting(self) -> int:
        return 0

    def run_tasks(
        self,
        tasks: Sequence[Task],
        *,
        worker: str,
        setup: WorkerSetup,
        feed: Callable[[int, Task], Iterable[Any]],
        admit: Any = None,
        stop: Any = None,
    ) -> Iterator[WorkerReady | WorkItem | Done]:
        del worker, admit, stop
        yield WorkerReady(0, 0, {})
        for task in tasks[: self._most]:
            self.first_piece = next(iter(feed(0, task)), None)
            yield from self._made(task, setup)
            yield Done(0, task.key)

    def _made(self, task: Task, setup: WorkerSetup) -> Iterator[WorkItem]:
        plan, payload = setup.plan, task.payload
        assert isinstance(payload, SpanTask)
        size = int(np.prod(grid_for(plan.width, plan.height))) + 1
        at = payload.before + payload.settling
        for chunk in payload.chunks:
            pts = tuple(payload.pts[at : at + chunk.frame_count])
            at += chunk.frame_count
            made = EncodedChunk(chunk.index, bytes(60_000), pts, "header", bytes(size * len(pts)))
            if self._real:
                pixels = PixelFormat.parse(plan.out_pix_fmt)
                sizes = [
                    pixels.plane_size(n, plan.out_width, plan.out_height) for n in range(pixels.plane_count)
                ]
                planes = [np.full(s, 16 if n == 0 else 128, pixels.dtype) for n, s in enumerate(sizes)]
                frames = (Frame(p, planes) for p in pts)
                made = encode_chunk(
                    frames,
                    chunk.index,
                    plan.encoder,
                    time_base=plan.time_base,
                    rate=plan.rate,
                    sar=plan.sar,
                    color=plan.out_color,
                )
                made = replace(made, thumbnails=bytes(size * len(pts)))
            yield WorkItem(0, task.key, made)


def operations(work: Callable[[], object]) -> int:
    """Lines of the project that a call runs, in all threads; C code, and so sorting, costs nothing here."""
    packages = tuple(str(ROOT / package) for package in ("models", "pipelines", "vsr"))
    count = 0

    def line(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: Any, _event: str, _argument: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(packages) else None

    before = sys.gettrace()
    threading.settrace(call)
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(before)
        threading.settrace(None)  # type: ignore[arg-type]
    return count
