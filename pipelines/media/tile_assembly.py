"""`assembled`: decodes the tiles of a photo and joins them, as a lossless film of one frame in memory."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipelines.file_parsing.heif_items import TiledPhoto

__all__ = ["assembled"]


_UNSPECIFIED = 2
_FULL = 2
_SAME_SAMPLES = {"gbrp": "bgr0", "gbrap": "bgra"}
"""FFV1's own order of 8-bit R'G'B'."""


def assembled(
    container: InputContainer,
    photo: TiledPhoto,
    opened: Callable[[VideoStream], VideoCodecContext],
    most_pixels: int,
) -> bytes:
    """Assemble a whole photo, as FFV1 in Matroska.

    opened: creates the decoder of a stream. Raises ValueError with a reason if tiles are missing or damaged,
    or don't fit each other.
    """
    if photo.width * photo.height > most_pixels:
        raise ValueError(f"it has {photo.width}x{photo.height} pixels")
    streams = {stream.id: stream for stream in container.streams.video}
    absent = sum(tile not in streams for tile in photo.tiles)
    if absent:
        raise ValueError(f"{absent} of its {len(photo.tiles)} tiles are missing")
    wanted = set(photo.tiles)
    frames: dict[int, VideoFrame] = {}
    for packet in container.demux([streams[tile] for tile in sorted(wanted)]):
        if packet.size and packet.stream.id not in frames:
            frames[packet.stream.id] = _decoded(opened(packet.stream), packet, photo.tiles)  # type: ignore[arg-type]
    if wanted - frames.keys():
        raise ValueError(f"{len(wanted - frames.keys())} of its {len(photo.tiles)} tiles are missing")
    return _encoded(_together([frames[tile] for tile in photo.tiles], photo))


def _decoded(decoder: VideoCodecContext, packet: av.Packet[Any], tiles: tuple[int, ...]) -> VideoFrame:
    try:
        found = [*decoder.decode(packet), *decoder.decode(None)]  # type: ignore[arg-type]
    except av.error.FFmpegError:
        found = []
    if not found or found[0].is_corrupt:
        raise ValueError(f"tile {tiles.index(packet.stream.id) + 1} of {len(tiles)} is damaged")
    return found[0]


def _together(tiles: list[VideoFrame], photo: TiledPhoto) -> VideoFrame:
    first = tiles[0]
    shape = (first.width, first.height, first.format.name)
    if any((tile.width, tile.height, tile.format.name) != shape for tile in tiles):
        raise ValueError("its tiles differ in size or pixel format")
    if first.width * photo.columns < photo.width or first.height * photo.rows < photo.height:
        raise ValueError("its tiles are smaller than the photo")
    name = first.format.name.replace("yuvj", "yuv")
    whole = av.VideoFrame(photo.width, photo.height, name)
    for number, plane in enumerate(whole.planes):
        target = _samples(whole, number)
        wide, high = _samples(first, number).shape[1::-1]
        for place, tile in enumerate(tiles):
            top, left = place // photo.columns * high, place % photo.columns * wide
            part = target[top : top + high, left : left + wide]
            part[:] = _samples(tile, number)[: part.shape[0], : part.shape[1]]
        assert plane.line_size > 0
    return _tagged(whole, first, photo)


def _samples(frame: VideoFrame, number: int) -> np.ndarray:
    """The samples of a plane, to be read or written in place."""
    plane = frame.planes[number]
    size = 2 if frame.format.components[0].bits > 8 else 1
    rows: Any = np.frombuffer(memoryview(plane), f"u{size}").reshape(-1, plane.line_size // size)
    return np.asarray(rows[: plane.height, : plane.width])


def _tagged(whole: VideoFrame, first: VideoFrame, photo: TiledPhoto) -> VideoFrame:
    """Tag the whole photo with the colour tags of its tiles, or if they have none, of the file."""
    primaries, transfer, matrix, full = photo.tags or (_UNSPECIFIED, _UNSPECIFIED, _UNSPECIFIED, 0)
    is_full = first.format.name.startswith("yuvj")
    whole.color_primaries = _known(int(first.color_primaries), primaries)
    whole.color_trc = _known(int(first.color_trc), transfer)
    whole.colorspace = _known(int(first.colorspace), matrix)
    whole.color_range = _FULL if is_full else int(first.color_range) or full
    return whole


def _known(tag: int, otherwise: int) -> int:
    return otherwise if tag == _UNSPECIFIED else tag


def _encoded(whole: VideoFrame) -> bytes:
    buffer, name = io.BytesIO(), whole.format.name
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=1, options={"level": "3", "slicecrc": "1"})
        context = stream.codec_context
        context.width, context.height = whole.width, whole.height
        context.pix_fmt = _SAME_SAMPLES.get(name, name)
        context.color_primaries, context.color_trc = whole.color_primaries, whole.color_trc
        context.colorspace, context.color_range = whole.colorspace, whole.color_range
        try:
            frame = whole.reformat(format=context.pix_fmt, threads=1) if name in _SAME_SAMPLES else whole
            frame.pts, frame.time_base = 0, Fraction(1)
            output.mux([*stream.encode(frame), *stream.encode(None)])
        except (av.error.FFmpegError, ValueError) as error:
            raise ValueError(f"its pixel format is {name}") from error
    return buffer.getvalue()
