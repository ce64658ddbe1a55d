"""Decoded frames from some places of a film.

`FilmSamples` decodes with the container's own decoder, for measurements before a run. `frames_at` decodes as
a run does and knows the number of each frame.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import av

from pipelines.codec.decoder import decode, planes_as
from pipelines.codec.expected_frames import ExpectedFrames, checked_frames
from pipelines.media.demuxer import decoded_frames, film_decoder, open_source, to_gap
from pipelines.media.packet_reader import PacketReader
from pipelines.media.video_info import NO_PTS, Chunk
from pipelines.plan.chunking import cut_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    import numpy as np
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import Frame, PacketIndex, VideoInfo

__all__ = ["BLOCK_QUANTISERS", "FilmSamples", "frames_at"]


BLOCK_QUANTISERS = {"h264": {"export_side_data": "venc_params"}}
"""Options of the decoder, by codec, to export quantisers of blocks."""
_KEPT_BYTES = 64 << 20
"""Bytes of decoded frames that are kept for further looks, at most."""
_THREADS = 4
"""Threads of the decoder, which read ahead: what is found must not depend on the number of cores."""


class FilmSamples:
    """A film opened to examine some of its frames; it is opened at the first use and then stays open.

    Decoded frames are kept up to a limit, so that frames that are examined several times are decoded once.
    """

    def __init__(self, info: VideoInfo) -> None:
        self.info = info
        self._opened: list[InputContainer] = []
        self._stream: VideoStream | None = None
        self._is_at_start = False
        self._from_start: _Run | None = None
        self._runs: dict[tuple[int | None, ...] | None, _Run] = {}
        """By position and times of their first packet."""
        self._current: _Run | None = None
        """The run that the decoder is at."""
        self._free = _KEPT_BYTES

    def __enter__(self) -> FilmSamples:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and forget all frames."""
        self._from_start = self._current = self._stream = None
        self._runs.clear()
        while self._opened:
            self._opened.pop().close()

    @property
    def is_seekable(self) -> bool:
        """Whether timestamps identify the frames, so that decoding may begin anywhere."""
        return not self.info.linear and not self.info.epochs

    @property
    def stream(self) -> VideoStream:
        """The film in the open file. Raises MediaError if it can't be opened."""
        return self._stream or self._open()

    @property
    def decoder(self) -> VideoCodecContext:
        """Decoder of the film."""
        return self.stream.codec_context

    def _open(self) -> VideoStream:
        container = open_source(self.info.path)
        self._opened.append(container)
        self._stream, decoder = film_decoder(container, self.info.stream_index, BLOCK_QUANTISERS)
        if decoder.codec.name in BLOCK_QUANTISERS:
            decoder.thread_type = "SLICE"  # threads that decode frames in parallel export those of each other
        decoder.thread_count = _THREADS
        self._is_at_start = True
        return self._stream

    def places(self, count: int, *, least_frames: int) -> list[int]:
        """Timestamps in the middle of `count` equal parts.

        The list is empty if the film has at most `least_frames` frames, or is not seekable.
        """
        if not self.is_seekable or self.info.frame_count <= least_frames:
            return []
        first, length = self.info.pts[0], self.info.pts[-1] - self.info.pts[0]
        return [first + length * (2 * place + 1) // (2 * count) for place in range(count)]

    def packets(self, at: int | None = None) -> Iterator[av.Packet[Any]]:
        """Packets from the last key frame before a timestamp on, or from the beginning.

        Seeking is done when this returns. If it fails, there are no packets.
        """
        self._current = None
        stream = self.stream if at is not None or self._is_at_start else self._open()
        if at is not None:
            try:
                self._opened[-1].seek(at, stream=stream)
            except av.error.FFmpegError:
                return iter(())
            if self.decoder.is_open:
                self.decoder.flush_buffers()
        self._is_at_start = False
        return to_gap(self._opened[-1], stream)

    def frames(self, at: int | None = None) -> Iterator[VideoFrame]:
        """Undamaged frames of the film's size, from the last key frame before a timestamp on.

        Without `at`, they begin with the film's first frame. They end at the first error; the run itself
        reports it.
        """
        return filter(self.is_whole, self.decoded(at))

    def is_whole(self, frame: VideoFrame) -> bool:
        """Whether a frame is undamaged and has the film's size."""
        size = self.info.width, self.info.height
        return not frame.is_corrupt and (frame.width, frame.height) == size

    def decoded(
        self,
        at: int | None = None,
        passing: Callable[[Iterator[av.Packet[Any]]], Iterator[av.Packet[Any]]] | None = None,
    ) -> Iterator[VideoFrame]:
        """All frames that `frames` chooses from.

        passing: wraps the packets on their way to the decoder; kept frames are then not used.
        """
        if passing is not None:
            yield from self._decode(passing(self.packets(at)))
            return
        run = self._run(at)
        yield from run.kept
        if run.is_whole:
            return
        if run is not self._current or run.taken > len(run.kept):
            self._begin(run, self.packets(run.at))
            run.skip_kept()
        for frame in run.rest:
            run.taken += 1
            size = sum(plane.buffer_size for plane in frame.planes)
            if run.taken == len(run.kept) + 1 and size <= self._free:
                run.kept.append(frame)
                self._free -= size
            yield frame
        run.is_whole = run.taken == len(run.kept)

    def _run(self, at: int | None) -> _Run:
        """The frames from a place on; all places after the same key frame share one run."""
        if at is None and self._from_start is not None:
            return self._from_start
        packets = self.packets(at)
        try:
            first = next(packets, None)
        except av.error.FFmpegError:
            first = None
        place = None if first is None else (first.pos, first.dts, first.pts)
        if place not in self._runs:
            self._runs[place] = _Run()
            self._begin(self._runs[place], itertools.chain(() if first is None else (first,), packets))
        run = self._runs[place]
        if at is None:
            self._from_start = run
        else:
            run.at = at
        return run

    def _begin(self, run: _Run, packets: Iterable[av.Packet[Any]]) -> None:
        run.rest, run.taken = self._decode(packets), 0
        self._current = run

    def _decode(self, packets: Iterable[av.Packet[Any]]) -> Iterator[VideoFrame]:
        try:
            yield from decoded_frames(packets, self.decoder)
        except av.error.FFmpegError:
            return

    def rows(self, count: int) -> list[int]:
        """Rows of the packet index: the first clean point of each of `count` equal parts, and 0."""
        clean = [row for row, is_clean in enumerate(self.info.index.clean) if is_clean]
        wanted = (len(self.info.index) * place // count for place in range(count))
        return sorted({0, *(clean[at] for row in wanted if (at := bisect_left(clean, row)) < len(clean))})

    def in_order(self, rows: Iterable[int]) -> Iterator[Iterator[VideoFrame]]:
        """`frames` from each of these rows, for films without seeking: demuxed once, in order.

        Each iterator ends when the next one is requested. Rows that were passed by then are skipped.
        """
        packets = _Rows(packet for packet in self.packets() if packet.size)
        for row in rows:
            if packets.skip_to(row):
                if self.decoder.is_open and row:
                    self.decoder.flush_buffers()
                yield filter(self.is_whole, self._decode(packets))

    def planes(self, frame: VideoFrame) -> list[np.ndarray]:
        """Views of a frame's planes in the film's planar format; they keep the frame alive."""
        return planes_as(frame, self.info.pixels)


@dataclass(eq=False)
class _Run:
    """Frames from one place on."""

    at: int | None = None
    """A timestamp that leads there; None: the beginning."""
    kept: list[VideoFrame] = field(default_factory=list)
    """The first of them."""
    taken: int = 0
    """How many the decoder has returned."""
    rest: Iterator[VideoFrame] = field(default_factory=lambda: iter(()))
    """Those that it has not."""
    is_whole: bool = False
    """All of them are kept."""

    def skip_kept(self) -> None:
        """Decode the kept ones once more, to get to what follows."""
        while self.taken < len(self.kept) and next(self.rest, None) is not None:
            self.taken += 1


class _Rows:
    """Packets of a film, counted while they are taken."""

    def __init__(self, packets: Iterable[av.Packet[Any]]) -> None:
        self._packets = iter(packets)
        self._taken = 0

    def __iter__(self) -> Iterator[av.Packet[Any]]:
        for packet in self._packets:
            self._taken += 1
            yield packet

    def skip_to(self, row: int) -> bool:
        """Whether the packet of that row comes next, after those before it are dropped."""
        for _ in itertools.islice(self, max(0, row - self._taken)):
            pass
        return self._taken == row


def frames_at(info: VideoInfo, stretches: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Frame]]:
    """Yield (number, frame) for the frames [start, stop) of each segment, ascending.

    Damaged frames come as the decoder repaired them. Only the packets from the preceding key frames on are
    decoded. Raises IndexMismatchError for frames that no packet promised.
    """
    chunks = [Chunk(n, start, stop) for n, (start, stop) in enumerate(stretches)]
    spans = cut_spans(info.index, info.pts, chunks, linear=info.linear)
    reader = PacketReader(info.path, info.stream_index)
    try:
        for span, after in zip(spans, (*spans[1:], None), strict=True):
            first, stop = span.chunks[0].start_frame, span.chunks[-1].stop_frame
            expected = ExpectedFrames(
                info.pts[first:stop], info.linear, first if info.linear else 0, first, info.decoder.clock
            )
            keep_from = min(span.stop_row, span.stop_row if after is None else after.first_row)
            packets = _with_times(
                reader.rows(span.first_row, span.stop_row, keep_from=keep_from), span.first_row, info.index
            )
            frames = checked_frames(
                decode(packets, info.decoder, info.pixels, conceal=True), expected, conceal=True
            )
            wanted = {n for chunk in span.chunks for n in range(chunk.start_frame, chunk.stop_frame)}
            yield from ((n, frame) for n, frame in enumerate(frames, start=first) if n in wanted)
    finally:
        reader.close()


def _with_times(packets: Iterator[PacketData], first_row: int, index: PacketIndex) -> Iterator[PacketData]:
    """Packets with the times of the index, in which clock jumps are joined."""
    for row, packet in enumerate(packets, start=first_row):
        pts, dts = index.pts[row], index.dts[row]
        yield replace(packet, pts=None if pts == NO_PTS else pts, dts=None if dts == NO_PTS else dts)
