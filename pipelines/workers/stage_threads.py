"""Threads and queues that let decoding, upscaling and encoding of a chunk overlap."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from models.errors import ResourceError, VerificationError
from pipelines.codec.dynamic_metadata import first_metadata_mismatch
from pipelines.codec.encoder import EncodedChunk, encode_chunk, stream_facts
from pipelines.media.video_info import Frame
from pipelines.output.picture_verification import chunk_flaw
from pipelines.pool.malloc import give_back_memory
from pipelines.workers.frame_order_check import FrameOrderCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipelines.media.video_info import Chunk
    from pipelines.plan.plan import Plan

__all__ = ["ChunkInProgress", "Prefetch", "StageClock"]


_AHEAD = 4
"""Frames that may wait between two steps."""


class StageClock:
    """Seconds spent by step since the last call; a step within another is not counted twice."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._inner = 0.0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time inside the context as that of stage `name`."""
        since, outer, self._inner = time.monotonic(), self._inner, 0.0
        try:
            yield
        finally:
            spent = time.monotonic() - since
            self._seconds[name] = self._seconds.get(name, 0.0) + spent - self._inner
            self._inner = outer + spent

    def take(self) -> dict[str, float]:
        """Stage -> seconds since the last call."""
        taken, self._seconds = self._seconds, {}
        return taken


class _Failure:
    """An exception passed through a queue."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END: Any = object()


class Prefetch:
    """An iterator that runs in a thread, a few items ahead of its reader."""

    def __init__(self, items: Iterator[Frame], clock: StageClock) -> None:
        self._items, self._clock = items, clock
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
        self._head: Any = None
        """An item taken from the queue but not read yet."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> Prefetch:
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
        """Wait up to so many seconds for the next item, or the end; returns whether it can be read."""
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


class ChunkInProgress:
    """A chunk in progress: its encoder, and the check of its frames."""

    def __init__(
        self, chunk: Chunk, plan: Plan, *, after: threading.Thread | None, step: Callable[[], None]
    ) -> None:
        """after: encoder that has to end before this one begins. step: called for every packet.

        Used on a CPU, where encoders take most of the memory, hundreds of megabytes each, and keep all cores
        busy while they finish.
        """
        self._index = chunk.index
        self._witness = FrameOrderCheck(plan)
        self._corrupt = 0
        self._is_hardware, self._codec = bool(plan.encoder.vendor), plan.encoder.codec
        self._plan, self._step = plan, step
        self.encoding = _EncoderThread(chunk.index, plan, after, step, self._completed)

    def witness(self, decoded: Frame, filtered: Frame, upscaled: Frame) -> None:
        """Add the next frame as decoded, as given to the networks (both upright), and its result."""
        self._corrupt += decoded.corrupt
        self._witness.source(decoded, filtered)
        self._witness.result(upscaled)

    @property
    def is_drained(self) -> bool:
        """Whether the encoder has ended."""
        return not self.encoding.thread.is_alive()

    def finish(self) -> EncodedChunk:
        """The chunk, as soon as the encoder has finished. Raises the encoder's errors.

        Raises VerificationError, for a hardware encoder ResourceError, if timestamps or dynamic HDR metadata
        differ from those of the input.
        """
        try:
            return self.encoding.outcome()
        finally:
            give_back_memory()

    def _completed(self, encoded: EncodedChunk) -> EncodedChunk:
        """Check an encoded chunk and add what is known of its frames; called in the encoder's thread."""
        made = replace(
            encoded,
            thumbnails=self._witness.thumbnails,
            corrupt=self._corrupt,
            dynamic_hdr=self._witness.dynamic_hdr,
        )
        flaw = self._flaw(made)
        if flaw:
            said = f"chunk {self._index}: {flaw}"
            # another attempt may succeed
            raise (ResourceError(said) if self._is_hardware else VerificationError(said))
        return made

    def _flaw(self, made: EncodedChunk) -> str:
        """The difference between a chunk and its input; empty if there is none."""
        pts = self._witness.pts
        if sorted(made.pts) != pts:
            return f"the encoder gave {len(made.pts)} packets for {len(pts)} frames, or other timestamps"
        wrong = first_metadata_mismatch(made, self._codec) if made.dynamic_hdr else None
        if wrong is not None:
            return f"the frame at pts {wrong} has not its own HDR10+ or Dolby Vision metadata"
        # Drivers repeat and swap frames, which timestamps don't show; software encoders don't.
        return chunk_flaw(made, self._plan, self._step) if self._is_hardware else ""

    def abandon(self) -> None:
        """End the encoder after a failure elsewhere."""
        self.encoding.end()
        self.encoding.thread.join()
        give_back_memory()


class _EncoderThread:
    """The encoder of one chunk in a separate thread."""

    def __init__(
        self,
        index: int,
        plan: Plan,
        after: threading.Thread | None,
        step: Callable[[], None],
        completed: Callable[[EncodedChunk], EncodedChunk],
    ) -> None:
        """completed: called with the encoded chunk; returns the outcome."""
        self._completed = completed
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
        self._outcome: list[EncodedChunk | BaseException] = []
        self.thread = threading.Thread(target=self._run, args=(index, plan, after, step), daemon=True)
        self.thread.start()

    def _run(self, index: int, plan: Plan, after: threading.Thread | None, step: Callable[[], None]) -> None:
        try:
            if after is not None:
                after.join()
            frames = iter(self._queue.get, _END)
            made = encode_chunk(frames, index, plan.encoder, step=step, **stream_facts(plan))
            self._outcome.append(self._completed(made))
        except BaseException as error:  # noqa: BLE001 - raised again by `outcome`
            self._outcome.append(error)

    def put(self, frame: Frame) -> None:
        """Add the next frame; waits while the queue is full. Raises the encoder's error."""
        if not self._put(frame):
            self.outcome()

    def end(self) -> None:
        """Signal the end of the frames."""
        self._put(_END)

    def _put(self, item: Any) -> bool:
        while self.thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.2)
                return True
        return False

    def outcome(self) -> EncodedChunk:
        """The encoder's result, when it has ended."""
        self.thread.join()
        outcome = self._outcome[0] if self._outcome else ResourceError("the encoder stopped without a word")
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome
