"""`PairedReader`: reads several videos of the same film in parallel, matched by time.

Frames are upright, and have one size and bit depth.
"""

from __future__ import annotations

import os
from array import array
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.errors import VerificationError
from models.layers.resampling import resample
from pipelines.frames.film_frames import frames_at
from pipelines.frames.sample_values import LEFT, SampleValues, from_values, oriented, to_values
from pipelines.frames.video_reader import VideoReader
from pipelines.media.cicp import HDR_TRANSFERS
from pipelines.media.pixel_format import PixelFormat
from pipelines.media.timestamps import CLOCKED
from pipelines.plan.chunking import frame_range
from pipelines.plan.timeline import Timeline, clock_text
from pipelines.probe.probe import probe
from pipelines.quality.frame_alignment import Misaligned, pair_frames
from pipelines.quality.output_reports import OutputReports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipelines.media.pixel_format import Orientation, PixelCrop
    from pipelines.quality.frame_alignment import Align

__all__ = ["PairedReader", "fit_size", "open_video", "upright_samples", "upright_size"]


def open_video(path: Path) -> VideoReader:
    """Open a video for comparison. Raises MediaError if it is not a video."""
    return VideoReader(probe(path))


def _labels(films: Sequence[VideoReader]) -> tuple[str, ...]:
    """Short names that distinguish files; for duplicates the whole path."""
    names = [os.path.basename(f.info.path) for f in films]
    return tuple(n if names.count(n) == 1 else f.info.path for n, f in zip(names, films, strict=True))


def upright_size(film: VideoReader) -> tuple[int, int]:
    """(width, height) of the upright frame; odd sides lose their last row or column."""
    return film.info.orientation.turn(film.width, film.height)


def upright_samples(film: VideoReader, codes: SampleValues) -> SampleValues:
    """Stored samples of a film, upright."""
    turn = _turn(film.info.orientation)
    return from_values(oriented(to_values(codes), turn), codes.bits) if turn else codes


