"""`SpanRun`: runs the spans of a plan through workers, and feeds them with packets."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.codec.container_decoder import ContainerDecoder
from pipelines.media.packet_reader import PacketReader
from pipelines.media.video_info import NO_PTS
from pipelines.plan.chunking import clean_starts, with_context
from pipelines.plan.timeline import all_times
from pipelines.pool.interface import Task
from pipelines.run.worker_pools import open_workers
from pipelines.workers.messages import SpanTask, WorkerSetup

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import Chunk, Span, VideoInfo
    from pipelines.plan.plan import Plan
    from pipelines.pool.interface import Outcome, WorkerPool
    from pipelines.settings.run_settings import ExecutionSettings

__all__ = ["SpanRun", "open_reader"]


_PIECE_BYTES = 1 << 20
_LARGEST_KEPT_SPAN = 64 << 20
"""Compressed bytes of a span that are kept for a second attempt; a longer one is read from the file again."""


@dataclass(frozen=True)
class SpanRun:
    """The unfinished spans of a plan, to be run through workers."""

    plan: Plan
    info: VideoInfo
    settings: ExecutionSettings
    worker: str
    """"module:Class": a `WorkerKind` or, in tests, another."""
    done: Container[int] = ()
    """Indexes of chunks that are skipped."""
    stop: threading.Event | None = None
    workers: WorkerPool | None = None
    """None: those of the settings."""
    admit: Callable[[dict[str, str]], str] | None = None
    others: tuple[Plan, ...] = ()
    """Plans of the same frames, for a worker that compares networks."""

    def outcomes(self) -> Iterator[Outcome]:
        """Run the unfinished spans; yields outcomes, as `WorkerPool.run_tasks` does."""
        tasks = self._tasks()
        first_row_after = _first_rows_after(self.plan)
        readers: dict[int, PacketReader] = {}

        def feed(number: int, task: Task) -> Iterator[list[PacketData]]:
            if number not in readers:
                readers[number] = open_reader(self.plan, self.info)
            span = self.plan.spans[task.key]
            return _pieces(readers[number], self.info, span, first_row_after[task.key])

        setup = WorkerSetup(self.plan, self.info.decoder, self.settings.device, self.others)
        try:
            with self._pool() as pool:
                yield from pool.run_tasks(
                    tasks, worker=str(self.worker), setup=setup, feed=feed, admit=self.admit, stop=self.stop
                )
        finally:
            for reader in readers.values():
                reader.close()

    def _pool(self) -> AbstractContextManager[WorkerPool]:
        if self.workers is not None:
            return nullcontext(self.workers)
        return open_workers(self.settings, plan=self.plan)

    def _tasks(self) -> list[Task]:
        shown = all_times(self.info, self.plan)[0] if self.plan.is_filtered else array("q")
        tasks = []
        for key, span in enumerate(self.plan.spans):
            pending = tuple(c for c in span.chunks if c.index not in self.done)
            if pending:
                first, last = pending[0], pending[-1]
                name = f"chunk {first.index}" if first == last else f"chunks {first.index} to {last.index}"
                frames = f"frames {first.start_frame} to {last.stop_frame - 1}"
                work = _span_task(self.plan, self.info, pending, shown)
                tasks.append(Task(key, f"{name} ({frames})", work))
        return tasks


def _span_task(plan: Plan, info: VideoInfo, chunks: tuple[Chunk, ...], shown: array[int]) -> SpanTask:
    own, end = chunks[0].start_frame, chunks[-1].stop_frame
    seen, seen_end = with_context(own, end, plan.network_context, info.frame_count)
    first, stop = with_context(own, end, plan.context, info.frame_count)
    return SpanTask(
        chunks,
        info.pts[first:stop],
        first if info.linear else 0,
        dict(info.checks) if info.linear else None,
        before=seen - first,
        settling=own - seen,
        ahead=seen_end - end,
        shown=shown[plan.results(seen) : plan.results(seen_end)],
    )


def open_reader(plan: Plan, info: VideoInfo) -> PacketReader:
    """Open the film, to read its packets for workers.

    Workers only get packets, without the file. To check that nothing was lost by this, the reader also
    decodes a few frames of every chunk; workers compare their frames with the checksums of these. If all
    frames were decoded to count them (`info.linear`), `frame_times.count` has already made these checksums.
    """
    pixels = plan.decoded_pixels
    check = None if info.linear else ContainerDecoder(_looked_at(plan, info), info.index.clean, pixels)
    return PacketReader(info.path, info.stream_index, check)


def _looked_at(plan: Plan, info: VideoInfo) -> frozenset[int]:
    """Rows that the container's own decoder decodes as well.

    These are the rows where decoding starts, and the first clean point of every chunk.
    """
    starts, rows = clean_starts(info.index)
    places = (bisect.bisect_left(starts, info.pts[chunk.start_frame]) for chunk in plan.chunks)
    return frozenset(
        (*(span.first_row for span in plan.spans), *(rows[place] for place in places if place < len(rows)))
    )


def _first_rows_after(plan: Plan) -> array[int]:
    """For each span, where the following ones begin: those that need context begin before its end."""
    least = plan.spans[-1].stop_row if plan.spans else 0
    found = array("q", [0]) * len(plan.spans)
    for key in range(len(plan.spans) - 1, -1, -1):
        found[key] = least
        least = min(least, plan.spans[key].first_row)
    return found


def _pieces(
    reader: PacketReader, info: VideoInfo, span: Span, first_row_after: int
) -> Iterator[list[PacketData]]:
    """The packets of a span in pieces of about a megabyte, with the times of the index.

    Clock jumps are joined.
    """
    size = sum(info.index.size[span.first_row : span.stop_row])
    keep_from = span.first_row if size <= _LARGEST_KEPT_SPAN else min(span.stop_row, first_row_after)
    piece: list[PacketData] = []
    held = 0
    for row, packet in enumerate(
        reader.rows(span.first_row, span.stop_row, keep_from=keep_from), start=span.first_row
    ):
        pts, dts = info.index.pts[row], info.index.dts[row]
        checks = (
            packet.checks
            if packet.pts == pts
            else tuple((p + pts - (packet.pts or 0), value) for p, value in packet.checks)
        )
        piece.append(
            replace(
                packet, pts=None if pts == NO_PTS else pts, dts=None if dts == NO_PTS else dts, checks=checks
            )
        )
        held += len(packet.data)
        if held >= _PIECE_BYTES:
            yield piece
            piece, held = [], 0
    if piece:
        yield piece
