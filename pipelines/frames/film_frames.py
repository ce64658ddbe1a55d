"""Decoded frames from some places of a film.

`FilmSamples` decodes with the container's own decoder, for measurements before a run. `frames_at` decodes as
a run does and knows the number of each frame.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import av

from pipelines.codec.decoder import decode, planes_as
from pipelines.codec.expected_frames import ExpectedFrames, checked_frames
from pipelines.media.demuxer import decoded_frames, film_decoder, open_source, to_gap
from pipelines.media.packet_reader import PacketReader
from pipelines.media.video_info import NO_PTS, Chunk
from pipelines.plan.chunking import cut_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    from av.video.frame import VideoFrame

    from pipelines.media.packet_reader import PacketData
    from pipelines.media.video_info import Frame, PacketIndex, VideoInfo

__all__ = ["FilmSamples", "frames_at"]


class FilmSamples:
    """An open film, of which some frames are decoded."""

    def __init__(self, info: VideoInfo, options: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """options: further options of the decoder, by its name. Raises MediaError if it can't be opened."""
        self._info = info
        self._container = open_source(info.path)
        self.stream, self.decoder = film_decoder(self._container, info.stream_index, options)
        self.is_seekable = not info.linear and not info.epochs
        """Whether timestamps identify the frames, so that decoding may begin anywhere."""

    def __enter__(self) -> FilmSamples:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def places(self, count: int, *, least_frames: int) -> list[int]:
        """Timestamps in the middle of `count` equal parts.

        None for shorter films, and for those in which decoding can't begin anywhere.
        """
        if not self.is_seekable or self._info.frame_count <= least_frames:
            return []
        first, length = self._info.pts[0], self._info.pts[-1] - self._info.pts[0]
        return [first + length * (2 * place + 1) // (2 * count) for place in range(count)]

    def packets(self, at: int | None = None) -> Iterator[av.Packet[Any]]:
        """Packets from the last key frame before a timestamp; None: from the current position."""
        if at is not None:
            self._container.seek(at, stream=self.stream)
            if self.decoder.is_open:
                self.decoder.flush_buffers()
        yield from to_gap(self._container, self.stream)

    def frames(self, at: int | None = None) -> Iterator[VideoFrame]:
        """Undamaged frames of the film's size, from `packets` on.

        They end where reading fails: the run itself reports what is wrong.
        """
        yield from self._shown(self.packets(at))

    def _shown(self, packets: Iterable[av.Packet[Any]]) -> Iterator[VideoFrame]:
        size = self._info.width, self._info.height
        try:
            for frame in decoded_frames(packets, self.decoder):
                if not frame.is_corrupt and (frame.width, frame.height) == size:
                    yield frame
        except av.error.FFmpegError:
            return

    def rows(self, count: int) -> list[int]:
        """Rows of the packet index: the first clean point of each of `count` equal parts, and 0."""
        clean = [row for row, is_clean in enumerate(self._info.index.clean) if is_clean]
        wanted = (len(self._info.index) * place // count for place in range(count))
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
                yield self._shown(packets)

    def planes(self, frame: VideoFrame) -> list[np.ndarray]:
        """Views of a frame's planes in the film's planar format; they keep the frame alive."""
        return planes_as(frame, self._info.pixels)


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