def fit_size(codes: SampleValues, width: int, height: int, bits: int) -> SampleValues:
    """Samples at another size (bicubic, antialiased when smaller) and at least their own bit depth.

    Unchanged if they fit.
    """
    if codes.luma.shape[1:] != (height, width):
        luma, chroma = to_values(codes)
        luma = resample(luma, height, width, "bicubic")
        return from_values((luma, resample(chroma, height // 2, width // 2, "bicubic", offset=LEFT)), bits)
    if codes.bits == bits:
        return codes
    luma_codes, chroma_codes = (
        p.astype(np.uint16) << (bits - codes.bits) for p in (codes.luma, codes.chroma)
    )
    return SampleValues(luma_codes, chroma_codes, bits)


def _turn(orientation: Orientation) -> int:
    """In the order of `sample_values.oriented`: flips first, then the transposition."""
    flips = (
        (orientation.flip_y, orientation.flip_x)
        if orientation.transpose
        else (orientation.flip_x, orientation.flip_y)
    )
    return flips[0] | flips[1] << 1 | orientation.transpose << 2


def _sample_shape(film: VideoReader) -> Fraction:
    """Sample aspect ratio of the upright frame."""
    return 1 / film.info.sar if film.info.orientation.transpose else film.info.sar


_SAME_SHAPE = 0.02
"""Relative difference of aspect ratios up to which rounding to whole samples may be the reason."""
_READ_FORMAT = PixelFormat.parse("yuv420p")
"""What `SampleValues` are."""
_PART = 0.1
"""If another video lacks this share of the first one's frames, it may be a deliberate part."""


class _Area(NamedTuple):
    """A part of an upright frame, in luma samples; all even."""

    top: int
    left: int
    height: int
    width: int


def _even(length: Fraction) -> int:
    """The nearest even number."""
    return round(length / 2) * 2


class PairedReader:
    """Videos compared with the first of them.

    `moments` are the frames that all have: for each the number of the frame in every video. Mismatches are in
    `findings`, remarks about the metrics in `notes`.
    """

    def __init__(
        self, films: Sequence[VideoReader], *, range_: str | None = None, align: Align = "pts"
    ) -> None:
        """range_: FROM-TO, counted from the first video's first frame. align: how frames are matched.

        Raises VerificationError if no frames are shown at the same time.
        """
        self.films = list(films)
        self.labels = _labels(films)
        self.lines = [Timeline(f.info.time_base, f.info.pts, f.info.durations) for f in self.films]
        self.findings: list[Misaligned] = []
        self.notes: list[str] = []
        self.damaged = [0] * len(films)
        self._reports = OutputReports([f.info for f in films])
        self._crop = self._crop_made()
        self._areas = self._common_areas()
        if range_ is None and align == "pts" and (made := self._reports.range_made()):
            range_, align = made, "part"
            self.notes.append(
                f"{' and '.join(self.labels[1:])}: made with --range {made}, by the report beside it;"
                f" compared with that part of {self.labels[0]}"
            )
        start, stop = frame_range(self.films[0].info, range_)
        partner = [{n: n for n in range(start, stop)}]
        for number in range(1, len(films)):
            partner.append(self._pair(number, start, stop, align=align))
        common = sorted(set(partner[0]).intersection(*partner[1:]))
        if not common:
            spans = ", ".join(
                f"{n} from {clock_text(_seconds(t, 0))} to {clock_text(_seconds(t, -1))}"
                for n, t in zip(self.labels, self.lines, strict=True)
            )
            raise VerificationError(
                f"{self.labels[-1]}: no frame of it is shown when {self.labels[0]} shows one ({spans});"
                " --align start might help"
            )
        self.moments = [tuple(p[n] for p in partner) for n in common]
        self._note_differences()

    def _pair(self, number: int, start: int, stop: int, *, align: Align) -> dict[int, int]:
        """Frame of the first video -> frame of this one; frames without a partner become a finding."""
        first, other = self.lines[0], self.lines[number]
        origin = {"pts": None, "start": 0, "part": start}[align]
        later = self._later(number) if align == "pts" else Fraction(0)
        pairing = pair_frames(first, other, origin=origin, later=later)
        whole = (start, stop) == (0, len(first.pts)) or align == "part"
        early, late = (
            (first.pts[n] - (first.pts[origin] if origin is not None else 0)) * first.time_base
            for n in (start, stop - 1)
        )
        base = other.pts[0] * other.time_base if origin is not None else later
        missing = [n for n in pairing.alone[0] if start <= n < stop]
        extra = [n for n in pairing.alone[1] if whole or early < other.pts[n] * other.time_base - base < late]
        if align == "part":  # its frames after the part, although the whole film has them, too
            extra += [m for n, m in pairing.pairs if n >= stop]
        mine, theirs = self.labels[number], self.labels[0]
        if len(missing) != len(extra):
            more = len(extra) - len(missing)
            where = "; ".join(
                f"{len(found)} of {name} {'have' if len(found) > 1 else 'has'} no partner, the first at"
                f" {clock_text(_seconds(line, found[0]))}"
                for found, name, line in ((missing, theirs, first), (extra, mine, other))
                if found
            )
            text = (
                f"{mine}: has {abs(more)} frame{'s' * (abs(more) > 1)} {'more' if more > 0 else 'fewer'} than"
                f" {theirs}: {where}"
            )
            if -more > _PART * len(first.pts) and align != "part":
                text += " (of a part made with --range, compare with the same --range and --align part)"
            self.findings.append(Misaligned("count", mine, more, text))
        elif missing:
            offset = float(other.start - first.start - later)
            begins = (
                f"; it begins {abs(offset):.3f} s {'later' if offset > 0 else 'earlier'} (--align start"
                " counts from each first frame)"
            )
            text = (
                f"{mine}: {len(extra)} of its frames are shown when {theirs} shows none, and as many the"
                f" other way round{begins * bool(offset)}"
            )
            self.findings.append(Misaligned("times", mine, len(extra), text))
        if pairing.apart > float(max(first.time_base, other.time_base)):
            self.notes.append(
                f"{mine}: frames are shown up to {pairing.apart * 1000:.1f} ms before or behind those of"
                f" {theirs}"
            )
        return {n: m for n, m in pairing.pairs if start <= n < stop}

    def _later(self, number: int) -> Fraction:
        """Seconds by which a video shows everything later than the first, as far as a reason is known."""
        mine, theirs = self.labels[number], self.labels[0]
        later, why = self._reports.later(number), "by the report beside it"
        first, other = self.lines[0], self.lines[number]
        if not later and {self.films[n].info.format for n in (0, number)} & {*CLOCKED}:
            # a recording's clock starts anywhere, and programs let their outputs of it start at 0
            apart = other.start - first.start
            is_same = pair_frames(first, other, origin=0).alone == ([], [])
            later, why = apart if is_same else later, "as the clock of a recording starts anywhere"
        if abs(later) > max(first.time_base, other.time_base):
            self.notes.append(
                f"{mine}: shows everything {abs(float(later)):.3f} s {'later' if later > 0 else 'earlier'}"
                f" than {theirs}, {why}; frames are paired accordingly"
            )
        return later

    def _crop_made(self) -> PixelCrop | None:
        """The crop of the first video with which all others were made, by their reports; None if unknown."""
        crop, film = self._reports.crop(), self.films[0]
        if not crop or crop.on_grid(_READ_FORMAT) != crop:
            return None
        width, height = crop.size(*film.info.upright_size)
        self.notes.append(
            f"{' and '.join(self.labels[1:])}: made of {width}x{height} of {self.labels[0]}, by the report"
            " beside it; compared with that part of the image"
        )
        return crop

    def _note_differences(self) -> None:
        """Note differences that limit what the metrics mean."""
        first, *others = self.films
        for name, film in zip(self.labels[1:], others, strict=True):
            if film.tags.matrix != first.tags.matrix and "rgb" not in {
                film.pixels.family,
                first.pixels.family,
            }:
                self.notes.append(
                    f"{name}: its colour matrix is another one than that of {self.labels[0]}; code values are"
                    " compared as they are"
                )
        for name, film, area in zip(self.labels, self.films, self._areas, strict=True):
            width, height = film.info.upright_size
            if (width % 2 or height % 2) and not self._crop:
                self.notes.append(
                    f"{name}: {width}x{height} has odd sides; {area.width}x{area.height} of it are compared"
                )
        own = self.size(0)
        for number, name in enumerate(self.labels[1:], start=1):
            width, height = self.size(number)
            sizes = f"{width}x{height} and {own[0]}x{own[1]}"
            shape = f"{name}: has another shape than {self.labels[0]} ({sizes}); it is stretched"
            shown = _sample_shape(self.films[number]) / _sample_shape(first)
            if abs(width * own[1] * shown / (height * own[0]) - 1) > _SAME_SHAPE:
                self.findings.append(Misaligned("shape", name, 0, shape))
            elif abs(width * own[1] / (height * own[0]) - 1) > _SAME_SHAPE:
                self.notes.append(shape)
        if any(f.tags.transfer in HDR_TRANSFERS for f in self.films):
            self.notes.append(
                "HDR: figures and pictures are of code values as they are; VMAF was made for SDR"
            )
        if any(f.info.interlaced for f in self.films):
            self.notes.append("interlaced video is compared as it is stored, both fields in one picture")

    def _common_areas(self) -> list[_Area]:
        """The part of each video's upright frame, as read, that shows what the smallest one's shows.

        Of odd sides, the last stored column or row isn't read. In a small video that is a larger part than in
        a large one, which would then be stretched against it.
        """
        whole = [
            self._crop.size(*film.info.upright_size) if self._crop and n == 0 else film.info.upright_size
            for n, film in enumerate(self.films)
        ]
        read = [(width // 2 * 2, height // 2 * 2) for width, height in whole]
        smallest = min(range(len(whole)), key=lambda n: whole[n][0] * whole[n][1])
        areas = []
        for number, size in enumerate(whole):
            spans = []
            for axis in (0, 1):
                own, least = size[axis], whole[smallest][axis]
                factor = own // least
                if factor > 1 and own == factor * least + 1:
                    own -= 1  # `run --scale` has repeated the last column or row
                unit = Fraction(own, least)
                length = min(read[number][axis], _even(unit * read[smallest][axis]))
                lost = least - read[smallest][axis] if self._is_flipped(smallest, axis) else 0
                own_lost = size[axis] - read[number][axis] if self._is_flipped(number, axis) else 0
                begin = min(read[number][axis] - length, max(0, _even(unit * lost - own_lost)))
                spans.append((begin, length))
            (left, width), (top, height) = spans
            areas.append(_Area(top, left, height, width))
        return areas

    def _is_flipped(self, number: int, axis: int) -> bool:
        """Whether a video's upright frame begins where the stored one ends.

        axis: 0 for columns, 1 for rows.
        """
        turned = self.films[number].info.orientation
        return turned.flip_y if axis else turned.flip_x

    def size(self, number: int) -> tuple[int, int]:
        """(width, height) of one video, upright; of the part that all of them show."""
        return self._areas[number].width, self._areas[number].height

    @property
    def largest(self) -> tuple[int, int]:
        """(width, height) of the video with the most pixels."""
        return max(map(self.size, range(len(self.films))), key=lambda size: size[0] * size[1])

    def seconds(self, place: int) -> float:
        """Time of a moment, from the first video's first frame."""
        line = self.lines[0]
        return float((line.pts[self.moments[place][0]] - line.pts[0]) * line.time_base)

    def frames(self, places: Sequence[int] | None = None) -> Iterator[list[SampleValues]]:
        """For each moment (or those at `places`, ascending), yield one frame of every video, upright.

        Each frame has its own size and bit depth.
        """
        moments = self.moments if places is None else [self.moments[p] for p in places]
        yield from map(
            list,
            zip(
                *(self._of(n, array("q", (m[n] for m in moments))) for n in range(len(self.films))),
                strict=True,
            ),
        )

    def _of(self, number: int, wanted: array[int]) -> Iterator[SampleValues]:
        film = self.films[number]
        place = 0
        for n, frame in frames_at(film.info, _stretches(wanted)):
            if n != wanted[place]:
                continue
            place += 1
            self.damaged[number] += frame.corrupt
            codes = upright_samples(film, film.codes(frame))
            top, left = (self._crop.top, self._crop.left) if self._crop and number == 0 else (0, 0)
            area = self._areas[number]
            yield codes.crop(top + area.top, left + area.left, area.height, area.width)
            if place == len(wanted):
                return


def _seconds(line: Timeline, number: int) -> float:
    return float(line.pts[number] * line.time_base)


_NEAR = 8
"""Frames this close to each other are decoded together."""


def _stretches(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Runs [start, stop) that contain ascending numbers."""
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and n <= found[-1][1] + _NEAR:
            found[-1] = (found[-1][0], n + 1)
        else:
            found.append((n, n + 1))
    return found
