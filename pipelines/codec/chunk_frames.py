"""`chunk_frames`: frames of an encoded chunk, with their true times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.media.demuxer import MAX_PIXELS, open_decoder, open_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.video.frame import VideoFrame

    from pipelines.codec.encoder import EncodedChunk

__all__ = ["chunk_frames"]


def chunk_frames(chunk: EncodedChunk, *, most_pixels: int = MAX_PIXELS) -> Iterator[tuple[VideoFrame, int]]:
    """Yield (frame, timestamp) in display order. The container of a chunk has only ordinal times.

    most_pixels: limit per frame. Raises av.error.FFmpegError for a damaged stream.
    """
    with open_memory(chunk.data) as container:
        stream = container.streams.video[0]
        decoder, number = open_decoder(stream, most_pixels=most_pixels), 0
        for packet in container.demux(stream):
            if packet.size:
                packet.pts, packet.dts = chunk.pts[number], None
                number += 1
            yield from ((frame, frame.pts or 0) for frame in decoder.decode(packet if packet.size else None))
