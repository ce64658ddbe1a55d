"""`still_frame` and `latest_pair`: frames of films as small JPEG files.

They are for orientation, not for judging quality: FFmpeg's scaler converts and resizes. Needs no torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from models.errors import MediaError
from pipelines.media.demuxer import open_decoder, open_source, packets_of
from pipelines.output.journal import read_job, work_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

__all__ = ["FramePair", "latest_pair", "still_frame"]


_MOST_DECODED = 600
"""Most frames that are decoded to reach a time. If key frames are further apart, the last decoded frame is
used instead."""
_SHOWN_WIDTH = 1920


def still_frame(path: Path, seconds: float, width: int) -> bytes:
    """The frame shown at a time, in seconds from the first frame, as a JPEG of that width in pixels.

    A time after the end gives the last frame. Raises MediaError if there is no frame.
    """
    with open_source(path) as container:
        stream = _film(container, path)
        base = stream.time_base or 1
        start = stream.start_time or 0
        frame = _frame_at(container, path, start + round(seconds / base) if seconds > 0 else None)
    height = max(
        2, round(frame.height * width / max(1, frame.width * float(stream.sample_aspect_ratio or 1)))
    )
    return _jpeg(_upright(frame), width, height)


@dataclass(frozen=True)
class FramePair:
    """A source frame and the output frame, as JPEG files of one size."""

    chunk: int
    before: bytes
    after: bytes


def latest_pair(output: Path, *, not_chunk: int = -1) -> FramePair | None:
    """A frame of a running job's output and the same frame of its source.

    It is the middle frame of the finished chunk that comes last in the film. None if no chunk is finished, or
    if that chunk is number `not_chunk`. output: path of the run's output. Raises UsageError if no run is
    active, MediaError if a file can't be read.
    """
    job = read_job(work_folder(output))
    if not job.done:
        return None
    index = max(job.done)
    if index == not_chunk:
        return None
    chunk = job.done[index]
    pts = json.loads(chunk.with_suffix(".json").read_bytes())["pts"]
    middle = len(pts) // 2
    with open_source(chunk) as container:
        after = _upright(_numbered(container, chunk, middle))
    with open_source(Path(job.input)) as container:
        before = _upright(
            _cropped(_frame_at(container, Path(job.input), pts[middle]), job.plan.get("crop") or {})
        )
    width = min(_SHOWN_WIDTH, after.width) // 2 * 2
    height = max(2, round(after.height * width / after.width) // 2 * 2)
    return FramePair(index, _jpeg(before, width, height), _jpeg(after, width, height))


def _film(container: InputContainer, path: Path) -> Any:
    """The best video stream, ignoring cover art."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    if container.streams.video:
        return container.streams.video[0]
    raise MediaError(f"{path}: holds no video; expected a film")


def _frame_at(container: InputContainer, path: Path, tick: int | None) -> VideoFrame:
    """The frame shown at a tick; None: the first."""
    stream = _film(container, path)
    if tick is not None:
        try:
            container.seek(tick, stream=stream, backward=True)
        except av.error.FFmpegError:
            tick = None  # a stream without an index: from its beginning
    shown = None
    for number, frame in enumerate(_frames(container, path, stream)):
        if shown is not None and frame.pts is not None and tick is not None and frame.pts > tick:
            break
        shown = frame
        if tick is None or number >= _MOST_DECODED:
            break
    if shown is None:
        raise MediaError(f"{path}: no frame can be decoded there; expected a film that plays")
    return shown


def _numbered(container: InputContainer, path: Path, number: int) -> VideoFrame:
    """A frame by its number, or the last one."""
    shown = None
    for at, frame in enumerate(_frames(container, path, _film(container, path))):
        shown = frame
        if at == number:
            break
    if shown is None:
        raise MediaError(f"{path}: no frame can be decoded; the run continues without it")
    return shown


def _frames(container: InputContainer, path: Path, stream: Any) -> Iterator[VideoFrame]:
    decoder = open_decoder(stream)
    for packet in packets_of(container, path, stream):
        try:
            yield from decoder.decode(packet)
        except av.error.FFmpegError:
            continue  # a damaged packet; the next key frame shows something again


def _upright(frame: VideoFrame) -> VideoFrame:
    """Rotated as in players."""
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    if not turns:
        return frame
    return _from_pixels(np.rot90(frame.to_ndarray(format="rgb24", threads=1), turns))


def _cropped(frame: VideoFrame, crop: dict[str, int]) -> VideoFrame:
    """Without the bars that a plan removes."""
    if not any(crop.values()):
        return frame
    pixels = frame.to_ndarray(format="rgb24", threads=1)
    bottom, right = (pixels.shape[n] - crop.get(side, 0) for n, side in ((0, "bottom"), (1, "right")))
    return _from_pixels(pixels[crop.get("top", 0) : bottom, crop.get("left", 0) : right])


def _from_pixels(pixels: np.ndarray) -> VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels, np.uint8), format="rgb24")


def _jpeg(frame: VideoFrame, width: int, height: int) -> bytes:
    """JFIF: full range, BT.601, whatever the frame's matrix."""
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    size = {"width": max(2, width // 2 * 2), "height": max(2, height // 2 * 2)}
    shown = frame.reformat(**size, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1)
    shown = shown.reformat(
        format="yuvj420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG, threads=1
    )
    encoder: VideoCodecContext = av.CodecContext.create("mjpeg", "w")  # type: ignore[assignment]
    encoder.width, encoder.height, encoder.pix_fmt = shown.width, shown.height, "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.options = {"qmin": "3", "qmax": "4"}
    shown.pts = 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(shown), *encoder.encode(None)))
