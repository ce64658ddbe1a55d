"""`ContainerDecoder`: decodes some packets with the container's own decoder, as a reference for workers.

Workers get packets without their container. If anything that affects the image were lost on the way, all
later checks would compare equally wrong frames. Therefore a few frames of every chunk, and those where
headers or palettes change, are also decoded by the process that has opened the file, with everything that
the demuxer provides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av

from pipelines.codec.decoder import Converter, checksum
from pipelines.media.demuxer import open_decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipelines.media.pixel_format import PixelFormat

__all__ = ["ContainerDecoder"]


class ContainerDecoder:
    """Decodes some packets with the container's own decoder; a `packet_reader.Check`."""

    depth = 3
    """A key frame and two that depend on it."""

    def __init__(self, rows: Iterable[int], clean: Sequence[int], pixels: PixelFormat) -> None:
        """rows: rows to check. clean: by row, whether decoding may start there.

        pixels: planar format in which frames are compared.
        """
        self._rows, self._clean = frozenset(rows), clean
        self._converter = None if pixels.is_float else Converter(pixels)
        self._decoder: VideoCodecContext | None = None

    def begin(self, stream: VideoStream) -> None:
        """Prepare for the first packet of the stream."""
        self._decoder = open_decoder(stream)
        self._decoder.thread_count = 1  # a few frames now and then; threads would each keep some

    def see(
        self, row: int, packets: Sequence[av.Packet[Any]], *, is_changed: bool
    ) -> tuple[tuple[int, int], ...]:
        """Return (pts, checksum) of the frames that begin with the first packet, if the row is to be checked.

        packets: a packet and those after it. is_changed: the packet carries a new header or palette. The
        decoder must see every change, or it would decode the following packets with the old one.
        """
        is_clean = row < len(self._clean) and bool(self._clean[row])
        if self._converter is None or not (is_changed or (is_clean and row in self._rows)):
            return ()
        frames = self._decoded(packets if is_clean else [packets[0]])
        first = packets[0].pts
        if not is_clean or first is None:
            return ()
        return tuple(
            (f.pts, checksum(self._converter.planes(f)))
            for f in frames
            if not f.is_corrupt and f.pts is not None and f.pts >= first
        )

    def _decoded(self, packets: Iterable[av.Packet[Any]]) -> list[VideoFrame]:
        """Decode a few packets alone.

        Returns nothing if they can't be decoded; the error is reported elsewhere.
        """
        assert self._decoder is not None
        frames: list[VideoFrame] = []
        try:
            for packet in packets:
                frames += self._decoder.decode(packet)  # type: ignore[arg-type]
            frames += self._decoder.decode(None)
        except av.error.FFmpegError:
            pass
        if self._decoder.is_open:
            self._decoder.flush_buffers()
        return frames
