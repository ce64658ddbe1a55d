"""`chroma_siting` and `container_crop`: properties of a stream that PyAV 18 does not expose.

FFmpeg's muxers write them, so a header is written into memory and parsed.
"""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from pipelines.file_parsing.file_bytes import find_box, sample_entry
from pipelines.file_parsing.matroska import elements
from pipelines.media.cicp import Siting
from pipelines.media.demuxer import open_memory
from pipelines.media.pixel_format import PixelCrop

if TYPE_CHECKING:
    from av.video.stream import VideoStream

__all__ = ["chroma_siting", "container_crop"]


_COLOUR, _HORIZONTAL, _VERTICAL = 0x55B0, 0x55B7, 0x55B8
"""Matroska's elements Colour, ChromaSitingHorz and ChromaSitingVert (RFC 9559, section 5.1.4.1.28)."""
_SITINGS = {(1, 1): Siting.TOP_LEFT, (1, 2): Siting.LEFT, (2, 1): Siting.TOP, (2, 2): Siting.CENTER}
"""(horizontal, vertical): 1 = co-located with a luma sample, 2 = half-way between two."""


def chroma_siting(stream: VideoStream, first: bytes = b"") -> int:
    """The chroma siting from the stream's parameters.

    UNSPECIFIED if it is unknown, or can't be expressed in Matroska (bottom sitings). first: the first packet
    of an H.264 broadcast; it is read for the siting, because Matroska, which is used to read the stream's
    parameters, refuses the codec tag of broadcasts. For H.264 and HEVC without siting, the result is
    left, as their standards infer (H.265 clause E.3.1).
    """
    found = _written(stream)
    if found == Siting.UNSPECIFIED and first and stream.codec_context.name == "h264":
        try:
            with open_memory(first, "h264") as alone:
                found = _written(alone.streams.video[0])
        except av.error.FFmpegError:
            return Siting.UNSPECIFIED
    return found


def container_crop(stream: VideoStream) -> PixelCrop:
    """Rows and columns that the container hides: Matroska's PixelCrop, MOV's `clap`.

    Applied as in FFmpeg 7.1 and later.
    """
    return _matroska_crop(_header(stream, "matroska")) or _clap(_header(stream, "mov"), stream)


def _matroska_crop(header: bytes) -> PixelCrop:
    bottom, top, left, right = (
        next((int.from_bytes(data, "big") for data in elements(header, *_VIDEO_PATH, kind)), 0)
        for kind in (0x54AA, 0x54BB, 0x54CC, 0x54DD)
    )
    return PixelCrop(top, bottom, left, right)


_VISUAL_ENTRY_BYTES = 86
"""Bytes before the boxes in a visual sample entry (ISO/IEC 14496-12 clause 12.1.3)."""


def _clap(header: bytes, stream: VideoStream) -> PixelCrop:
    """The crop in a MOV header (ISO/IEC 14496-12 clause 12.1.4).

    The box holds sizes and the offset of the centre, as fractions.
    """
    try:
        entry = sample_entry(header)[-1]
        size = struct.unpack_from(">I", header, entry)[0]
        at, _ = find_box(header, b"clap", entry + _VISUAL_ENTRY_BYTES, entry + size)
    except ValueError:
        return PixelCrop()
    numbers = struct.unpack_from(">IIIIiIiI", header, at + 8)
    if not all(numbers[1::2]):
        return PixelCrop()
    width, height, right, down = (Fraction(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True))
    full = stream.codec_context.width, stream.codec_context.height
    left, top = (
        max(0, round((whole - part) / 2 + moved))
        for whole, part, moved in zip(full, (width, height), (right, down), strict=True)
    )
    return PixelCrop(top, full[1] - top - round(height), left, full[0] - left - round(width))


_VIDEO_PATH = (0x18538067, 0x1654AE6B, 0xAE, 0xE0)
"""Segment, Tracks, TrackEntry, Video (RFC 9559, section 5.1)."""


def _written(stream: Any) -> int:
    # by its structure: the random UIDs in it may hold the bytes of any element
    header = _header(stream, "matroska")
    across, down = (
        next((int.from_bytes(d, "big") for d in elements(header, *_VIDEO_PATH, _COLOUR, kind)), 0)
        for kind in (_HORIZONTAL, _VERTICAL)
    )
    return _SITINGS.get((across, down), Siting.UNSPECIFIED)


def _header(stream: Any, kind: str) -> bytes:
    """The header that a muxer writes for a stream; empty if it can't hold the stream."""
    buffer = io.BytesIO()
    output = av.open(
        buffer, "w", format=kind, container_options={"movflags": "empty_moov"} if kind == "mov" else {}
    )
    try:
        track = output.add_mux_stream("h264", rate=25, width=16, height=16)
        track.time_base = Fraction(1, 1000)
        BitStreamFilterContext("null", in_stream=stream, out_stream=track)
        output.start_encoding()
        output.close()
    except (av.error.FFmpegError, ValueError, OSError):
        return b""
    return buffer.getvalue()
