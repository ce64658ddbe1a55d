"""`ChunkUpscaler`: packets of a span in, encoded chunks out. A plain class: no Ray, no process.

Decoding runs ahead in one thread and encoding behind in another, over short queues; the networks run in between. Where a
chunk ends, nothing waits: the next one is decoded and upscaled while the encoder of the last one drains.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import queue
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.errors import ResourceError, VerificationError
from pipelines.decode import decode, deliver
from pipelines.device import Upscaler, choose_device, numerics_class
from pipelines.encode import EncodedChunk, encode_chunk
from pipelines.filters import filtered
from pipelines.planes import PixelFormat
from pipelines.task import Progress, SpanTask, WorkerSetup
from pipelines.thumbnail import grid_for, thumbnail
from pipelines.video import Frame
from pipelines.windows import Reel, Window, windows
from pipelines.work import Free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipelines.plan import Plan
    from pipelines.source import PacketData
    from pipelines.video import Chunk

__all__ = ["ChunkUpscaler", "Witness"]

_AHEAD = 4
"""Frames that may wait between two steps."""
_REPORT_SECONDS = 0.5
_TRIM_FRAMES = 24
"""After so many frames the allocator gives back what lies free, or holes between long-lived blocks would add up."""


class ChunkUpscaler:
    """Upscales spans of one plan, one after another, with networks loaded once."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._plan, self._decoder = setup.plan, setup.decoder
        self._device = choose_device(setup.device)
        if self._device.type == "cuda":
            # What is left for the CPU is copying; threads that wait for more of it would spin, and take the cores from the encoder.
            torch.set_num_threads(1)
        self.upscaler = Upscaler(setup.plan, self._device)
        self._pixels = PixelFormat.parse(setup.plan.pix_fmt)
        self.facts = numerics_class(self._device)
        self._draining: threading.Thread | None = None
        """The encoder of the last chunk, maybe of the last task."""
        self._steps = _Steps()

    @property
    def pulse(self) -> int:
        """Grows with what is decoded, every tile, every layer of a large network, and every packet."""
        return self.upscaler.pulse + self._steps.count

    def run(self, task: SpanTask, pieces: Iterable[list[PacketData]]) -> Iterator[Progress | EncodedChunk | Free]:
        """Decode a span and yield its chunks as they are finished, with a progress report now and then.

        While the encoder of one chunk drains, the next chunk is begun, also that of the next task: the last report comes as
        `Free`. Raises CorruptError, IndexMismatchError, MediaError (the input), ResourceError (worth another try) and
        VerificationError (frames got mixed up on the way).
        """
        making: deque[_Making] = deque()
        try:
            yield from self._upscale(task, pieces, making)
            while making:
                yield making.popleft().finish()
        finally:
            for unfinished in making:
                unfinished.abandon()

    def _upscale(self, task: SpanTask, pieces: Iterable[list[PacketData]], making: deque[_Making]) -> Iterator[Progress | EncodedChunk | Free]:
        """All up to the encoders; what they have not finished is left in `making`, oldest first."""
        plan = self._plan
        promise = task.promise(plan, self._decoder)
        packets = (packet for piece in pieces for packet in piece)
        conceal = plan.on_corrupt == "conceal"
        clock = _Clock()
        reports = _Reports(clock, self.upscaler.notes)
        frames = deliver(reports.decoded(decode(packets, self._decoder, self._pixels, conceal=conceal, checks=task.checks)), promise, conceal=conceal)
        frames = filtered(frames, plan, before=task.before, shown=task.shown)
        settling, after = (n * plan.per_frame for n in plan.network_context)
        with _Ahead(frames, clock) as ahead:
            decoded = iter(ahead)
            began = (task.chunks[0].start_frame - task.settling) * plan.per_frame
            last = (task.chunks[-1].stop_frame + task.ahead) * plan.per_frame - 1
            reel = Reel(decoded, began, settling + after)
            for chunk in task.chunks:
                first, stop = chunk.start_frame * plan.per_frame, chunk.stop_frame * plan.per_frame
                start = max(began, first - settling)
                yield from _wind(reel, start, ahead, reports)
                seen = windows(reel, start, stop, self.upscaler.contract, last=min(last, stop - 1 + after), bits=self._pixels.bits)
                for _ in range(start, first):
                    self.upscaler.follow(next(seen))
                    yield from reports.due()
                making.append(_Making(chunk, plan, after=self._draining if self._device.type == "cpu" else None, step=self._steps))
                for number, (window, upscaled) in enumerate(self._upscaled(seen, clock), start=1):
                    frame = window.frame
                    upright = self.upscaler.turned(frame)
                    decoded_as = upright if frame.origin is None else self.upscaler.turned(replace(frame, planes=frame.origin))
                    making[-1].witness(decoded_as, upright, upscaled)
                    with clock("encode wait"):
                        making[-1].encoding.put(upscaled)
                    reports.frames += 1
                    if number % _TRIM_FRAMES == 0:
                        _trim()
                    if making[0].is_drained:
                        yield making.popleft().finish()
                    yield from reports.due()
                with clock("encode wait"):
                    self._drain(making[-1])
            _ = reel[last]
            self.upscaler.stills.forget()
            for _ in decoded:
                raise VerificationError(f"more frames came than the {len(task.pts)} that were promised")
        yield Free(reports.now())

    def _drain(self, making: _Making) -> None:
        """Let a chunk's encoder come to its end; one at a time, beside the one that works."""
        making.encoding.end()
        if self._draining is not None:
            self._draining.join()
        self._draining = making.encoding.thread

    def _upscaled(self, seen: Iterator[Window], clock: _Clock) -> Iterator[tuple[Window, Frame]]:
        """Windows and what came of them, in order; several are under way at once where the device works so."""
        pairs = self.upscaler.stream(seen) if self.upscaler.runs_ahead else ((window, self.upscale(window)) for window in seen)
        while True:
            with clock("network"):
                pair = next(pairs, None)
            if pair is None:
                return
            yield pair

    def upscale(self, window: Window) -> Frame:
        """The networks alone."""
        return self.upscaler.follow(window)


