"""`blind_test`: moments of two results, to be judged without knowing which is which."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from models.errors import UsageError
from pipelines.frames.images import to_pixels
from pipelines.frames.sample_values import to_values
from pipelines.media.cicp import Matrix, Range
from pipelines.quality.image_differences import cut_out, differing_place, fitted_frames
from pipelines.quality.paired_reader import PairedReader, fit_size, open_video

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.frames.sample_values import SampleValues
    from pipelines.quality.frame_alignment import Align, Misaligned

__all__ = ["BlindTest", "BlindTrial", "blind_test"]


_SIDE_PX = (480, 640)
"""Size of each image: two are shown side by side, at full size."""
_CLIP_SECONDS = Fraction(3, 2)
_LOOKS = 6
"""Moments of each part of the film among which the one with the largest difference is chosen."""


@dataclass(frozen=True)
class BlindTrial:
    """One moment to judge."""

    seconds: float
    pictures: tuple[bytes, bytes]
    """PNG files of one place, at the pixels of the larger video: of the first result, of the second."""
    clips: tuple[bytes, ...] = ()
    """MP4 files (H.264) of the same place over a second, if requested."""


@dataclass(frozen=True)
class BlindTest:
    """The last event of `blind_test`: the complete test."""

    id: str
    """Identifies the test: equal for the same images."""
    names: tuple[str, str]
    trials: tuple[BlindTrial, ...]
    findings: tuple[Misaligned, ...]
    notes: tuple[str, ...]


def blind_test(
    first: Path,
    second: Path,
    *,
    shots: int = 6,
    range_: str | None = None,
    align: Align = "pts",
    clips: bool = False,
) -> Iterator[Misaligned | BlindTest]:
    """Show one moment from each of `shots` equal parts of the film.

    It is the one, among several examined, at which the two videos differ most. Yields mismatches first.
    range_, align: as in `compare`. clips: also show a second of motion, in which flicker and crawling edges
    are visible. Raises UsageError if there is no difference.
    """
    matched = PairedReader([open_video(first), open_video(second)], range_=range_, align=align)
    yield from matched.findings
    count = len(matched.moments)
    shots = max(1, min(shots, count))
    looks = [
        sorted({count * part // shots + (n * count) // (shots * _LOOKS) for n in range(_LOOKS)})
        for part in range(shots)
    ]
    places = [place for part in looks for place in part if place < count]
    difference = {
        place: _difference(frames, matched.largest)
        for place, frames in zip(places, matched.frames(places), strict=True)
    }
    chosen = [max(part, key=difference.__getitem__) for part in looks]
    chosen = [place for place in chosen if difference[place] > 0]
    if not chosen:
        raise UsageError(
            f"{matched.labels[1]}: equals {matched.labels[0]} in all {len(places)} frames looked at; there is"
            " nothing to judge"
        )
    trials = []
    for place, frames in zip(chosen, matched.frames(chosen), strict=True):
        (one, other), _ = cut_out(matched, frames, _SIDE_PX)
        moving = (
            _clips(matched, place, differing_place(fitted_frames(matched, frames), _SIDE_PX)) if clips else ()
        )
        trials.append(BlindTrial(matched.seconds(place), (one, other), moving))
    digest = hashlib.sha256(
        b"".join(hashlib.sha256(p).digest() for t in trials for p in t.pictures)
    ).hexdigest()
    yield BlindTest(
        digest[:16],
        (matched.labels[0], matched.labels[1]),
        tuple(trials),
        tuple(matched.findings),
        tuple(matched.notes),
    )


def _clips(matched: PairedReader, place: int, box: tuple[int, int, int, int]) -> tuple[bytes, ...]:
    """Clips of one second around a moment, of one place in each video, in a format that browsers play.

    They are H.264 at a quality that hides no differences.
    """
    rate = Fraction(matched.films[0].info.rate).limit_denominator(1001)
    count = min(len(matched.moments), max(2, round(rate * _CLIP_SECONDS)))
    begin = min(max(0, place - count // 2), len(matched.moments) - count)
    height, width = (side // 2 * 2 for side in box[2:])
    buffers = [io.BytesIO() for _ in matched.films[:2]]
    outputs = [av.open(buffer, "w", format="mp4") for buffer in buffers]
    streams = []
    for output in outputs:
        stream = output.add_stream("libx264", rate=rate, options={"crf": "8", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = Matrix.BT709, Range.LIMITED
        streams.append(stream)
    for frames in matched.frames(range(begin, begin + count)):
        for codes, film, output, stream in zip(
            fitted_frames(matched, frames), matched.films, outputs, streams, strict=False
        ):
            pixels = to_pixels(to_values(codes.crop(*box)), 0, film.tags.matrix)[:height, :width]
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            output.mux(
                stream.encode(
                    shown.reformat(
                        format="yuv420p",
                        dst_colorspace=Matrix.BT709,
                        dst_color_range=Range.LIMITED,
                        threads=1,
                    )
                )
            )
    for output, stream in zip(outputs, streams, strict=True):
        output.mux(stream.encode(None))
        output.close()
    return tuple(buffer.getvalue() for buffer in buffers)


def _difference(frames: list[SampleValues], size: tuple[int, int]) -> float:
    """Mean absolute difference of luma, relative to its range."""
    bits = max(c.bits for c in frames)
    one, other = (fit_size(c, *size, bits).luma for c in frames)
    return float(np.abs(np.subtract(one, other, dtype=np.int32)).mean()) / (1 << bits)
