"""Frames of a video or image, for training and judging: YUV 4:2:0 values, left-sited, or R'G'B'.

The decoding path is that of a run (`demuxer`, `decoder`, `color_conversion`); left-sited 4:2:0 passes
unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.layers.resampling import resample
from pipelines.codec.decoder import decode
from pipelines.codec.expected_frames import ExpectedFrames
from pipelines.frames.sample_values import (
    LEFT,
    SampleValues,
    from_values,
    rgb_to_planes,
    samples_to_planes,
    siting_offset,
    to_rgb,
)
from pipelines.media.cicp import Range, Siting
from pipelines.media.packet_reader import PacketReader
from pipelines.plan.color_tags import resolve_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from models.network import Planes
    from pipelines.media.cicp import ColorTags
    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import Frame, VideoInfo

__all__ = ["VideoReader"]


class VideoReader:
    """The frames of one file."""

    def __init__(self, info: VideoInfo) -> None:
        """Raise MediaError for pixel formats and colours that can't be converted."""
        self.info = info
        self.pixels: PixelFormat = info.pixels
        tags, _ = resolve_tags(
            info.color, self.pixels, height=info.height, codec=info.codec, picture=info.made_of_pictures
        )
        self.tags: ColorTags = tags
        self.bits = min(10, max(8, self.pixels.bits)) if self.pixels.bits <= 8 else 10
        self.width, self.height = info.width // 2 * 2, info.height // 2 * 2

    def frames(self, stop: int | None = None) -> Iterator[Frame]:
        """Yield decoded frames in display order, at most `stop` of them.

        Damaged and hidden frames are skipped. Raises MediaError if size, format or colour changes within the
        video.
        """
        shown = set(self.info.pts)
        reader = PacketReader(self.info.path, self.info.stream_index)
        rows = len(self.info.index)
        count = 0
        try:
            for frame in decode(reader.rows(0, rows, keep_from=rows), self.info.decoder, self.pixels):
                known = self.info.linear or self.info.epochs or frame.pts in shown
                if frame.corrupt or not known:
                    continue
                if frame.change:
                    raise ExpectedFrames(
                        (frame.pts,), number=count, clock=self.info.decoder.clock
                    ).change_error(0, frame.change)
                yield frame
                count += 1
                if count == stop:
                    return
        finally:
            reader.close()

    def codes(self, frame: Frame) -> SampleValues:
        """One frame as 4:2:0 integers of 8 or 10 bits, limited range, left-sited.

        Odd sides lose their last row or column.
        """
        pixels, tags = self.pixels, self.tags
        plain = (
            pixels.family == "yuv"
            and (pixels.sub_x, pixels.sub_y) == (1, 1)
            and not pixels.alpha
            and pixels.bits == self.bits
        )
        if plain and tags.range == Range.LIMITED and tags.siting == Siting.LEFT:
            luma, u, v = (np.asarray(p) for p in frame.planes[:3])
            half = (self.height // 2, self.width // 2)
            return SampleValues(
                luma[None, : self.height, : self.width],
                np.stack([u, v])[None, :, : half[0], : half[1]],
                self.bits,
            )
        return from_values(self.values(frame), self.bits)

    def values(self, frame: Frame) -> Planes:
        """One frame as luma (1,1,H,W) and left-sited chroma (1,2,H/2,W/2), float32.

        Values have the matrix of the video; R'G'B' is converted with BT.601.
        """
        size = (slice(None), slice(None), slice(self.height), slice(self.width))
        if self.pixels.family == "rgb":
            return rgb_to_planes(self.rgb(frame)[size])
        luma, chroma = self._planes(frame)
        height, width = self.height // 2, self.width // 2
        chroma = chroma[..., : height * 2 >> self.pixels.sub_y, : width * 2 >> self.pixels.sub_x]
        offset = self._offset()
        if chroma.shape[-2:] != (height, width) or offset != LEFT:
            chroma = resample(
                chroma,
                height,
                width,
                "bicubic" if chroma.shape[-1] == width else "bilinear",
                offset=offset,
                out_offset=LEFT,
            )
        return luma[size], chroma

    def rgb(self, frame: Frame) -> Tensor:
        """One frame as (1,3,H,W) R'G'B', float32 0..1, at its full, possibly odd size."""
        return to_rgb(frame.planes, self.pixels, self.tags)

    def _planes(self, frame: Frame) -> Planes:
        return samples_to_planes(frame.planes, self.pixels, self.tags)

    def _offset(self) -> tuple[float, float]:
        return siting_offset(self.pixels, self.tags)