class _Steps:
    """Counts what threads get done; one that another's takes the place of does no harm."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


class _Clock:
    """Seconds spent by step since the last look; a step within another is not counted twice."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._inner = 0.0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        since, outer, self._inner = time.monotonic(), self._inner, 0.0
        try:
            yield
        finally:
            spent = time.monotonic() - since
            self._seconds[name] = self._seconds.get(name, 0.0) + spent - self._inner
            self._inner = outer + spent

    def take(self) -> dict[str, float]:
        taken, self._seconds = self._seconds, {}
        return taken


class _Reports:
    """What was done since the last report. One comes now and then also where no frame is finished for long, or we would be taken for hung."""

    def __init__(self, clock: _Clock, notes: list[str]) -> None:
        self._clock, self._notes = clock, notes
        self._told = time.monotonic()
        self._decoded = self._told_decoded = 0
        self.frames = 0
        """Finished."""

    def decoded(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The decoder's frames, counted as they pass."""
        for frame in frames:
            self._decoded += 1
            yield frame

    def now(self) -> Progress:
        """A report."""
        notes, frames = tuple(self._notes), self.frames
        self._notes.clear()
        self.frames, self._told, self._told_decoded = 0, time.monotonic(), self._decoded
        return Progress(frames, self._clock.take(), notes)

    def due(self) -> Iterator[Progress]:
        """A report, where the last one is a while ago."""
        if time.monotonic() - self._told > _REPORT_SECONDS:
            yield self.now()

    def decoding(self) -> Iterator[Progress]:
        """A report, where the decoder has given anything since the last one."""
        if self._decoded > self._told_decoded:
            yield self.now()


def _wind(reel: Reel, number: int, ahead: _Ahead, reports: _Reports) -> Iterator[Progress]:
    """Have the reel come to a frame, for which no more than decoding is done, maybe for long: pre-roll, chunks that are there already."""
    while reel.next <= number:
        while not ahead.is_there(_REPORT_SECONDS):
            yield from reports.decoding()
        _ = reel[reel.next]
        yield from reports.due()


class _Failure:
    """An exception on its way through a queue."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END: Any = object()


class _Ahead:
    """An iterator that is run in a thread, a few items ahead of whoever reads it."""

    def __init__(self, items: Iterator[Frame], clock: _Clock) -> None:
        self._items, self._clock = items, clock
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
        self._head: Any = None
        """What has left the queue and was not read yet."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> _Ahead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _fill(self) -> None:
        try:
            for item in self._items:
                if self._stop.is_set():
                    return
                self._queue.put(item)
            self._queue.put(_END)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are read
            self._queue.put(_Failure(error))

    def is_there(self, within: float | None) -> bool:
        """Wait for the next item, or the end, so many seconds at most; whether it can be read."""
        if self._head is None:
            with self._clock("decode wait"), contextlib.suppress(queue.Empty):
                self._head = self._queue.get(timeout=within)
        return self._head is not None

    def __iter__(self) -> Iterator[Frame]:
        while True:
            self.is_there(None)
            item, self._head = self._head, None
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item


class _Making:
    """A chunk on its way: its encoder, and the witness of its frames."""

    def __init__(self, chunk: Chunk, plan: Plan, *, after: threading.Thread | None, step: Callable[[], None]) -> None:
        """after: encoder that has to end before this one begins. step: called for every packet.

        On a CPU, where encoders hold most of the memory, hundreds of megabytes each, and keep all cores busy while they drain.
        """
        self._index = chunk.index
        self._witness = Witness(plan)
        self._corrupt = 0
        self.encoding = _Encoding(chunk.index, plan, after, step)

    def witness(self, decoded: Frame, filtered: Frame, upscaled: Frame) -> None:
        """The next frame as it was decoded, as the networks saw it, both upright, and what came of it."""
        self._corrupt += decoded.corrupt
        self._witness.source(decoded, filtered)
        self._witness.result(upscaled)

    @property
    def is_drained(self) -> bool:
        return not self.encoding.thread.is_alive()

    def finish(self) -> EncodedChunk:
        """The chunk, as soon as the encoder has drained. Raises what it raised; VerificationError for other timestamps than went in."""
        try:
            encoded = self.encoding.outcome()
        finally:
            _give_back_memory()
        pts = self._witness.pts
        if sorted(encoded.pts) != pts:
            raise VerificationError(f"chunk {self._index}: the encoder gave {len(encoded.pts)} packets for {len(pts)} frames, or other timestamps")
        return replace(encoded, thumbnails=self._witness.thumbnails, corrupt=self._corrupt)

    def abandon(self) -> None:
        """End the encoder after a failure elsewhere."""
        self.encoding.end()
        self.encoding.thread.join()
        _give_back_memory()


class _Encoding:
    """The encoder of one chunk in a thread of its own."""

    def __init__(self, index: int, plan: Plan, after: threading.Thread | None, step: Callable[[], None]) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
        self._outcome: list[EncodedChunk | BaseException] = []
        self.thread = threading.Thread(target=self._run, args=(index, plan, after, step), daemon=True)
        self.thread.start()

    def _run(self, index: int, plan: Plan, after: threading.Thread | None, step: Callable[[], None]) -> None:
        try:
            if after is not None:
                after.join()
            frames = iter(self._queue.get, _END)
            self._outcome.append(
                encode_chunk(frames, index, plan.encoder, time_base=plan.time_base, rate=plan.rate, sar=plan.sar, color=plan.out_color, step=step)
            )
        except BaseException as error:  # noqa: BLE001 - raised again by `outcome`
            self._outcome.append(error)

    def put(self, frame: Frame) -> None:
        """The next frame; waits while there is no room. Raises what ended the encoder."""
        if not self._put(frame):
            self.outcome()

    def end(self) -> None:
        """No more frames will come."""
        self._put(_END)

    def _put(self, item: Any) -> bool:
        while self.thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.2)
                return True
        return False

    def outcome(self) -> EncodedChunk:
        """What came of it, when it has ended."""
        self.thread.join()
        outcome = self._outcome[0] if self._outcome else ResourceError("the encoder stopped without a word")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Witness:
    """Sees every frame before and after the networks, small, and notices where one took the place of another.

    A result must look more like its own source frame than like the one before or after; counts and timestamps
    can't tell a swapped or doubled frame from the right one.

    Mean brightness is taken out, or in any fade a network that moves it a little would seem to show a neighbour; only as much
    as no network moves it by counts.
    """

    _NOTICEABLE = 0.25
    """Mean difference of thumbnails, in 8-bit codes, below which two frames are taken for the same."""
    _RATIO = 3.0
    _MOVED = 24.0
    """Difference of means, in 8-bit codes, that no network makes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._source, self._target = PixelFormat.parse(plan.pix_fmt), PixelFormat.parse(plan.out_pix_fmt)
        self._grid = grid_for(plan.width, plan.height)
        self._before: np.ndarray | None = None
        self._now: np.ndarray | None = None
        self._made: np.ndarray | None = None
        self.pts: list[int] = []
        self._thumbnails: list[bytes] = []

    @property
    def thumbnails(self) -> bytes:
        """Of all frames so far, as the networks saw them: what came of them is compared with that again when it lies in the result."""
        return b"".join(self._thumbnails)

    def source(self, frame: Frame, filtered: Frame | None = None) -> None:
        """The next frame, upright, before the networks. Raises VerificationError where the last result looks more like it.

        filtered: what filters made of it, where there are any. Of two fields they may show one, or both woven, so that what is shown
        is compared with theirs; but it is compared with the decoded neighbours whether it is another moment.
        """
        following = self._small(frame)
        if self._made is not None and self._now is not None:
            self._compare(self._made, self._now, following)
        self._before, self._now, self._made = self._now, following, None
        self.pts.append(frame.pts)
        shown = following if filtered is None or filtered.planes is frame.planes else self._small(filtered)
        self._thumbnails.append(np.clip(np.round(shown), 0, 255).astype(np.uint8).tobytes())

    def _small(self, frame: Frame) -> np.ndarray:
        return thumbnail(frame.planes, self._source, self._plan.color, self._grid, self._plan.luma_matrix)

    def result(self, frame: Frame) -> None:
        """What came of it. Raises VerificationError for another timestamp, or the picture of the frame before."""
        if frame.pts != self.pts[-1]:
            raise VerificationError(f"the frame at pts {self.pts[-1]} came back as pts {frame.pts}")
        self._made = thumbnail(frame.planes, self._target, self._plan.out_color, self._grid, self._plan.luma_matrix)
        assert self._now is not None
        if self._before is not None:
            self._compare(self._made, self._now, self._before)

    def _compare(self, made: np.ndarray, own: np.ndarray, other: np.ndarray) -> None:
        means = [float(t.mean()) for t in (made, own, other)]
        shape, *shapes = (t - mean for t, mean in zip((made, own, other), means, strict=True))
        apart, closer = (float(np.abs(shape - s).mean()) for s in shapes)
        moved, nearer = abs(means[0] - means[1]), abs(means[0] - means[2])
        bent = apart > self._NOTICEABLE and apart > self._RATIO * closer
        if bent or (moved > self._MOVED and moved > self._RATIO * nearer):
            raise VerificationError(f"the result for the frame at pts {self.pts[-1]} shows a neighbour instead; nothing was kept of it")


def _give_back_memory() -> None:
    """Hand what a finished encoder held back to the system (glibc); the allocator is told to keep memory while a chunk runs."""
    gc.collect()  # an encoder and its container hold each other; hundreds of megabytes would wait for a chance collection
    _trim()


def _trim() -> None:
    """Give free pages back, wherever in the heap they lie (malloc_trim(3)); nothing where the C library has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
