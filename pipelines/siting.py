"""`chroma_siting`: where the chroma samples of a video lie, as its bitstream or its container says.

PyAV 18 hands on no chroma location, but FFmpeg's Matroska muxer writes down what FFmpeg knows of a stream; so a header is
written into memory, and read.
"""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from pipelines.cicp import Siting
from pipelines.source import open_memory

if TYPE_CHECKING:
    from av.video.stream import VideoStream

__all__ = ["chroma_siting"]

_COLOUR, _HORIZONTAL, _VERTICAL = b"\x55\xb0", b"\x55\xb7", b"\x55\xb8"
"""Matroska's elements Colour, ChromaSitingHorz and ChromaSitingVert (RFC 9559, section 5.1.4.1.28)."""
_SITINGS = {(1, 1): Siting.TOP_LEFT, (1, 2): Siting.LEFT, (2, 1): Siting.TOP, (2, 2): Siting.CENTER}
"""(horizontal, vertical), 1 = collocated with a luma sample, 2 = half-way between two."""


def chroma_siting(stream: VideoStream, first: bytes = b"") -> int:
    """By the stream's parameters; UNSPECIFIED where nothing is known, or where Matroska has no word for it (bottom sitings).

    first: the first packet of an H.264 broadcast, whose codec tag Matroska refuses. Without a word in H.264 and HEVC, left is
    what their standards tell to infer (H.265 clause E.3.1), and what comes back.
    """
    found = _written(stream)
    if found == Siting.UNSPECIFIED and first and stream.codec_context.name == "h264":
        try:
            with open_memory(first, "h264") as alone:
                found = _written(alone.streams.video[0])
        except av.error.FFmpegError:
            return Siting.UNSPECIFIED
    return found


def _written(stream: Any) -> int:
    buffer = io.BytesIO()
    output = av.open(buffer, "w", format="matroska")
    try:
        track = output.add_mux_stream("h264", rate=25, width=16, height=16)
        track.time_base = Fraction(1, 1000)
        BitStreamFilterContext("null", in_stream=stream, out_stream=track)
        output.start_encoding()
        output.close()
    except (av.error.FFmpegError, ValueError, OSError):
        return Siting.UNSPECIFIED
    header = buffer.getvalue()
    start = header.find(_COLOUR)
    return _SITINGS.get((_value(header, start, _HORIZONTAL), _value(header, start, _VERTICAL)), Siting.UNSPECIFIED) if start >= 0 else 0


def _value(header: bytes, start: int, element: bytes) -> int:
    """Of the unsigned element of one byte behind `start`; 0 where there is none."""
    at = header.find(element + b"\x81", start, start + 64)
    return header[at + 3] if at >= 0 else 0
