"""`preview_finished_chunks`: shows finished chunks of a running job next to its source."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import MediaError, UsageError
from pipelines.diagnostics.preview import PreviewMoment, make_folder, time_stamp
from pipelines.frames.film_frames import frames_at
from pipelines.frames.images import SHOWN_PX, contact_sheet, marked, most_detailed_crop, png, to_pixels
from pipelines.frames.sample_values import to_values
from pipelines.frames.video_reader import VideoReader
from pipelines.media.pixel_format import PixelCrop
from pipelines.output.journal import read_job, work_folder
from pipelines.plan.pulldown import Pulldown
from pipelines.quality.paired_reader import fit_size, open_video, upright_samples, upright_size
from pipelines.storage.atomic_file import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipelines.frames.sample_values import SampleValues
    from pipelines.output.journal import UnfinishedRun

__all__ = ["PartialPreview", "preview_finished_chunks"]


@dataclass(frozen=True)
class PartialPreview:
    """The last event of `preview_finished_chunks`: progress of the run, and the frames that were shown."""

    input: str
    folder: str
    chunks_done: int
    chunks: int
    moments: tuple[PreviewMoment, ...]


def preview_finished_chunks(
    place: Path, source: Path | None, folder: Path | None, *, shots: int = 3
) -> Iterator[PreviewMoment | PartialPreview]:
    """Show a frame of each of `shots` finished chunks next to the same source frame (bicubic).

    place: the work directory, or its output. source: the source file, by default the recorded one. folder:
    where images are written, by default NAME.preview next to the output. Raises UsageError if there is no
    run, nothing is finished yet, or for another source.
    """
    job = read_job(place if place.is_dir() else work_folder(place))
    if source is None and not job.input:
        raise UsageError(f"{job.folder}: does not say what it was made of; give the input, too")
    film = open_video(source if source is not None else Path(job.input))
    if film.info.fingerprint != job.plan["source_fingerprint"]:
        raise UsageError(f"{film.info.path}: is not what {job.folder} was made of; give that input")
    if not job.done:
        raise UsageError(
            f"{job.folder}: none of {len(job.plan['chunks'])} chunks is finished yet; try again later"
        )
    folder = folder or job.folder.with_name(
        f"{job.folder.name.removeprefix('.').removesuffix('.vsr-work').rpartition('.')[0] or 'job'}.preview"
    )
    make_folder(folder)
    moments = []
    for number, index in enumerate(_spread(sorted(job.done), shots)):
        moment = _show(job, index, number, film, folder)
        if moment is not None:
            moments.append(moment)
            yield moment
    yield PartialPreview(film.info.path, str(folder), len(job.done), len(job.plan["chunks"]), tuple(moments))


def _spread(done: Sequence[int], shots: int) -> list[int]:
    """Choose `shots` of the finished chunks, evenly spread."""
    return sorted({done[round(n)] for n in np.linspace(0, len(done) - 1, min(shots, len(done)))})


def _show(
    job: UnfinishedRun, index: int, number: int, film: VideoReader, folder: Path
) -> PreviewMoment | None:
    """The middle frame of a chunk; None if the run has finished and removed it meanwhile."""
    try:
        chunk = open_video(job.done[index])
    except (MediaError, OSError):
        if job.done[index].exists():
            raise
        return None
    plan, told = job.plan, next(c for c in job.plan["chunks"] if c["index"] == index)
    middle = chunk.info.frame_count // 2
    frame = _source_frame(plan, told["start_frame"], middle)
    result = next(chunk.codes(f) for _, f in frames_at(chunk.info, [(middle, middle + 1)]))
    width, height = upright_size(chunk)
    before = fit_size(_as_planned(film, frame, PixelCrop(**plan.get("crop", {}))), width, height, result.bits)
    pictures, overview = _cut(before, result, (film, chunk))
    names = ("source", "result")
    seconds = float((film.info.pts[frame] - film.info.pts[0]) * film.info.time_base)
    files = []
    for name, data in zip(
        (*names, "side-by-side"), (*map(png, pictures), png(contact_sheet([pictures]))), strict=True
    ):
        files.append(os.fspath(folder / f"{time_stamp(seconds)}.{name}.png"))
        write_atomically(Path(files[-1]), data)
    return PreviewMoment(number, seconds, tuple(map(png, pictures)), tuple(files), png(overview))


def _source_frame(plan: Mapping[str, Any], start: int, number: int) -> int:
    """The source frame of the `number`-th output frame after source frame `start`."""
    if plan.get("pulldown"):
        pulldown = Pulldown(**plan["pulldown"])
        frame = start
        while pulldown.results(frame + 1) - pulldown.results(start) <= number:
            frame += 1
        return frame
    return start + number // (2 if (plan.get("deinterlacing") or {}).get("bob") else 1)


def _as_planned(film: VideoReader, number: int, crop: PixelCrop) -> SampleValues:
    """A source frame as networks get it: upright and cropped."""
    codes = next(
        upright_samples(film, film.codes(f)) for _, f in frames_at(film.info, [(number, number + 1)])
    )
    crop = crop.turned(film.info.orientation)
    width, height = crop.size(codes.luma.shape[2], codes.luma.shape[1])
    return codes.crop(crop.top // 2 * 2, crop.left // 2 * 2, height // 2 * 2, width // 2 * 2)


def _cut(
    before: SampleValues, after: SampleValues, films: tuple[VideoReader, VideoReader]
) -> tuple[list[np.ndarray], np.ndarray]:
    """The most detailed place of the source, from both, and the source with it marked."""
    before = fit_size(before, after.luma.shape[2], after.luma.shape[1], max(before.bits, after.bits))
    luma = before.luma[0].astype(np.float32)
    rows, columns = (min(most, side) for most, side in zip(SHOWN_PX, luma.shape, strict=True))
    top, left = most_detailed_crop(np.abs(np.diff(luma, axis=1, append=luma[:, -1:])), rows, columns)
    cut = [
        to_pixels(to_values(c.crop(top, left, rows, columns)), 0, f.tags.matrix)
        for c, f in zip((before, after), films, strict=True)
    ]
    return cut, marked(to_pixels(to_values(before), 0, films[0].tags.matrix), top, left, rows, columns)
