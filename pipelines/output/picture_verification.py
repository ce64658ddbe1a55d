"""Compares decoded frames of an output with their source.

Outputs are image files, or frames of a film.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import av
import numpy as np

from models.errors import VerificationError, counted
from pipelines.codec.chunk_frames import chunk_frames
from pipelines.codec.decoder import float_planes, planes_as
from pipelines.frames.thumbnail import grid_for, kept_thumbnail, thumbnail, thumbnail_difference
from pipelines.media.demuxer import MAX_PIXELS, open_decoder, open_source
from pipelines.media.pixel_format import PixelFormat, planar_format

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from pipelines.codec.encoder import EncodedChunk
    from pipelines.output.chunk_record import ChunkRecord
    from pipelines.plan.plan import Plan

__all__ = [
    "SEAM_FRAMES",
    "check_frame_content",
    "check_picture",
    "chunk_flaw",
    "read_picture",
    "result_decoder",
    "verify_pictures",
]

SEAM_FRAMES = 3
"""Frames that are decoded at the start of every chunk."""


def result_decoder(stream: VideoStream, plan: Plan, **options: str) -> VideoCodecContext:
    """A decoder for an output, which may be larger than any source: its frames have the plan's size."""
    return open_decoder(stream, most_pixels=max(MAX_PIXELS, 2 * plan.out_width * plan.out_height), **options)


def check_frame_content(
    planes: Sequence[np.ndarray], pixels: PixelFormat, plan: Plan, thumbnails: bytes, place: int, what: str
) -> None:
    """Raise VerificationError if a frame of the output shows something other than its source.

    place: position in the chunk. what: its name in messages.
    """
    difference = _content_difference(planes, pixels, plan, thumbnails, place)
    if difference is None:
        raise VerificationError(
            f"{what} has nothing to be compared with: the chunk's thumbnails are {len(thumbnails)} bytes;"
            " give the same command with --fresh"
        )
    if difference:
        other = "a lower --crf" if plan.encoder.coarseness else "another --model"
        if plan.encoder.vendor:
            other = "--encoder software"
        raise VerificationError(
            f"{what} shows something else than its source (by {difference:.0f} of 255); give the same command"
            f" with --fresh, and with {other} if that ends alike"
        )


def chunk_flaw(chunk: EncodedChunk, plan: Plan, step: Callable[[], None]) -> str:
    """Decode an encoded chunk; returns how its frames differ from their source, empty if they don't.

    chunk: with its thumbnails. step: called for every frame.
    """
    order, shown = sorted(chunk.pts), 0
    most = 2 * plan.out_width * plan.out_height
    try:
        for frame, pts in chunk_frames(chunk, most_pixels=max(MAX_PIXELS, most)):
            if shown >= len(order) or pts != order[shown]:
                return f"its encoded frame {shown} is shown at another time, or twice"
            pixels = planar_format(frame.format.name)
            difference = _content_difference(planes_as(frame, pixels), pixels, plan, chunk.thumbnails, shown)
            if frame.is_corrupt or difference is None or difference:
                return f"the encoded frame at pts {pts} shows something else than its source"
            shown += 1
            step()
    except av.error.FFmpegError as error:
        return f"its encoded frame {shown} can't be decoded: {error.strerror}"
    return "" if shown == len(order) else f"{shown} of its {len(order)} encoded frames can be decoded"


def _content_difference(
    planes: Sequence[np.ndarray], pixels: PixelFormat, plan: Plan, thumbnails: bytes, place: int
) -> float | None:
    """Return by how much a frame shows something other than its source, 0 if it shows the same.

    None if there is no thumbnail of its source.
    """
    grid = grid_for(plan.width, plan.height)
    kept = kept_thumbnail(thumbnails, place, grid)
    if kept is None:
        return None
    own, texture = kept
    is_clipped = plan.pixels.is_float and not pixels.is_float
    shown = thumbnail(planes, pixels, plan.out_color, grid, plan.luma_matrix)
    return thumbnail_difference(
        shown, own, texture=texture, is_clipped=is_clipped, coarseness=plan.encoder.coarseness
    )


def verify_pictures(folder: Path, plan: Plan, records: Sequence[ChunkRecord], *, full: bool) -> int:
    """Check that an image sequence is complete, and that images show the same as their source.

    The content of images at the start of every chunk is checked, or that of all images.
    """
    names = {str(plan.first_number + n) for n in range(plan.frame_count)}
    found = set(os.listdir(folder))
    if found != names:
        raise VerificationError(f"the result has {counted(len(found), 'picture')}, expected {len(names)}")
    number, decoded = plan.first_number, 0
    for record in records:
        thumbnails = record.thumbnails  # read once, from a file
        for place in range(len(record.pts)):
            if full or place < SEAM_FRAMES:
                check_picture(
                    folder / str(number + place), plan, thumbnails, place, f"picture {number + place}"
                )
                decoded += 1
        number += len(record.pts)
    return decoded


def check_picture(path: Path, plan: Plan, thumbnails: bytes, place: int, what: str) -> None:
    """Check that an image file has the right size, and shows the same as its source.

    what: its name in messages.
    """
    planes, pixels = read_picture(path, plan, what)
    check_frame_content(planes, pixels, plan, thumbnails, place, what)


def read_picture(path: Path, plan: Plan, what: str) -> tuple[list[np.ndarray], PixelFormat]:
    """Planes of an image, in the format they were encoded from. what: its name in messages."""
    container = open_source(path)
    try:
        stream = container.streams.video[0]
        decoder = result_decoder(stream, plan)
        frame = next((f for packet in container.demux(stream) for f in decoder.decode(packet)), None)
    except av.error.FFmpegError as error:
        raise VerificationError(f"{what} can't be read back: {error.strerror}") from error
    finally:
        container.close()
    if frame is None or (frame.width, frame.height) != (plan.out_width, plan.out_height):
        raise VerificationError(f"{what} is not {plan.out_width}x{plan.out_height}")
    pixels = planar_format(frame.format.name)
    if pixels.is_float:
        return float_planes(frame), pixels
    return planes_as(frame, pixels), pixels
