"""`crf_trial`: upscaled frames of a film, encoded as in a run at several CRFs: their bytes and VMAF.

VMAF compares the encoded frames with the frames given to the encoder, so it shows what encoding costs, not
how good the networks are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.codec.decoder import picture_planes
from pipelines.codec.encoder import encode_chunk, frame_bytes, stream_facts
from pipelines.frames.ffmpeg_metrics import VmafProcess
from pipelines.media.demuxer import film_decoder, open_memory
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.video_info import Frame

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from pipelines.plan.plan import Plan
    from pipelines.settings.encoder_spec import Encoder

__all__ = ["RateSample", "crf_trial"]


@dataclass(frozen=True)
class RateSample:
    """Upscaled frames of a film, stored losslessly in files, with their times."""

    pieces: tuple[str, ...]
    """Files of FFV1 in Matroska, one after another."""
    pts: tuple[int, ...]
    """Timestamps of their frames, in the plan's time base."""


def crf_trial(
    sample: RateSample, plan: Plan, encoders: Sequence[Encoder], vmaf: bool
) -> list[tuple[int, float]]:
    """Encode a sample with each encoder; returns (bytes of its packets, mean VMAF of its frames) for each.

    Without `vmaf`, the second value is 0. Raises ResourceError if an encoder fails, MediaError if FFmpeg's
    filter does.
    """
    found = []
    for encoder in encoders:
        chunk = encode_chunk(_frames(sample, plan), 0, encoder, **stream_facts(plan))
        found.append((sum(frame_bytes(chunk, encoder)), _vmaf(sample, plan, chunk.data) if vmaf else 0.0))
    return found


def _frames(sample: RateSample, plan: Plan) -> Iterator[Frame]:
    frames = _sample_frames(sample.pieces, plan.out_pix_fmt)
    return (Frame(pts, planes) for pts, planes in zip(sample.pts, frames, strict=True))


def _vmaf(sample: RateSample, plan: Plan, data: bytes) -> float:
    """Mean over the frames, of luma at output size, without a last odd row and column."""
    pixels = plan.out_pixels
    even = np.s_[: plan.out_height // 2 * 2, : plan.out_width // 2 * 2]
    made, given = _chunk_frames(data, plan.out_pix_fmt), _sample_frames(sample.pieces, plan.out_pix_fmt)
    pairs = ([m[0][even], g[0][even]] for m, g in zip(made, given, strict=True))
    with VmafProcess(plan.out_width // 2 * 2, plan.out_height // 2 * 2, pixels.bits) as meter:
        for pair in _mirrored(pairs):
            meter.add_luma(pair)
        found = meter.figures()[0]["vmaf"]
    return float(np.mean(found[1:-1] if len(sample.pts) > 1 else found))


def _mirrored(pairs: Iterator[list[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Mirror a sample at its ends: the second pair comes before the first, the last but one after the last.

    VMAF also measures motion from the previous frame and to the next one. In the film, the first and the last
    frame of a sample have such neighbours.
    """
    first, second = next(pairs), next(pairs, None)
    if second is None:
        yield first
        return
    yield from (second, first)
    before, last = first, second
    yield last
    for pair in pairs:
        before, last = last, pair
        yield last
    yield before


def _chunk_frames(data: bytes, pix_fmt: str) -> Iterator[list[np.ndarray]]:
    """Yield the planes of a chunk's frames in display order.

    Each list is valid until the next one is requested.
    """
    pixels = PixelFormat.parse(pix_fmt)
    with open_memory(data) as container:
        stream, decoder = film_decoder(container, 0)
        for packet in container.demux(stream):
            for frame in decoder.decode(packet):
                yield picture_planes(frame, pixels)


def _sample_frames(pieces: Iterable[str | os.PathLike[str]], pix_fmt: str) -> Iterator[list[np.ndarray]]:
    """Yield the planes of the frames of several chunks in files."""
    for piece in pieces:
        yield from _chunk_frames(Path(piece).read_bytes(), pix_fmt)
