"""`ContainerDecoder`: some packets of a film through the container's own decoder, to compare what workers
decode with.

Workers get packets without their container. What travels with them may lack something that shapes the
picture, and all later checks would look at the same wrong frames; so a few frames of every chunk, and those
where headers or palettes change, are decoded where the file is open, with all that the demuxer says.
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
    """What the container's own decoder makes of some packets; a `source.Check`."""

    depth = 3
    """A key frame and two that need it."""

    def __init__(self, rows: Iterable[int], clean: Sequence[int], pixels: PixelFormat) -> None:
        """rows: where it looks. clean: by row, whether decoding may start there. pixels: planar format frames
        are compared in.
        """
        self._rows, self._clean = frozenset(rows), clean
        self._converter = None if pixels.is_float else Converter(pixels)
        self._decoder: VideoCodecContext | None = None

    def begin(self, stream: VideoStream) -> None:
        """The stream's first packet comes next."""
        self._decoder = open_decoder(stream)
        self._decoder.thread_count = 1  # a few frames now and then; threads would each keep some

    def see(
        self, row: int, packets: Sequence[av.Packet[Any]], *, is_changed: bool
    ) -> tuple[tuple[int, int], ...]:
        """(pts, checksum) of the frames from the first of `packets` on, where it is looked at.

        is_changed: it brings a header or a palette.

        A decoder must see every change, or it decodes what follows by what held before.
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
        """All that comes of a few packets alone.

        Nothing where they can't be decoded, which is said where it matters.
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
