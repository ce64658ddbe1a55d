"""Properties common to all frames of a film (`FrameFacts`).

They are read from each decoded frame and compared with those of the first.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.sidedata.sidedata import Type as SideData

from models.errors import MediaError
from pipelines.media.cicp import ColorTags, Matrix, Primaries, Range, Transfer
from pipelines.media.hdr_metadata import frame_side_data, static_metadata
from pipelines.media.pixel_format import Orientation
from pipelines.media.video_info import FrameFacts
from pipelines.plan.color_tags import resolve_tags

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from pipelines.media.pixel_format import PixelFormat
    from pipelines.media.video_info import DecoderSetup

__all__ = ["change_of", "facts_of", "orientation_of"]


def facts_of(raw: VideoFrame, context: VideoCodecContext, first: FrameFacts | None = None) -> FrameFacts:
    """Read what may change within a film from a decoded frame: size, format, colour, SAR, HDR, rotation.

    context: the frame's decoder. first: facts of the film's first frame. PyAV exposes only the
    decoder's SAR, which may already be that of a later frame. So if the decoder's SAR differs from the first
    frame's, an FFmpeg filter is used to find out which of these two SARs this frame has.
    """
    sar = Fraction(context.sample_aspect_ratio or 1)
    if first is not None and sar != first.sar and not _has_shape(raw, sar):
        sar = first.sar
    name = raw.format.name
    range_ = Range.FULL if name.startswith("yuvj") else int(raw.color_range)
    color = ColorTags(int(raw.colorspace), range_, int(raw.color_primaries), int(raw.color_trc))
    return FrameFacts(
        raw.width, raw.height, name.replace("yuvj", "yuv"), color, sar, static_metadata(raw), _turn_of(raw)
    )


_SHAPE_UNIT = 360


def _has_shape(raw: VideoFrame, sar: Fraction) -> bool:
    """Whether a frame has that SAR, tested with FFmpeg's filter `scale`: its output size depends on it."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=raw.width, height=raw.height, format=raw.format, time_base=Fraction(1, 25)
    )
    scale, sink = (
        graph.add("scale", f"w=max(1\\,round(sar*{_SHAPE_UNIT})):h=2:eval=frame:flags=neighbor"),
        graph.add("buffersink"),
    )
    source.link_to(scale)
    scale.link_to(sink)
    graph.configure()
    source.push(raw)
    made: Any = sink.pull()
    return bool(made.width == max(1, round(sar * _SHAPE_UNIT)))


def change_of(first: FrameFacts, found: FrameFacts, setup: DecoderSetup, pixels: PixelFormat) -> str:
    """Describe how a frame differs from the film's first one, in words that fit "… at frame 12".

    Empty if there is no visible difference. A decoder doesn't repeat metadata or a rotation that only key
    frames carry, so missing metadata is not a change. Nor is a missing rotation, except in image formats,
    where every frame carries its own. Missing tags are replaced by those that `resolve_tags` assumes.
    """
    if (found.width, found.height, found.pix_fmt) != (first.width, first.height, first.pix_fmt):
        return (
            f"the picture changes from {first.width}x{first.height} {first.pix_fmt} to"
            f" {found.width}x{found.height} {found.pix_fmt}"
        )
    if found.color != first.color:
        before, after = (_meaning(f.color, first, setup, pixels) for f in (first, found))
        if before != after:
            return f"the colour changes from {_named(before)} to {_named(after)}"
    if found.sar != first.sar and not setup.sar_of_container:
        return f"the shape of a sample changes from {_ratio(first.sar)} to {_ratio(found.sar)}"
    if (found.hdr.display and found.hdr.display != first.hdr.display) or (
        found.hdr.light and found.hdr.light != first.hdr.light
    ):
        return "the HDR metadata changes"
    alone = setup.codec in _STANDS_ALONE
    if (found.orientation or Orientation()) != (first.orientation or Orientation()) and (
        found.orientation is not None or alone
    ):
        return "the rotation changes"
    return ""


_STANDS_ALONE = frozenset({"mjpeg", "png", "tiff", "webp", "dpx", "bmp", "exr"})
"""Decoders of images, each of which carries all its properties."""


def _meaning(tags: ColorTags, first: FrameFacts, setup: DecoderSetup, pixels: PixelFormat) -> ColorTags:
    try:
        return resolve_tags(
            tags, pixels, height=first.height, codec=setup.codec, picture=setup.codec in _STANDS_ALONE
        )[0]
    except MediaError:
        return tags


def _named(tags: ColorTags) -> str:
    kinds = (
        (Matrix, tags.matrix),
        (Range, tags.range),
        (Primaries, tags.primaries),
        (Transfer, tags.transfer),
    )
    return "/".join(kind(value).name if value in list(kind) else str(value) for kind, value in kinds)


def _ratio(sar: Fraction) -> str:
    return f"{sar.numerator}:{sar.denominator}"


def _turn_of(frame: VideoFrame) -> Orientation | None:
    """The rotation that a frame asks for; None if it has none."""
    says = frame.rotation % 360 or frame_side_data(frame, SideData.DISPLAYMATRIX) is not None
    return orientation_of(frame)[0] if says else None


def orientation_of(frame: VideoFrame) -> tuple[Orientation, bool]:
    """Convert the display matrix to a rotation of the pixels.

    The second value is True if the matrix is something else; it is then ignored.
    """
    data = frame_side_data(frame, SideData.DISPLAYMATRIX)
    if data is None:
        return _TURNS.get(frame.rotation % 360, Orientation()), frame.rotation % 360 not in _TURNS
    a, b, _, c, d, *_ = struct.unpack("<9i", data[:36])
    if not any(data[:36]):  # some writers leave it empty
        return Orientation(), False
    one = 1 << 16
    if b == c == 0 and abs(a) == abs(d) == one:
        return Orientation(flip_x=a < 0, flip_y=d < 0), False
    if a == d == 0 and abs(b) == abs(c) == one:
        # x' = c·y, y' = b·x: transposed, then flipped where a factor is negative.
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0), False
    return Orientation(), True


_TURNS = {
    0: Orientation(),
    90: Orientation(transpose=True, flip_y=True),
    180: Orientation(flip_x=True, flip_y=True),
    270: Orientation(transpose=True, flip_x=True),
}
"""By degrees counter-clockwise, as in `VideoFrame.rotation`."""
